"""Quality of objects and images without a reference: what calibrated probabilities promise.

The thresholds are conventions, not measurements: they are set so that a reviewer looks at an image
whose expected Dice is clearly below what careful annotators reach among themselves (about 0.9).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from ..checks import check_labels, check_same_shape
from ..types import Quality
from .confidence import mean_confidence

ACCEPT_DICE = 0.8
"""Expected Dice below which a person should look."""

REJECT_DICE = 0.6
"""Expected Dice below which the result should not be used."""

DOUBTFUL_CONFIDENCE = 0.75
"""An object whose mean confidence is below this is doubtful; most wrong objects lie above it."""

MOST_DOUBTFUL = 0.2
"""Share of doubtful objects above which a person should look."""

NEARLY_FOREGROUND = 0.25
"""Foreground probability from which on a pixel counts as nearly found."""


def expected_dice(foreground_probability: np.ndarray, mask: np.ndarray) -> float:
    """Foreground Dice that the probabilities promise: 2 Σ_mask p / (Σ mask + Σ p).

    It replaces the unknown truth in 2|P ∩ R| / (|P| + |R|) by its expectation, numerator and
    denominator apart. It is the Dice of large images if pixels are right or wrong independently, each with its
    probability. Calibration holds on the average over images only, and errors come as whole objects and edges, so a
    single bad image can be promised far too much.

    Args:
        foreground_probability: (H, W) in [0, 1].
        mask: (H, W) bool, the predicted foreground.

    Returns:
        A value in [0, 1]. Where nothing is foreground: 0 if some pixel reaches `NEARLY_FOREGROUND`,
        otherwise NaN, as the image is probably empty and Dice says nothing of empty images.

    Raises:
        InputError: shapes differ.
    """
    check_same_shape(foreground_probability=foreground_probability, mask=mask)
    area = int(np.count_nonzero(mask))
    if area == 0:
        nearly = foreground_probability.max(initial=0) >= NEARLY_FOREGROUND
        return 0.0 if nearly else math.nan
    inside = float(foreground_probability.sum(where=mask, dtype=np.float64))
    return 2 * inside / (area + float(foreground_probability.sum(dtype=np.float64)))


def expected_iou(probabilities: np.ndarray, class_map: np.ndarray) -> tuple[float, ...]:
    """IoU of each class of pixels that the probabilities promise: Σ_mask p / (Σ mask + Σ p - Σ_mask p).

    Intersection and union are replaced by their expectations, as in `expected_dice`, and with the same limits.

    Args:
        probabilities: (K, H, W), summing to 1 over classes.
        class_map: (H, W), the class that each pixel was given.

    Returns:
        (K,) values in [0, 1]; NaN for a class that no pixel was given and none reaches with `NEARLY_FOREGROUND`.

    Raises:
        InputError: shapes differ.

    Example:
        >>> inside = np.array([[0.5, 0.0, 1.0, 1.0]])
        >>> expected_iou(np.stack([1 - inside, inside]), np.array([[1, 0, 1, 1]]))
        (0.6666666666666666, 0.8333333333333334)
    """
    check_same_shape(probabilities=probabilities[0], class_map=class_map)
    found = []
    for number, plane in enumerate(probabilities):
        mask = class_map == number
        area, total = int(np.count_nonzero(mask)), float(plane.sum(dtype=np.float64))
        inside = float(plane.sum(where=mask, dtype=np.float64))
        absent = area == 0 and plane.max(initial=0) < NEARLY_FOREGROUND
        found.append(math.nan if absent else inside / (area + total - inside))
    return tuple(found)


def object_confidence(labels: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Mean confidence of each object's pixels; it ranks objects, and is not the probability that one is right.

    Args:
        labels: (H, W) object ids, 0 background.
        confidence: (H, W).

    Returns:
        (n,) float64, entry i for object i + 1, n the largest id; NaN for an id without pixels.

    Raises:
        InputError: shapes differ or ``labels`` is no label image.
    """
    check_same_shape(labels=labels, confidence=confidence)
    check_labels(labels=labels)
    pixels = np.flatnonzero(labels)
    owner = labels.ravel()[pixels]
    count = int(labels.max(initial=0)) + 1
    area = np.bincount(owner, minlength=count)[1:]
    total = np.bincount(owner, confidence.ravel()[pixels], count)[1:]
    mean: np.ndarray = np.divide(total, area, out=np.full(area.shape, np.nan), where=area > 0)
    return mean


def assess(
    probabilities: np.ndarray,
    labels: np.ndarray,
    *,
    sure: np.ndarray,
    drift: Sequence[str] = (),
    noun: str = "object",
) -> Quality:
    """Say whether an image's result can be accepted, wants a look, or should be rejected.

    Rejected: expected Dice below `REJECT_DICE`. To review: expected Dice below `ACCEPT_DICE`, more
    than `MOST_DOUBTFUL` of the objects below `DOUBTFUL_CONFIDENCE`, nothing found, or drift.

    Args:
        probabilities: (K, H, W), summing to 1 over classes; class 0 is background.
        labels: (H, W) objects, 1…n without gaps, 0 background.
        sure: (H, W) confidence of the same probabilities, see `confidence`.
        drift: Sentences on how the image differs from the training images, see `drift_notes`.
        noun: What a region of ``labels`` is called in the reasons.

    Returns:
        The verdict with every reason that led to it.

    Raises:
        InputError: shapes do not fit.
    """
    check_same_shape(labels=labels, sure=sure)
    objects = object_confidence(labels, sure)
    promised = expected_dice(1 - probabilities[0], labels > 0)
    reasons = [*_dice_reasons(promised, found=objects.size > 0), *_object_reasons(objects, noun), *drift]
    verdict: Literal["accept", "review", "reject"] = "review" if reasons else "accept"
    if promised < REJECT_DICE:
        verdict = "reject"
    return Quality(
        count=objects.size,
        mean_confidence=mean_confidence(sure, within=labels > 0),
        expected_dice=promised,
        verdict=verdict,
        why="; ".join(reasons) if reasons else f"expected Dice {promised:.2f} and few doubtful {noun}s",
        asks_views=verdict != "accept",
    )


def _dice_reasons(promised: float, *, found: bool) -> list[str]:
    if math.isnan(promised):
        return ["nothing found and no pixel came near it: check that the image is really empty"]
    if not found:
        return [f"nothing found, though some pixels reach a foreground probability of {NEARLY_FOREGROUND}"]
    if promised < ACCEPT_DICE:
        return [f"expected Dice {promised:.2f} is below {REJECT_DICE if promised < REJECT_DICE else ACCEPT_DICE}"]
    return []


def _object_reasons(objects: np.ndarray, noun: str) -> list[str]:
    doubtful = int((objects < DOUBTFUL_CONFIDENCE).sum())
    if doubtful > MOST_DOUBTFUL * objects.size:
        return [f"{doubtful} of {objects.size} {noun}s have a confidence below {DOUBTFUL_CONFIDENCE}"]
    return []
