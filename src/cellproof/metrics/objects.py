"""Object metrics: overlaps of two label images counted once, a one-to-one matching, and the formulas on its counts.

Pixels that the reference does not annotate are removed from both label images before anything is counted, and a
predicted object of which more than half lies in such pixels is dropped as a whole: it is neither right nor wrong.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..checks import InputError, check_labels, check_same_shape

THRESHOLDS = tuple(percent / 100 for percent in range(50, 100, 5))
"""IoU thresholds 0.5, 0.55, … 0.95."""


@dataclass(frozen=True, eq=False)
class Overlap:
    """Objects of two label images, and the pixels that each pair shares.

    Attributes:
        prediction_ids: (m,) ids of the predicted objects, ascending.
        reference_ids: (n,) ids of the reference objects, ascending.
        prediction_areas_px: (m,) their sizes, at least 1.
        reference_areas_px: (n,) their sizes, at least 1.
        pairs: (k, 2) places (reference, prediction) in the id lists of the pairs that touch, sorted.
        shared_px: (k,) pixels that the pair shares, at least 1.
    """

    prediction_ids: np.ndarray
    reference_ids: np.ndarray
    prediction_areas_px: np.ndarray
    reference_areas_px: np.ndarray
    pairs: np.ndarray
    shared_px: np.ndarray

    @property
    def iou(self) -> np.ndarray:
        """(k,) intersection over union of each touching pair, in (0, 1]."""
        areas = self.reference_areas_px[self.pairs[:, 0]] + self.prediction_areas_px[self.pairs[:, 1]]
        return np.asarray(self.shared_px / (areas - self.shared_px))


def overlap(prediction: np.ndarray, reference: np.ndarray, *, ignored: np.ndarray | None = None) -> Overlap:
    """Count the pixels that every pair of objects shares.

    Args:
        prediction: Label image, any shape, 0 is background; ids may have gaps.
        reference: Label image of the same shape.
        ignored: Boolean mask of pixels without annotation; see the policy at the head of this file.

    Returns:
        The overlap; with empty id lists where an image has no object.

    Raises:
        InputError: For different shapes, fractions, negative ids or ids from 2^63.

    Example:
        >>> overlap(np.array([[0, 1, 0]]), np.array([[0, 1, 2]])).reference_ids.tolist()
        [1, 2]
    """
    check_same_shape(prediction=prediction, reference=reference)
    check_labels(prediction=prediction, reference=reference)
    if ignored is not None:
        prediction, reference = without_ignored(prediction, reference, ignored=ignored)
    prediction_ids, prediction_areas_px, columns = _number(prediction)
    reference_ids, reference_areas_px, rows = _number(reference)
    shared = (rows > 0) & (columns > 0)
    width = max(len(prediction_ids), 1)
    codes, shared_px = np.unique((rows[shared] - 1) * width + (columns[shared] - 1), return_counts=True)
    return Overlap(
        prediction_ids=prediction_ids,
        reference_ids=reference_ids,
        prediction_areas_px=prediction_areas_px,
        reference_areas_px=reference_areas_px,
        pairs=np.stack(np.divmod(codes, width), axis=1),
        shared_px=shared_px,
    )


@dataclass(frozen=True, eq=False)
class Matching:
    """Pairs of objects that were found to be the same.

    Attributes:
        reference_ids: (t,) ids of the matched reference objects.
        prediction_ids: (t,) ids of their predicted partners.
        iou: (t,) intersection over union of each pair.
    """

    reference_ids: np.ndarray
    prediction_ids: np.ndarray
    iou: np.ndarray


def match(overlap: Overlap, threshold: float) -> Matching:
    """Pair objects one to one so that as many pairs as possible reach the threshold.

    Among matchings of that size the one with the largest total IoU is taken; pairs below the threshold take part in
    that total (and are then dropped), as in ``stardist.matching.matching``, whose counts these are.

    Args:
        overlap: Of the two label images.
        threshold: IoU that a pair must reach (≥), in (0, 1].

    Returns:
        The matched pairs, by ascending reference; empty when either image has no object.

    Raises:
        InputError: For a threshold outside (0, 1].

    Example:
        >>> match(overlap(np.array([[1, 2]]), np.array([[1, 0]])), 0.5).iou.tolist()
        [1.0]
    """
    if not 0 < threshold <= 1:
        raise InputError(f"threshold is {threshold}, expected an IoU in (0, 1]")
    chosen = _only_partners(overlap, threshold) if threshold >= 0.5 else _assign(overlap, threshold)
    rows, columns = overlap.pairs[chosen].T
    return Matching(overlap.reference_ids[rows], overlap.prediction_ids[columns], overlap.iou[chosen])


@dataclass(frozen=True)
class ObjectCounts:
    """Counts of a matching; ``a + b`` pools two images.

    Attributes:
        tp: Matched pairs.
        fp: Predicted objects without a partner.
        fn: Reference objects without a partner.
        iou_sum: Sum of the matched pairs' IoU.
    """

    tp: int
    fp: int
    fn: int
    iou_sum: float

    def __add__(self, other: ObjectCounts) -> ObjectCounts:
        return ObjectCounts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.iou_sum + other.iou_sum)


def count_matches(overlap: Overlap, threshold: float) -> ObjectCounts:
    """Match objects at an IoU threshold and count the pairs and what is left over.

    Example:
        >>> labels = np.repeat([[0, 1, 0, 2]], 3, axis=0)
        >>> count_matches(overlap(np.where(labels == 1, 1, 0), labels), 0.5)
        ObjectCounts(tp=1, fp=0, fn=1, iou_sum=1.0)
    """
    iou = match(overlap, threshold).iou
    tp = len(iou)
    return ObjectCounts(tp, len(overlap.prediction_ids) - tp, len(overlap.reference_ids) - tp, float(iou.sum()))


def average_precision(counts: ObjectCounts) -> float:
    """TP / (TP + FP + FN), in [0, 1]; NaN when there is no object at all.

    "Average precision" is the name in StarDist, Cellpose and the Data Science Bowl 2018; it has nothing to do with
    the area under a precision-recall curve, which COCO calls so.

    References:
        Caicedo et al. (2019). Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl.
        Nature Methods 16, 1247-1253. doi:10.1038/s41592-019-0612-7

    Example:
        >>> average_precision(ObjectCounts(3, 1, 2, 2.4))
        0.5
    """
    return _ratio(counts.tp, counts.tp + counts.fp + counts.fn)


def f1(counts: ObjectCounts) -> float:
    """2 TP / (2 TP + FP + FN), in [0, 1]; NaN when there is no object at all.

    Example:
        >>> f1(ObjectCounts(3, 1, 2, 2.4))
        0.6666666666666666
    """
    return _ratio(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn)


def precision(counts: ObjectCounts) -> float:
    """TP / (TP + FP), in [0, 1]; NaN when nothing was predicted.

    Example:
        >>> precision(ObjectCounts(3, 1, 2, 2.4))
        0.75
    """
    return _ratio(counts.tp, counts.tp + counts.fp)


def recall(counts: ObjectCounts) -> float:
    """TP / (TP + FN), in [0, 1]; NaN when the reference has no object.

    Example:
        >>> recall(ObjectCounts(3, 1, 2, 2.4))
        0.6
    """
    return _ratio(counts.tp, counts.tp + counts.fn)


def panoptic_quality(counts: ObjectCounts) -> float:
    """Sum of matched IoU / (TP + ½ FP + ½ FN), in [0, 1]; NaN when there is no object at all.

    References:
        Kirillov et al. (2019). Panoptic segmentation. CVPR, eq. 1. doi:10.1109/CVPR.2019.00963

    Example:
        >>> panoptic_quality(ObjectCounts(3, 1, 2, 2.4))
        0.5333333333333333
    """
    return _ratio(counts.iou_sum, counts.tp + counts.fp / 2 + counts.fn / 2)


def mean_matched_iou(counts: ObjectCounts) -> float:
    """Mean IoU of the matched pairs, in (0, 1]; NaN when nothing matched.

    Example:
        >>> mean_matched_iou(ObjectCounts(3, 1, 2, 2.4))
        0.7999999999999999
    """
    return _ratio(counts.iou_sum, counts.tp)


@dataclass(frozen=True)
class Mistakes:
    """What kind of errors were made; ``a + b`` pools two images.

    Two objects are linked when they share more than half of the smaller one's pixels.

    Attributes:
        merges: Predicted objects linked with two or more reference objects.
        splits: Reference objects linked with two or more predicted objects.
        misses: Reference objects linked with none.
        false: Predicted objects linked with none.
    """

    merges: int
    splits: int
    misses: int
    false: int

    def __add__(self, other: Mistakes) -> Mistakes:
        return Mistakes(
            self.merges + other.merges,
            self.splits + other.splits,
            self.misses + other.misses,
            self.false + other.false,
        )


def count_mistakes(overlap: Overlap) -> Mistakes:
    """Count merges, splits, misses and false objects; all 0 when there is no object at all.

    A link says that two objects mean the same thing, not that their outlines agree: a pair can be linked and yet
    fail an IoU threshold, so these counts explain false positives and negatives but do not add up to them.

    Example:
        >>> count_mistakes(overlap(np.array([[1, 1]]), np.array([[1, 2]])))
        Mistakes(merges=1, splits=0, misses=0, false=0)
    """
    rows, columns = overlap.pairs.T
    smaller_px = np.minimum(overlap.reference_areas_px[rows], overlap.prediction_areas_px[columns])
    linked = 2 * overlap.shared_px > smaller_px
    of_reference = np.bincount(rows[linked], minlength=len(overlap.reference_ids))
    of_prediction = np.bincount(columns[linked], minlength=len(overlap.prediction_ids))
    return Mistakes(
        merges=int((of_prediction > 1).sum()),
        splits=int((of_reference > 1).sum()),
        misses=int((of_reference == 0).sum()),
        false=int((of_prediction == 0).sum()),
    )


def without_ignored(prediction: np.ndarray, reference: np.ndarray, *, ignored: np.ndarray) -> tuple[np.ndarray, ...]:
    """Both label images without what the reference does not annotate; see the policy at the head of this file."""
    check_same_shape(reference=reference, ignored=ignored)
    _, areas_px, places = _number(prediction)
    ignored_px = np.bincount(places[ignored.ravel()], minlength=len(areas_px) + 1)
    dropped = 2 * ignored_px > np.concatenate([[np.iinfo(np.int64).max], areas_px])
    gone = ignored | dropped[places].reshape(ignored.shape)
    return np.where(gone, 0, prediction), np.where(ignored, 0, reference)


def _number(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids and areas of the objects, and for each pixel 1 + the place of its id; 0 for background."""
    if labels.dtype == np.uint64 and labels.size and labels.max() > np.iinfo(np.int64).max:
        raise InputError(f"a label image has id {labels.max()}, expected ids below 2^63; number its objects from 1")
    values = labels.ravel().astype(np.int64)
    if values.size and values.max() > 4 * values.size + 65535:
        # Ids far beyond the number of pixels would make a table of counts too long.
        ids, places, areas_px = np.unique(np.append(values, 0), return_inverse=True, return_counts=True)
        return ids[1:], areas_px[1:], places[:-1]
    areas_px = np.bincount(values, minlength=1)
    areas_px[0] = 0
    ids = np.flatnonzero(areas_px)
    place_of = np.zeros(len(areas_px), dtype=np.int64)
    place_of[ids] = np.arange(1, len(ids) + 1)
    return ids, areas_px[ids], place_of[values]


def _only_partners(overlap: Overlap, threshold: float) -> np.ndarray:
    """Pairs to keep when no object can have two partners of different IoU.

    Above 0.5 a pair shares more than half of each of its objects, so it is the only one of both. At exactly 0.5 an
    object may consist of two halves that are each a whole object: the pairs tie, and the first is taken.
    """
    good = np.flatnonzero(overlap.iou >= threshold)
    for side in (0, 1):
        _, first = np.unique(overlap.pairs[good, side], return_index=True)
        good = good[np.sort(first)]
    return good


def _assign(overlap: Overlap, threshold: float) -> np.ndarray:
    """Pairs of the optimal assignment, found on each connected group of touching objects on its own."""
    n, m = len(overlap.reference_ids), len(overlap.prediction_ids)
    rows, columns = overlap.pairs.T
    graph = coo_array((np.ones(len(rows), bool), (rows, n + columns)), shape=(n + m, n + m))
    _, group_of = connected_components(graph, directed=False)
    order = np.argsort(group_of[rows], kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(group_of[rows][order])) + 1)
    iou = overlap.iou
    chosen = np.concatenate([group[_assign_group(overlap.pairs[group], iou[group], threshold)] for group in groups])
    return np.sort(chosen[iou[chosen] >= threshold])


def _assign_group(pairs: np.ndarray, iou: np.ndarray, threshold: float) -> np.ndarray:
    """Places in `pairs` of an optimal assignment: most good pairs first, then the largest total IoU."""
    rows, columns = (np.unique(side, return_inverse=True)[1] for side in pairs.T)
    shape = (rows.max(initial=-1) + 1, columns.max(initial=-1) + 1)
    place = np.full(shape, -1)
    place[rows, columns] = np.arange(len(pairs))
    gain = np.zeros(shape)
    # The totals of IoU stay below ½, so they can never outweigh one more good pair.
    gain[rows, columns] = (iou >= threshold) + iou / (2 * max(min(shape), 1))
    found = place[linear_sum_assignment(gain, maximize=True)]
    return np.asarray(found[found >= 0])


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else math.nan
