"""How well a score tells wrong pixels from right ones, whatever its scale."""

from __future__ import annotations

import math

import numpy as np

from ..checks import check_finite, check_same_shape


def auroc(score: np.ndarray, wrong: np.ndarray) -> float:
    """Chance that a wrong pixel has a higher score than a right one; a tie counts half.

    This is the area under the curve of receiver operating characteristics, computed exactly as the Mann-Whitney
    statistic: two sorts, and every wrong score is looked up among the right ones. For several images, give their
    annotated pixels joined: pooled, a score must also rank the pixels of one image against those of another.

    Args:
        score: Any shape, higher where an error is more likely; NaN is refused.
        wrong: Booleans of the same shape, whether the pixel is an error.

    Returns:
        A value in [0, 1]: 1 where every error has a higher score than all else, 0.5 for chance or a constant score.
        NaN where nothing is wrong or everything is: such a set says nothing about the score.

    Raises:
        InputError: shapes differ, or a score is not finite.

    References:
        Mann, Whitney (1947). On a test of whether one of two random variables is stochastically larger than the
        other. Annals of Mathematical Statistics 18(1), 50-60. doi:10.1214/aoms/1177730491
        Hanley, McNeil (1982). The meaning and use of the area under a receiver operating characteristic (ROC) curve.
        Radiology 143(1), 29-36. doi:10.1148/radiology.143.1.7063747

    Example:
        >>> auroc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, True, False, True]))
        0.875
    """
    check_same_shape(score=score, wrong=wrong)
    check_finite(score=score)
    is_wrong = wrong.astype(bool, copy=False)
    of_wrong, of_right = np.sort(score[is_wrong], axis=None), np.sort(score[~is_wrong], axis=None)
    pairs = of_wrong.size * of_right.size
    if not pairs:
        return math.nan
    lower = np.searchsorted(of_right, of_wrong, side="left").sum(dtype=np.int64)
    not_higher = np.searchsorted(of_right, of_wrong, side="right").sum(dtype=np.int64)
    return (int(lower) + int(not_higher)) / (2 * pairs)
