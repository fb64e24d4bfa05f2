"""What to expect of a whole image: F1 of its objects, their count, and a verdict that keeps a promise.

Expected F1 comes from the objects' probabilities of being right, from candidates that did not become objects, and
from how undecided the pixels are. The verdict is the worst of expected F1, expected Dice and foreignness; its
thresholds are chosen so that of accepted images at most a stated fraction falls below a stated F1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from ..checks import InputError, check_same_shape
from ..types import LogisticModel, Promise, TrustRecord
from ._logistic import apply_logistic, fit_logistic, logit
from .object_trust import fold_masks

CANDIDATE_OVERLAP = 0.1
"""A region of which less than this lies in objects is a candidate that did not become one."""

COUNT_FEATURES = ("right", "missed", "undecided", "finer", "coarser")
"""Evidence that corrects a count."""

CONTEXT = ("dice", "undecided", "missed", "log_count")
"""Evidence on an image that is evidence on each of its objects."""

COUNT_RIDGE = 1.0

F1_RIDGE = 0.1
"""Holds back the coefficients of expected F1, as a fraction of the images' weight: they are many for the images."""

MEANS = ("agrees", "clipped", "low_probability", "mean_probability", "rim_probability", "solidity")
"""How the names of the objects' evidence begin whose average is evidence on their image.

Averages of sizes, contacts and heights tell as much of images like those fitted on, and mislead in another laboratory.
"""

USUAL_PROMISE = Promise(fraction=0.03, below=0.7)
"""What accepted images keep unless another promise is asked for."""

RARE_PROMISE = 20
"""A threshold needs so many accepted images for its failures to be counted."""


@dataclass(frozen=True)
class CountModel:
    """How a count of objects is corrected.

    Attributes:
        log_ratio: Intercept and coefficients of log((true + ½) / (found + ½)).
        features: Names of the features.
        error: a, b of the relative error a + b (1 - expected F1).
    """

    log_ratio: tuple[float, ...]
    features: tuple[str, ...]
    error: tuple[float, float]


def image_features(
    labels: np.ndarray,
    foreground: np.ndarray,
    *,
    dice: float,
    candidates: np.ndarray,
    rivals: Mapping[str, np.ndarray] | None = None,
) -> dict[str, float]:
    """Evidence of how good an image's result is.

    Args:
        labels: (H, W) objects 1…n, 0 background.
        foreground: (H, W) foreground probability.
        dice: Expected Dice, NaN where nothing is foreground.
        candidates: (H, W) objects at a lower threshold of foreground than that of ``labels``.
        rivals: Name → (H, W) label image by another seed threshold or decoder; its count is evidence.

    Returns:
        Name → finite number: ``missed``, log of 1 + candidates per object; ``dice``, log odds of expected Dice;
        ``undecided``, Σ 4p(1-p) / Σ p; ``log_count``; for each rival the log ratio of its count.

    Raises:
        InputError: shapes differ.

    Example:
        >>> labels = np.array([[1, 1, 0, 0]])
        >>> found = image_features(labels, labels * 1.0, dice=0.9, candidates=labels)
        >>> found["missed"], found["undecided"]
        (0.0, 0.0)
    """
    check_same_shape(labels=labels, foreground=foreground, candidates=candidates)
    count = int(labels.max(initial=0))
    mass = float(foreground.sum(dtype=np.float64))
    doubt = float((foreground * (1 - foreground)).sum(dtype=np.float64))
    return {
        "missed": math.log1p(missed_candidates(labels, candidates) / (count + 1)),
        "dice": float(logit(np.array(0.0 if math.isnan(dice) else dice), margin=0.01)),
        "undecided": 4 * doubt / max(mass, 1e-6),
        "log_count": math.log(count + 1),
        **{name: math.log((int(rival.max(initial=0)) + 1) / (count + 1)) for name, rival in (rivals or {}).items()},
    }


def right_features(right: np.ndarray) -> dict[str, float]:
    """What the objects' probabilities of being right say of their image.

    Args:
        right: (n,) in [0, 1].

    Returns:
        ``right``, log odds of their mean, drawn toward ½ as if by one more object; ``worst_fifth``, log odds
        below which a fifth of them lies, 0 without objects; ``doubtful``, the fraction below ½.

    Example:
        >>> right_features(np.array([0.5, 0.5]))
        {'right': 0.0, 'worst_fifth': 0.0, 'doubtful': 0.0}
    """
    return {
        "right": float(logit(np.array((right.sum() + 0.5) / (right.size + 1)))),
        "worst_fifth": float(logit(np.quantile(right, 0.2))) if right.size else 0.0,
        "doubtful": float((right < 0.5).sum()) / max(right.size, 1),
    }


def mean_features(objects: Mapping[str, np.ndarray]) -> dict[str, float]:
    """What the objects of an image are like on average.

    Args:
        objects: Feature → (n,), from `with_image`.

    Returns:
        ``mean_NAME`` for each feature that `MEANS` names; NaN without objects.

    Example:
        >>> mean_features({"solidity": np.array([0.8, 1.0]), "log_diameter": np.array([2.0, 2.0])})
        {'mean_solidity': 0.9}
    """
    own = {name: values for name, values in objects.items() if name.startswith(MEANS)}
    return {f"mean_{name}": float(values.mean()) if values.size else math.nan for name, values in own.items()}


def with_image(objects: Mapping[str, np.ndarray], image: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Evidence on objects with that on their image beside it: in a doubtful image each object is more doubtful.

    Args:
        objects: Feature → (n,).
        image: Feature → number, from `image_features`.

    Returns:
        Feature → (n,), the image's under ``image_NAME`` for the names in `CONTEXT`.
    """
    count = len(next(iter(objects.values())))
    return {**objects, **{f"image_{name}": np.full(count, image[name]) for name in CONTEXT}}


def missed_candidates(labels: np.ndarray, candidates: np.ndarray) -> int:
    """Regions of ``candidates`` of which less than `CANDIDATE_OVERLAP` lies in objects.

    Raises:
        InputError: shapes differ.
    """
    check_same_shape(labels=labels, candidates=candidates)
    count = int(candidates.max(initial=0)) + 1
    area = np.bincount(candidates.ravel(), minlength=count)[1:]
    inside = np.bincount(candidates[labels > 0], minlength=count)[1:]
    return int(((area > 0) & (inside < CANDIDATE_OVERLAP * area)).sum())


def fit_f1(features: Mapping[str, np.ndarray], f1: np.ndarray, *, weights: np.ndarray) -> LogisticModel:
    """Logistic model of F1, a fraction; images without any object, whose F1 is NaN, are left out.

    Raises:
        InputError: no image has an F1.
    """
    known = ~np.isnan(f1)
    rows = {name: values[known] for name, values in features.items()}
    ridge = F1_RIDGE * float(weights[known].sum())
    return fit_logistic(rows, f1[known], ridge=ridge, weights=weights[known], bent=True)


def fit_count(
    features: Mapping[str, np.ndarray], found: np.ndarray, true: np.ndarray, expected_f1: np.ndarray
) -> CountModel:
    """How a count must be corrected, and how far it may then still be off.

    Args:
        features: Of the images, name → (n,).
        found: (n,) objects found.
        true: (n,) reference objects.
        expected_f1: (n,) expected F1.
    """
    names = tuple(name for name in COUNT_FEATURES if name in features)
    table = np.stack([np.ones(len(found)), *(features[name] for name in names)], axis=1)
    log_ratio = np.log((true + 0.5) / (found + 0.5))
    held = COUNT_RIDGE * np.eye(table.shape[1])
    held[0, 0] = 0
    # Robust: one image of a hundred missed objects would bend the correction of all others.
    weights = np.ones(len(found))
    for _ in range(10):
        weighted = table * weights[:, None]
        slope = np.linalg.solve(weighted.T @ table + held, weighted.T @ log_ratio)
        rest = np.abs(log_ratio - table @ slope)
        weights = 1 / np.maximum(1, rest / 0.3)
    expected = (found + 0.5) * np.exp(table @ slope)
    off = np.abs(true + 0.5 - expected) / (expected + 1)
    doubt = np.stack([np.ones(len(found)), 1 - expected_f1], axis=1)
    # 68 % of errors should be below one sd: quantile regression by the same reweighting.
    level = np.maximum(_quantile_line(doubt, off, 0.68), [0.01, 0.0])
    return CountModel(_numbers(slope), names, (_numbers(level)[0], _numbers(level)[1]))


def expected_count(trust: TrustRecord, features: Mapping[str, float], found: int) -> tuple[float, float]:
    """Expected number of objects in an image, missed ones included, and its standard deviation.

    Args:
        trust: Of the model.
        features: From `image_features`, `right_features` and `mean_features`.
        found: Objects found.

    Returns:
        Both 0 or more.
    """
    fitted = CountModel(trust.count_log_ratio, trust.count_features, trust.count_error)
    return apply_count(fitted, features, found, expected_f1(trust, features))


def apply_count(fitted: CountModel, features: Mapping[str, float], found: int, f1: float) -> tuple[float, float]:
    """Expected number of objects, and its standard deviation, where this F1 is expected; see `expected_count`."""
    intercept, *slopes = fitted.log_ratio
    log_ratio = intercept + sum(slope * features[name] for slope, name in zip(slopes, fitted.features, strict=True))
    expected = max(0.0, (found + 0.5) * math.exp(float(np.clip(log_ratio, -2, 2))) - 0.5)
    base, growth = fitted.error
    return expected, (base + growth * (1 - f1)) * (expected + 1)


def expected_f1(trust: TrustRecord, features: Mapping[str, float]) -> float:
    """Expected F1 at IoU 0.5 of an image's objects, in (0, 1).

    Raises:
        InputError: a feature that the model was fitted on is missing.
    """
    return float(apply_logistic(trust.f1, {name: np.array(value) for name, value in features.items()}))


def accept_from(expected: np.ndarray, true: np.ndarray, *, below: float, fraction: float) -> float:
    """Lowest threshold of an expectation that keeps the promise on images with a known truth.

    Args:
        expected: (n,) out of sample.
        true: (n,) what the promise is about; NaN is left out.
        below: An accepted image breaks the promise below this.
        fraction: So many of the accepted images may.

    Returns:
        The threshold; just above the highest expectation where none keeps it. The count of failures has one added,
        so that a lucky handful of images does not pass for a promise kept.

    Example:
        >>> expected = np.linspace(0.5, 1, 101)
        >>> round(accept_from(expected, expected, below=0.7, fraction=0.03), 3)
        0.7
    """
    known = ~np.isnan(true)
    expected, bad = expected[known], true[known] < below
    order = np.argsort(-expected, kind="stable")
    accepted = np.arange(1, order.size + 1)
    risk = (np.cumsum(bad[order]) + 1) / (accepted + 1)
    kept = np.flatnonzero((risk <= fraction) & (accepted >= RARE_PROMISE))
    if not kept.size:
        return float(np.nextafter(expected.max(initial=0.0), 2))
    return float(expected[order][kept[-1]])


def with_promise(trust: TrustRecord, promise: Promise) -> TrustRecord:
    """The record with the threshold that keeps another promise on the held-out images.

    Args:
        trust: Of the model.
        promise: What accepted images shall keep.

    Raises:
        InputError: A number out of range; a record without held-out results; or so few of them that no threshold is
            sure to keep the promise.
    """
    if not (0 < promise.below <= 1 and 0 < promise.fraction < 1):
        raise InputError(
            f"a promise of F1 below {promise.below:g} in a fraction of {promise.fraction:g}; expected a fraction of "
            "images in (0, 1) and an F1 in (0, 1]",
            argument="promise",
        )
    if not trust.held_out_expected:
        raise InputError(
            "the model file does not hold the held-out results that another promise needs; leave the promise out, or "
            "train a model anew",
            argument="promise",
        )
    expected, true = np.array(trust.held_out_expected), np.array(trust.held_out_true)
    accept = accept_from(expected, true, below=promise.below, fraction=promise.fraction)
    if accept > expected.max():
        raise InputError(
            f"no threshold keeps F1 below {promise.below:g} in at most {promise.fraction:.2g} of the accepted images, "
            f"as the {expected.size} held-out results of the model show; ask for less, for example "
            f"promise={_kept(expected, true)}",
            argument="promise",
        )
    return msgspec.structs.replace(
        trust, accept_f1=round(accept, 4), promise_f1=promise.below, promise_fraction=promise.fraction
    )


def _kept(expected: np.ndarray, true: np.ndarray) -> float:
    """The strictest usual fraction that the held-out images can keep."""
    usual = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5)
    kept = (accept_from(expected, true, below=USUAL_PROMISE.below, fraction=fraction) for fraction in usual)
    return next((fraction for fraction, accept in zip(usual, kept, strict=True) if accept <= expected.max()), 0.9)


def cross_fit_f1(
    features: Mapping[str, np.ndarray], f1: np.ndarray, groups: np.ndarray, *, weights: np.ndarray, folds: int = 5
) -> np.ndarray:
    """Expected F1 out of sample, (n,); each group's images from a model fitted on other groups."""
    expected = np.empty(f1.shape)
    for out in fold_masks(groups, folds):
        model = fit_f1({name: values[~out] for name, values in features.items()}, f1[~out], weights=weights[~out])
        expected[out] = apply_logistic(model, {name: values[out] for name, values in features.items()})
    return expected


def _quantile_line(rows: np.ndarray, values: np.ndarray, quantile: float) -> np.ndarray:
    """Coefficients of the line below which this fraction of the values lies, by reweighted least squares."""
    slope = np.zeros(rows.shape[1])
    weights = np.ones(len(rows))
    for _ in range(50):
        weighted = rows * weights[:, None]
        slope = np.linalg.solve(weighted.T @ rows + 1e-6 * np.eye(rows.shape[1]), weighted.T @ values)
        rest = values - rows @ slope
        weights = np.where(rest > 0, quantile, 1 - quantile) / np.maximum(np.abs(rest), 1e-3)
    return slope


def _numbers(values: Sequence[float] | np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(value), 5) for value in values)
