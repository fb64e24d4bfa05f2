"""The score of the Sartorius competition: mean over images of the mean over IoU thresholds of TP / (TP + FP + FN).

References:
    Sartorius Cell Instance Segmentation (Kaggle 2021), page "Evaluation"; the same as that of the Data Science Bowl
    2018 (Caicedo et al. 2019, Nature Methods 16, 1247-1253, doi:10.1038/s41592-019-0612-7), where a pair counts whose
    IoU is greater than the threshold.
"""

from __future__ import annotations

import math
from statistics import fmean

import numpy as np

from .objects import Overlap

THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def precision_at(overlap: Overlap, threshold: float) -> float:
    """TP / (TP + FP + FN) of one image; a pair of objects is right when its IoU is above the threshold.

    Above 0.5 each object has one partner at most, so that nothing has to be assigned.

    Args:
        overlap: Of prediction and reference.
        threshold: At least 0.5.

    Returns:
        In [0, 1]; NaN where neither has an object.

    Examples:
        >>> from cellproof.metrics.objects import overlap
        >>> reference, prediction = np.array([[1, 1, 1, 1, 2, 2]]), np.array([[1, 1, 1, 0, 0, 2]])
        >>> precision_at(overlap(prediction, reference), 0.5)  # IoU 3/4 counts, 1/2 is not above
        0.3333333333333333
    """
    right = int((overlap.iou > threshold).sum())
    objects = len(overlap.reference_ids) + len(overlap.prediction_ids) - right
    return right / objects if objects else math.nan


def image_score(overlap: Overlap) -> float:
    """Mean of `precision_at` over 0.5, 0.55 … 0.95; NaN where neither side has an object.

    Example:
        >>> from cellproof.metrics.objects import overlap
        >>> labels = np.array([[1, 1, 0, 2]])
        >>> image_score(overlap(labels, labels))
        1.0
    """
    return fmean(precision_at(overlap, threshold) for threshold in THRESHOLDS)


def mean_score(scores: list[float]) -> float:
    """Mean over the images where it is defined; NaN without any.

    Examples:
        >>> mean_score([0.5, math.nan, 1.0])
        0.75
    """
    defined = np.array([score for score in scores if not math.isnan(score)])
    return float(defined.mean()) if defined.size else math.nan
