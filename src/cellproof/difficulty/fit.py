"""Everything by which a model judges its own results, fitted on held-out images and degraded copies of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from scipy.stats import rankdata, spearmanr

from ..checks import InputError
from ..types import Promise, TrustRecord
from ._logistic import apply_logistic, fit_logistic
from .calibration import expected_calibration_error
from .foreign import Familiar, foreignness
from .image_trust import (
    USUAL_PROMISE,
    accept_from,
    apply_count,
    cross_fit_f1,
    fit_count,
    fit_f1,
    mean_features,
    right_features,
)
from .object_trust import fold_masks
from .quality import ACCEPT_DICE

FOLDS = 5

FEWEST_IMAGES = 10
"""Held-out images below which nothing is fitted."""

FEWEST_WRONG = 20
"""Wrong objects, and right ones, below which nothing is fitted."""

ORIGINAL_WEIGHT = 4.0
"""An image as it is counts so many times as much as a degraded copy of it."""

GOOD_F1 = 0.9
"""Images above this should be accepted."""

STRANGERS = Familiar()
"""No kind is known, and no image is foreign."""


@dataclass(frozen=True)
class Judged:
    """One held-out image, or a degraded copy of one, with its truth.

    Attributes:
        group: The image; copies share it, and are never fitted on and tried with at once.
        is_copy: Whether it is degraded.
        objects: Feature → (n,), see `object_features` and `with_image`.
        right: (n,) 1 for right, 0 for wrong, NaN for unknown.
        image: Feature → number, see `image_features`.
        statistics: See `image_statistics`.
        expected_dice: NaN where nothing is foreground.
        f1: True F1 at IoU 0.5; NaN without any object.
        dice: True Dice of the foreground; NaN without any foreground.
        count: Reference objects.
        deep: (F,) features of the network, see `fit_projection`; None where it gives none.
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
    deep: np.ndarray | None = None


@dataclass(frozen=True)
class OutOfSample:
    """What the images are given by models that did not see them.

    Attributes:
        right: Of each image (n,) probabilities of its objects.
        f1: (m,) expected F1 of the images.
        count: (m, 2) expected number of objects, and its standard deviation.
        foreign: (m,) distance over the line, above 1 for foreign; 0 without kinds.
        accept_f1: (m,) expected F1 from which on each is accepted.
    """

    right: Sequence[np.ndarray]
    f1: np.ndarray
    count: np.ndarray
    foreign: np.ndarray
    accept_f1: np.ndarray


def fit_trust(
    judged: Sequence[Judged],
    familiar: Familiar = STRANGERS,
    *,
    promise: Promise = USUAL_PROMISE,
) -> TrustRecord:
    """Fit everything, and score it out of sample.

    Args:
        judged: Held-out images and their copies.
        familiar: What kinds of training images look like, see `fit_kinds`.
        promise: What accepted images shall keep.

    Returns:
        The numbers for a model's header.

    Raises:
        InputError: fewer than `FEWEST_IMAGES` images, or than `FEWEST_WRONG` wrong or right objects.
    """
    features, right, _, weights = _stacked(judged)
    images = len({one.group for one in judged})
    fewest = int(min((right == 0).sum(), (right == 1).sum()))
    if images < FEWEST_IMAGES or fewest < FEWEST_WRONG:
        raise InputError(
            f"validation too small to fit verdicts on: {images} images, {fewest} right or wrong objects, expected "
            f"{FEWEST_IMAGES} and {FEWEST_WRONG}; annotate more images"
        )
    known = ~np.isnan(right)
    apart = out_of_sample(judged, familiar, promise=promise)
    table, truth = image_table(judged, apart.right), np.array([one.f1 for one in judged])
    counting = fit_count(table, *_counts(judged), apart.f1)
    asked = _promised(judged, apart)
    expected, true = apart.f1[asked], truth[asked]
    record = TrustRecord(
        objects=fit_logistic(_rows(features, known), right[known], weights=weights[known]),
        f1=fit_f1(table, truth, weights=_weights(judged)),
        count_log_ratio=counting.log_ratio,
        count_features=counting.features,
        count_error=counting.error,
        accept_f1=round(accept_from(expected, true, below=promise.below, fraction=promise.fraction), 4),
        accept_dice=ACCEPT_DICE,
        promise_f1=promise.below,
        promise_fraction=promise.fraction,
        deep=familiar.projection,
        kinds=familiar.kinds,
        held_out_expected=tuple(expected.round(4).tolist()),
        held_out_true=tuple(true.round(4).tolist()),
        images=images,
    )
    return msgspec.structs.replace(record, metrics=measure_trust(judged, apart, record))


def out_of_sample(
    judged: Sequence[Judged],
    familiar: Familiar = STRANGERS,
    *,
    promise: Promise = USUAL_PROMISE,
    folds: int = FOLDS,
) -> OutOfSample:
    """Expectations for each image from models that were fitted on other images.

    Args:
        judged: Held-out images and their copies; objects of unknown truth get a probability, but teach nothing.
        familiar: What kinds of training images look like.
        promise: What accepted images shall keep.
        folds: Number of models.

    Raises:
        InputError: fewer images than folds.
    """
    features, right, groups, weights = _stacked(judged)
    probability = np.empty(right.shape)
    for out in fold_masks(groups, folds):
        taught = ~out & ~np.isnan(right)
        model = fit_logistic(_rows(features, taught), right[taught], weights=weights[taught])
        probability[out] = apply_logistic(model, _rows(features, out))
    of_images = np.split(probability, np.cumsum([one.right.size for one in judged])[:-1])
    table, images = image_table(judged, of_images), np.array([one.group for one in judged])
    truth = np.array([one.f1 for one in judged])
    expected = cross_fit_f1(table, truth, images, weights=_weights(judged), folds=folds)
    found, true = _counts(judged)
    count = np.empty((len(judged), 2))
    for out in fold_masks(images, folds):
        fitted = fit_count(_rows(table, ~out), found[~out], true[~out], expected[~out])
        for place in np.flatnonzero(out):
            evidence = {name: values[place] for name, values in table.items()}
            count[place] = apply_count(fitted, evidence, int(found[place]), expected[place])
    foreign = np.array([foreign_ratio(one, familiar) for one in judged])
    apart = OutOfSample(of_images, expected, count, foreign, np.empty(len(judged)))
    asked = _promised(judged, apart)
    for out in fold_masks(images, folds):
        rest = asked & ~out
        apart.accept_f1[out] = accept_from(expected[rest], truth[rest], below=promise.below, fraction=promise.fraction)
    return apart


def foreign_ratio(judged: Judged, familiar: Familiar) -> float:
    """Distance of an image from the nearest kind over the line, above 1 for foreign; 0 without kinds."""
    if not familiar.kinds:
        return 0.0
    found = foreignness(judged.statistics, familiar.kinds, projection=familiar.projection, deep=judged.deep)
    return found.ratio


def measure_trust(judged: Sequence[Judged], apart: OutOfSample, record: TrustRecord) -> dict[str, float]:
    """How well objects and images are ranked, calibrated and accepted out of sample.

    Args:
        judged: Images with their truth.
        apart: What they were given by models that did not see them.
        record: Its thresholds decide which images are accepted.

    Returns:
        Name → value; what cannot be told, as a rank of images without a truth, is left out.
    """
    right = np.concatenate([one.right for one in judged])
    given = np.concatenate(apart.right)
    known = ~np.isnan(right)
    f1 = np.array([one.f1 for one in judged])
    told = ~np.isnan(f1)
    accepted = is_accepted(judged, apart, accept_dice=record.accept_dice)
    dice = np.array([[one.expected_dice, one.dice] for one in judged])
    sure = ~np.isnan(dice).any(axis=1)
    counts = _counts(judged)[1]
    good = f1 > GOOD_F1
    values = {
        "objects": float(known.sum()),
        "object_auroc": area_under_roc(given[known], right[known]),
        "object_calibration_error": expected_calibration_error(given[known], right[known] > 0),
        "f1_rank_correlation": rank_correlation(apart.f1[told], f1[told]),
        "f1_error": float(np.abs(apart.f1 - f1)[told].mean()) if told.any() else math.nan,
        "dice_rank_correlation": rank_correlation(*dice[sure].T),
        "count_rank_correlation": rank_correlation(apart.count[:, 0], counts),
        "count_within_sd": float((np.abs(apart.count[:, 0] - counts) <= apart.count[:, 1]).mean()),
        "accepted": float(accepted.sum()),
        "accepted_below_promise": float((accepted & (f1 < record.promise_f1)).sum()) / max(int(accepted.sum()), 1),
        "good_accepted": float((accepted & good).sum()) / max(int(good.sum()), 1),
    }
    return {name: round(value, 4) for name, value in values.items() if not math.isnan(value)}


def is_accepted(judged: Sequence[Judged], apart: OutOfSample, *, accept_dice: float = ACCEPT_DICE) -> np.ndarray:
    """Whether each image is accepted, (m,) bool; one without objects never is."""
    dice = np.nan_to_num(np.array([one.expected_dice for one in judged]))
    found = np.array([one.right.size > 0 for one in judged])
    accepted: np.ndarray = found & (apart.f1 >= apart.accept_f1) & (dice >= accept_dice) & (apart.foreign <= 1)
    return accepted


def image_table(judged: Sequence[Judged], right: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Feature → (m,) values of the images, those of the objects and of their probabilities among them."""
    rows = [
        {**one.image, **right_features(own), **mean_features(one.objects)}
        for one, own in zip(judged, right, strict=True)
    ]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's; NaN for fewer than 3, or where one never changes.

    Example:
        >>> rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([1.0, 10.0, 100.0]))
        1.0
    """
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return math.nan
    return float(spearmanr(one, other).statistic)


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


def _promised(judged: Sequence[Judged], apart: OutOfSample) -> np.ndarray:
    """Which images a promise is about, (m,) bool: familiar, of enough expected Dice, and with a known truth."""
    dice = np.nan_to_num(np.array([one.expected_dice for one in judged]))
    truth = np.array([one.f1 for one in judged])
    asked: np.ndarray = (apart.foreign <= 1) & (dice >= ACCEPT_DICE) & ~np.isnan(truth)
    return asked


def _counts(judged: Sequence[Judged]) -> tuple[np.ndarray, np.ndarray]:
    """(m,) objects found, and those of the reference."""
    return np.array([one.right.size for one in judged]), np.array([one.count for one in judged])


def _weights(judged: Sequence[Judged]) -> np.ndarray:
    return np.array([1.0 if one.is_copy else ORIGINAL_WEIGHT for one in judged])


def _stacked(judged: Sequence[Judged]) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray]:
    """Features, truth, image and weight of all objects."""
    if not judged:
        return {}, np.zeros(0), np.zeros(0, str), np.zeros(0)
    features = {name: np.concatenate([one.objects[name] for one in judged]) for name in judged[0].objects}
    sizes = [one.right.size for one in judged]
    groups = np.repeat(np.array([one.group for one in judged]), sizes)
    return features, np.concatenate([one.right for one in judged]), groups, np.repeat(_weights(judged), sizes)


def _rows(features: Mapping[str, np.ndarray], chosen: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values[chosen] for name, values in features.items()}
