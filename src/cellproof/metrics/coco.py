"""Average precision as COCO computes it: ranked by score over all images, interpolated at 101 recalls.

References:
    Lin et al. (2014). Microsoft COCO: common objects in context. ECCV. doi:10.1007/978-3-319-10602-1_48
    pycocotools, ``cocoeval.py``: ``evaluateImg`` and ``accumulate``, here without crowds and ranges of areas
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..checks import InputError
from .objects import THRESHOLDS, Overlap

MOST_DETECTIONS = 2000
"""Objects of an image that count, the surest first; COCO's 100 would cut off images of cells."""

RECALLS = np.linspace(0, 1, 101)

_BARELY_BELOW_ONE = 1 - 1e-10


@dataclass(frozen=True, eq=False)
class RankedImage:
    """What one image adds.

    Attributes:
        scores: (m,) of the predicted objects, falling.
        matched: (thresholds, m) bool, whether each found a reference object.
        n_reference: Number of reference objects.
    """

    scores: np.ndarray
    matched: np.ndarray
    n_reference: int


def rank(
    overlap: Overlap,
    scores: np.ndarray,
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    most_detections: int = MOST_DETECTIONS,
) -> RankedImage:
    """Match the objects of one image greedily, the surest first, each to the free reference object of highest IoU.

    Args:
        overlap: Of prediction and reference.
        scores: (m,) how sure each predicted object is, in the order of ``overlap.prediction_ids``.
        thresholds: IoU that a pair must reach.
        most_detections: Objects that count.

    Raises:
        InputError: Not one score for each object.

    Examples:
        >>> from cellproof.metrics.objects import overlap
        >>> found = overlap(np.array([[1, 1, 2]]), np.array([[1, 1, 0]]))
        >>> rank(found, np.array([0.4, 0.9]), thresholds=(0.5,)).matched.tolist()
        [[False, True]]
    """
    if scores.shape != overlap.prediction_ids.shape:
        raise InputError(
            f"scores have shape {scores.shape}, expected one for each of {len(overlap.prediction_ids)} objects"
        )
    order = np.argsort(-scores, kind="stable")[:most_detections]
    partners: dict[int, list[tuple[int, float]]] = {}
    for (reference, prediction), iou in zip(overlap.pairs.tolist(), overlap.iou.tolist(), strict=True):
        partners.setdefault(prediction, []).append((reference, iou))
    matched = np.zeros((len(thresholds), len(order)), bool)
    for place, threshold in enumerate(thresholds):
        taken: set[int] = set()
        for position, prediction in enumerate(order.tolist()):
            best = min(threshold, _BARELY_BELOW_ONE)
            found = None
            for reference, iou in partners.get(prediction, ()):
                if reference not in taken and iou >= best:
                    best, found = iou, reference
            if found is not None:
                taken.add(found)
                matched[place, position] = True
    return RankedImage(scores[order], matched, len(overlap.reference_ids))


def average_precision(images: Sequence[RankedImage]) -> np.ndarray:
    """Average precision at each threshold over all images.

    Args:
        images: At least one, all ranked with the same thresholds.

    Returns:
        (thresholds,) in [0, 1]; NaN where no image has a reference object.

    Example:
        >>> from cellproof.metrics.objects import overlap
        >>> labels = np.array([[1, 1, 0, 2]])
        >>> ranked = rank(overlap(labels, labels), np.array([0.9, 0.8]))
        >>> round(float(average_precision([ranked])[0]), 3)
        1.0
    """
    thresholds = len(images[0].matched)
    wanted = sum(image.n_reference for image in images)
    if not wanted:
        return np.full(thresholds, math.nan)
    order = np.argsort(-np.concatenate([image.scores for image in images]), kind="stable")
    matched = np.concatenate([image.matched for image in images], axis=1)[:, order]
    right, wrong = np.cumsum(matched, axis=1), np.cumsum(~matched, axis=1)
    return np.array([_interpolated(r / wanted, r / np.maximum(r + w, 1)) for r, w in zip(right, wrong, strict=True)])


def _interpolated(recall: np.ndarray, precision: np.ndarray) -> float:
    """Mean over `RECALLS` of the largest precision at that recall or a higher one; 0 beyond the last."""
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(envelope[np.searchsorted(recall, RECALLS, side="left")].mean())
