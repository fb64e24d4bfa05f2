"""Bootstrap intervals over images: how much a pooled score owes to which images were taken."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

FEWEST_IMAGES = 5
"""From fewer images no interval is made: what they happen to have in common would pass for certainty."""


def bootstrap_interval(
    counts: np.ndarray,
    formula: Callable[[np.ndarray], float],
    *,
    rng: np.random.Generator,
    draws: int = 1000,
) -> tuple[float, float]:
    """95 % percentile interval of a score of pooled counts, images drawn with replacement.

    Args:
        counts: (n, c) counts of n images, in whatever columns the formula wants.
        formula: Score of one (c,) sum of counts.
        rng: Source of the draws.
        draws: Number of resampled sets of n images.

    Returns:
        The 2.5th and 97.5th percentile. Draws whose score is NaN are left out; both are NaN for fewer than
        `FEWEST_IMAGES` images, or when every draw is NaN.

    References:
        Efron (1979). Bootstrap methods: another look at the jackknife. Annals of Statistics 7(1), 1-26.
        doi:10.1214/aos/1176344552

    Example:
        >>> counts = np.array([[1, 1], [0, 1], [1, 1], [1, 1], [1, 1]])  # right and all, of five images
        >>> low, high = bootstrap_interval(counts, lambda sums: sums[0] / sums[1], rng=np.random.default_rng(0))
        >>> bool(0 <= low <= 0.8 <= high <= 1)
        True
    """
    images = len(counts)
    if images < FEWEST_IMAGES:
        return math.nan, math.nan
    times_drawn = rng.multinomial(images, np.full(images, 1 / images), size=draws)
    scores = np.array([formula(pooled) for pooled in times_drawn @ counts])
    scores = scores[~np.isnan(scores)]
    if not scores.size:
        return math.nan, math.nan
    low, high = np.percentile(scores, [2.5, 97.5])
    return float(low), float(high)
