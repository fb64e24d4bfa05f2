"""Two methods on the same images: how much better one is, and whether that may be chance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..checks import check_same_shape
from .bootstrap import FEWEST_IMAGES


@dataclass(frozen=True)
class Paired:
    """The difference of two methods over the images on which both have a score.

    Attributes:
        n_images: Number of these images.
        difference: Mean over images of value less baseline; NaN without images.
        interval: 95 % percentile bootstrap interval of it; None for fewer than `FEWEST_IMAGES`.
        p_value: Two-sided Wilcoxon signed-rank test; None for fewer than `FEWEST_IMAGES`.
    """

    n_images: int
    difference: float
    interval: tuple[float, float] | None
    p_value: float | None


def compare(values: np.ndarray, baseline: np.ndarray, *, seed: int = 0, draws: int = 2000) -> Paired:
    """Compare two methods image by image.

    Args:
        values: (n,) scores of the images; NaN where one is undefined, then the image is left out.
        baseline: (n,) scores of the same images by the other method.
        seed: Seed of the bootstrap.
        draws: Number of resampled sets of images.

    Raises:
        InputError: Different lengths.

    References:
        Wilcoxon (1945). Individual comparisons by ranking methods. Biometrics Bulletin 1(6), 80-83.
        doi:10.2307/3001968

    Examples:
        >>> compare(np.array([0.9, 0.8, 0.7, 0.9, 0.8, 0.6]), np.array([0.8, 0.7, 0.6, 0.7, 0.7, 0.5])).p_value
        0.03125
    """
    check_same_shape(values=values, baseline=baseline)
    differences = np.asarray(values, float) - np.asarray(baseline, float)
    differences = differences[np.isfinite(differences)]
    n_images = len(differences)
    mean = float(differences.mean()) if n_images else math.nan
    if n_images < FEWEST_IMAGES:
        return Paired(n_images, mean, None, None)
    drawn = np.random.default_rng(seed).integers(n_images, size=(draws, n_images))
    low, high = np.percentile(differences[drawn].mean(axis=1), [2.5, 97.5])
    return Paired(n_images, mean, (float(low), float(high)), _wilcoxon(differences))


def _wilcoxon(differences: np.ndarray) -> float:
    from scipy.stats import wilcoxon  # takes half a second to import

    # Rounded, for 0.9 - 0.8 and 0.7 - 0.6 are ties that binary fractions break.
    rounded = np.round(differences, 12)
    return float(wilcoxon(rounded).pvalue) if rounded.any() else 1.0
