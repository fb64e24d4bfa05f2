"""Whether probabilities mean what they say, and the temperature that makes them.

References:
    Guo, Pleiss, Sun, Weinberger (2017). On calibration of modern neural networks. ICML.
    arXiv:1706.04599 (temperature scaling, expected calibration error).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..checks import InputError, check_finite, check_ndim, check_same_shape

LOWEST_TEMPERATURE = 0.05
HIGHEST_TEMPERATURE = 20.0
"""Bounds of the search; logits that are always right want 0, such that say nothing want infinity."""

SURE = 0.99
"""Confidence from which on a pixel is sure; most background is, and says little about the others."""

BISECTIONS = 40
"""Halvings of the interval of log T: from 6 to 5e-12."""


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy in bins of equal width over [0, 1], lowest first.

    Attributes:
        confidence: (bins,) mean confidence; NaN in an empty bin.
        accuracy: (bins,) fraction of correct pixels; NaN in an empty bin.
        count: (bins,) number of pixels.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray


@dataclass(frozen=True)
class CalibrationErrors:
    """Expected calibration errors of pixels of three kinds; NaN where there is no pixel of a kind.

    Attributes:
        everywhere: Of all pixels. Where most are easy background this is small whatever the others do.
        foreground: Of the pixels predicted to be foreground.
        unsure: Of those with a confidence below `SURE`.
        unsure_fraction: How many these are of all, in [0, 1]; NaN without pixels.
    """

    everywhere: float
    foreground: float
    unsure: float
    unsure_fraction: float


def fit_temperature(logits: np.ndarray, classes: np.ndarray) -> float:
    """Temperature T that makes softmax(logits / T) most likely for the true classes.

    The negative log-likelihood is convex in 1/T, so its slope changes sign once: bisection finds
    that point. The likeliest class of a pixel never changes.

    Args:
        logits: (K, n) of n sampled pixels.
        classes: (n,) their true classes, 0…K-1.

    Returns:
        T in [`LOWEST_TEMPERATURE`, `HIGHEST_TEMPERATURE`]; a bound where the best T lies beyond, and
        1 where all logits of each pixel are equal, as no T makes a difference then.

    Raises:
        InputError: there is no pixel, shapes do not fit or a class is not in 0…K-1.
    """
    check_ndim(2, logits=logits)
    check_finite(logits=logits)
    if classes.shape != logits.shape[1:] or classes.size == 0:
        raise InputError(f"logits {logits.shape} and classes {classes.shape}, expected (K, n) and (n,), n at least 1")
    if classes.min() < 0 or classes.max() >= len(logits):
        raise InputError(f"classes reach from {classes.min()} to {classes.max()}, expected 0…{len(logits) - 1}")
    relative = logits.astype(np.float64) - logits.max(axis=0)
    if not relative.any():
        return 1.0
    true = relative[classes, np.arange(classes.size)]
    low, high = math.log(LOWEST_TEMPERATURE), math.log(HIGHEST_TEMPERATURE)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if _slope(relative, true, temperature=math.exp(middle)) > 0:
            low = middle
        else:
            high = middle
    return math.exp((low + high) / 2)


def _slope(relative: np.ndarray, true: np.ndarray, *, temperature: float) -> float:
    """Derivative of the mean negative log-likelihood by 1/T: mean logit expected minus mean logit of the true class."""
    weights = np.exp(relative / temperature)
    expected = (weights * relative).sum(axis=0) / weights.sum(axis=0)
    return float((expected - true).mean())


def reliability(confidence: np.ndarray, correct: np.ndarray, *, bins: int = 15) -> Reliability:
    """Mean confidence and accuracy of pixels grouped by confidence.

    Args:
        confidence: Probabilities of the predicted classes, in [0, 1], any shape.
        correct: Whether the predicted class is right, bool, same shape.
        bins: Number of bins of equal width; a bin contains its upper bound, the first also 0.

    Raises:
        InputError: shapes differ, a confidence is outside [0, 1], or ``bins`` is below 1.
    """
    check_same_shape(confidence=confidence, correct=correct)
    if bins < 1:
        raise InputError(f"bins is {bins}, expected at least 1")
    values = confidence.ravel().astype(np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise InputError("confidence has values outside [0, 1] or NaN, expected probabilities")
    which = np.clip(np.ceil(values * bins).astype(np.int64) - 1, 0, bins - 1)
    count = np.bincount(which, minlength=bins)
    filled = np.where(count > 0, count, np.nan)
    return Reliability(
        confidence=np.bincount(which, values, bins) / filled,
        accuracy=np.bincount(which, correct.ravel(), bins) / filled,
        count=count,
    )


def risk_coverage(score: np.ndarray, risk: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean risk of the surest, for each number of them that is kept.

    Args:
        score: (n,) how sure each is; of equal ones the mean risk counts.
        risk: (n,) how wrong each is, such as 1 for a wrong pixel.

    Returns:
        Coverage, (n,) fractions that are kept, 1/n to 1; and (n,) the mean risk of those.

    Raises:
        InputError: shapes differ.

    References:
        El-Yaniv, Wiener (2010). On the foundations of noise-free selective classification. JMLR 11, 1605-1641.

    Example:
        >>> risk_coverage(np.array([0.9, 0.5, 0.7, 0.6]), np.array([0, 1, 0, 1]))[1].tolist()
        [0.0, 0.0, 0.3333333333333333, 0.5]
    """
    check_same_shape(score=score, risk=risk)
    order = np.argsort(-score, kind="stable")
    _, group, size = np.unique(-score[order], return_inverse=True, return_counts=True)
    even = (np.bincount(group, risk[order], size.size) / np.maximum(size, 1))[group]
    number = np.arange(1, score.size + 1)
    return number / max(score.size, 1), np.cumsum(even) / number


def expected_calibration_error(confidence: np.ndarray, correct: np.ndarray, *, bins: int = 15) -> float:
    """Mean distance between confidence and accuracy over the bins, weighted by their pixels.

    Args:
        confidence: Probabilities of the predicted classes, in [0, 1], any shape.
        correct: Whether the predicted class is right, bool, same shape.
        bins: Number of bins of equal width.

    Returns:
        A value in [0, 1], 0 for probabilities that mean what they say; NaN without pixels.

    Raises:
        InputError: as `reliability`.
    """
    if confidence.size == 0:
        return math.nan
    curve = reliability(confidence, correct, bins=bins)
    filled = curve.count > 0
    gap = np.abs(curve.confidence - curve.accuracy)[filled]
    return float(gap @ curve.count[filled] / curve.count.sum())


def calibration_errors(
    confidence: np.ndarray, correct: np.ndarray, foreground: np.ndarray, *, bins: int = 15
) -> CalibrationErrors:
    """Expected calibration error of all pixels, and of those kinds of them that easy background does not hide.

    Args:
        confidence: Probabilities of the predicted classes, in [0, 1], any shape.
        correct: Whether the predicted class is right, bool, same shape.
        foreground: Whether the predicted class is not background, bool, same shape.
        bins: Number of bins of equal width.

    Raises:
        InputError: as `reliability`.

    Example:
        >>> confidence = np.array([1.0, 1.0, 1.0, 0.8])
        >>> correct, foreground = np.array([True, True, True, False]), np.array([False, False, False, True])
        >>> calibration_errors(confidence, correct, foreground)
        CalibrationErrors(everywhere=0.2, foreground=0.8, unsure=0.8, unsure_fraction=0.25)
    """
    check_same_shape(confidence=confidence, correct=correct, foreground=foreground)
    unsure = confidence < SURE

    def error(kind: np.ndarray) -> float:
        return expected_calibration_error(confidence[kind], correct[kind], bins=bins)

    return CalibrationErrors(
        everywhere=error(np.ones(confidence.shape, bool)),
        foreground=error(foreground.astype(bool)),
        unsure=error(unsure),
        unsure_fraction=float(unsure.mean()) if unsure.size else math.nan,
    )
