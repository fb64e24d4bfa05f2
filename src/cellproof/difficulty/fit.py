"""Everything by which a model judges its own results, fitted on held-out images and degraded copies of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata, spearmanr

from ..checks import InputError
from ..types import ImageKind, TrustRecord
from ._logistic import fit_logistic
from .calibration import expected_calibration_error
from .foreign import foreignness
from .image_trust import accept_from, cross_fit_f1, expected_count, expected_f1, fit_count, fit_f1, right_features
from .object_trust import cross_fit
from .quality import ACCEPT_DICE

FOLDS = 5

FEWEST_IMAGES = 10
"""Held-out images below which nothing is fitted."""

FEWEST_WRONG = 20
"""Wrong objects, and right ones, below which nothing is fitted."""

GOOD_F1 = 0.9
"""Images above this should be accepted."""


@dataclass(frozen=True)
class Judged:
    """One held-out image, or a degraded copy of one, with its truth.

    Attributes:
        group: The image; copies share it, and are never fitted on and tried with at once.
        is_copy: Whether it is degraded.
        objects: Feature → (n,), see `object_features`.
        right: (n,) 1 for right, 0 for wrong, NaN for unknown.
        image: Feature → number, see `image_features`.
        statistics: See `image_statistics`.
        expected_dice: NaN where nothing is foreground.
        f1: True F1 at IoU 0.5; NaN without any object.
        dice: True Dice of the foreground; NaN without any foreground.
        count: Reference objects.
    """

    group: str
    is_copy: bool
    objects: Mapping[str, np.ndarray]
    right: np.ndarray
    image: Mapping[str, float]
    statistics: Mapping[str, float]
    expected_dice: float
    f1: float
    dice: float
    count: int


@dataclass(frozen=True)
class OutOfSample:
    """What the images are given by models that did not see them.

    Attributes:
        right: Of each image (n,) probabilities of its objects.
        f1: (m,) expected F1 of the images.
        foreign: (m,) distance over the line, above 1 for foreign; 0 without kinds.
    """

    right: Sequence[np.ndarray]
    f1: np.ndarray
    foreign: np.ndarray


def fit_trust(
    judged: Sequence[Judged],
    kinds: Sequence[ImageKind] = (),
    *,
    promise_f1: float = 0.7,
    promise_fraction: float = 0.03,
) -> TrustRecord:
    """Fit everything, and score it out of sample.

    Args:
        judged: Held-out images and their copies.
        kinds: Of training images, see `fit_kinds`; none where foreign images shall not be noticed.
        promise_f1: F1 that accepted images should have.
        promise_fraction: Fraction of accepted images that may not.

    Returns:
        The numbers for a model's header.

    Raises:
        InputError: fewer than `FEWEST_IMAGES` images, or than `FEWEST_WRONG` wrong or right objects.
    """
    features, right, groups = _stacked(judged)
    images = len({one.group for one in judged})
    fewest = int(min((right == 0).sum(), (right == 1).sum()))
    if images < FEWEST_IMAGES or fewest < FEWEST_WRONG:
        raise InputError(
            f"validation too small to fit verdicts on: {images} images, {fewest} right or wrong objects, expected "
            f"{FEWEST_IMAGES} and {FEWEST_WRONG}; annotate more images"
        )
    known = ~np.isnan(right)
    objects = fit_logistic({name: values[known] for name, values in features.items()}, right[known])
    apart = out_of_sample(judged, kinds)
    table = image_table(judged, apart.right)
    truth = np.array([one.f1 for one in judged])
    count_slope, count_names, count_error = fit_count(
        table, np.array([one.right.size for one in judged]), np.array([one.count for one in judged]), apart.f1
    )
    dice = np.array([one.expected_dice for one in judged])
    familiar = (apart.foreign <= 1) & (np.nan_to_num(dice) >= ACCEPT_DICE)
    record = TrustRecord(
        objects=objects,
        f1=fit_f1(table, truth),
        count_log_ratio=count_slope,
        count_features=count_names,
        count_error=count_error,
        accept_f1=round(accept_from(apart.f1[familiar], truth[familiar], below=promise_f1, fraction=promise_fraction), 4),
        accept_dice=ACCEPT_DICE,
        promise_f1=promise_f1,
        promise_fraction=promise_fraction,
        kinds=tuple(kinds),
        images=images,
    )
    return record


def out_of_sample(judged: Sequence[Judged], kinds: Sequence[ImageKind] = (), *, folds: int = FOLDS) -> OutOfSample:
    """Expectations for each image from models that were fitted on other images.

    Raises:
        InputError: fewer images than folds.
    """
    features, right, groups = _stacked(judged)
    known = ~np.isnan(right)
    probability = np.full(right.shape, math.nan)
    probability[known] = cross_fit({n: v[known] for n, v in features.items()}, right[known], groups[known], folds=folds)
    if not known.all():
        model = fit_logistic({n: v[known] for n, v in features.items()}, right[known])
        from ._logistic import apply_logistic

        probability[~known] = apply_logistic(model, {n: v[~known] for n, v in features.items()})
    ends = np.cumsum([one.right.size for one in judged])
    of_images = np.split(probability, ends[:-1])
    table = image_table(judged, of_images)
    expected = cross_fit_f1(table, np.array([one.f1 for one in judged]), np.array([one.group for one in judged]))
    foreign = [foreignness(one.statistics, kinds).ratio if kinds else 0.0 for one in judged]
    return OutOfSample(of_images, expected, np.array(foreign))


def image_table(judged: Sequence[Judged], right: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Feature → (m,) values of the images, those of the objects' probabilities among them."""
    rows = [{**one.image, **right_features(own)} for one, own in zip(judged, right, strict=True)]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def area_under_roc(score: np.ndarray, holds: np.ndarray) -> float:
    """Probability that a score is higher where something holds than where it does not, ties counted half.

    Returns:
        A value in [0, 1]; NaN where it always or never holds.

    Example:
        >>> area_under_roc(np.array([0.1, 0.9, 0.8]), np.array([False, True, True]))
        1.0
    """
    holds = holds.astype(bool)
    positive, negative = int(holds.sum()), int((~holds).sum())
    if not positive or not negative:
        return math.nan
    ranks = rankdata(score)
    return float((ranks[holds].sum() - positive * (positive + 1) / 2) / (positive * negative))


def _stacked(judged: Sequence[Judged]) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    names = list(judged[0].objects) if judged else []
    features = {name: np.concatenate([one.objects[name] for one in judged]) for name in names}
    right = np.concatenate([one.right for one in judged]) if judged else np.zeros(0)
    groups = np.concatenate([np.full(one.right.size, one.group, dtype=object) for one in judged]) if judged else right
    return features, right, groups.astype(str)
