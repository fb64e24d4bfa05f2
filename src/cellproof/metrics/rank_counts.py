"""The area under the ROC curve from counts that add up over images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..checks import InputError, check_finite, check_same_shape

_DROPPED_BITS = 15
_BINS = (0x3F800000 >> _DROPPED_BITS) + 1
"""Scores in [0, 1] are sorted by the first bits of their 32-bit form: bins are at most 0.4 % wide, also near 0, where
linear bins would throw all sure pixels together."""


@dataclass(frozen=True, eq=False)
class RankCounts:
    """Histograms of a score; ``a + b`` pools two images.

    Attributes:
        right: (bins,) int64, pixels without an error, by score.
        wrong: (bins,) int64, errors, by score.
    """

    right: np.ndarray
    wrong: np.ndarray

    def __add__(self, other: RankCounts) -> RankCounts:
        return RankCounts(self.right + other.right, self.wrong + other.wrong)


def count_ranks(score: np.ndarray, wrong: np.ndarray) -> RankCounts:
    """Count scores of errors and of the rest.

    Args:
        score: Any shape, in [0, 1], higher where an error is more likely.
        wrong: Booleans of the same shape.

    Raises:
        InputError: Shapes differ, or a score is not finite or outside of [0, 1].
    """
    check_same_shape(score=score, wrong=wrong)
    check_finite(score=score)
    if score.size and not (score.min() >= 0 and score.max() <= 1):
        raise InputError(f"score runs from {score.min():g} to {score.max():g}; expected 0 to 1")
    # + 0.0 turns the negative zero, whose first bit is set, into zero.
    bins = np.ascontiguousarray(score, np.float32).ravel() + np.float32(0)
    numbers = bins.view(np.uint32) >> _DROPPED_BITS
    is_wrong = wrong.ravel().astype(bool)
    return RankCounts(np.bincount(numbers[~is_wrong], minlength=_BINS), np.bincount(numbers[is_wrong], minlength=_BINS))


def auroc_of_counts(counts: RankCounts) -> float:
    """Chance that an error has a higher score than a right pixel; scores in one bin are ties, which count half.

    Returns:
        A value in [0, 1]; NaN where nothing is wrong or everything is.

    Examples:
        >>> counts = count_ranks(np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, True, False, True]))
        >>> auroc_of_counts(counts)
        0.875
    """
    pairs = int(counts.right.sum()) * int(counts.wrong.sum())
    if not pairs:
        return math.nan
    below = np.cumsum(counts.right) - counts.right
    return float((counts.wrong * (2 * below + counts.right)).sum() / (2 * pairs))
