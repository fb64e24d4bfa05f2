"""Few numbers for what a network's coarsest features are like: their place in a small space, and how far beside it.

References:
    Lee, Lee, Lee, Shin (2018). A simple unified framework for detecting out-of-distribution samples and adversarial
    attacks. NeurIPS. arXiv:1807.03888 (Mahalanobis distance of deep features, class by class).
    Hotelling (1933). Analysis of a complex of statistical variables into principal components. Journal of
    Educational Psychology 24, 417-441. doi:10.1037/h0071325
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..checks import InputError, check_ndim
from ..types import DeepProjection

DIRECTIONS = 24
"""Of the space; more catch more foreign images, and take more bad images of a known kind for foreign."""

UNIT = 6.0
"""Places are told in so many standard deviations, so that they spread about as much as other statistics."""

SMALLEST_SD = 1e-3
"""Of a feature; one that hardly ever changes would else count for all others."""


def fit_projection(deep: np.ndarray, kinds: Sequence[str], *, directions: int = DIRECTIONS) -> DeepProjection:
    """The directions in which training images differ most.

    Args:
        deep: (n, F) features of the images, n at least 2.
        kinds: Of each. A kind counts as the square root of its number of images.
        directions: At most so many; fewer where there are fewer images or features.

    Raises:
        InputError: another number of kinds, fewer than 2 images, or a number that is not finite.

    Example:
        >>> deep = np.array([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0]])
        >>> fit_projection(deep, ["gray"] * 3, directions=1).directions
        (1.0, 0.0)
    """
    check_ndim(2, deep=deep)
    if len(deep) != len(kinds) or len(deep) < 2 or not np.isfinite(deep).all():
        raise InputError(
            f"deep has shape {deep.shape} for {len(kinds)} kinds' names; give finite features of at least 2 images"
        )
    _, number, counts = np.unique(np.array(list(kinds)), return_inverse=True, return_counts=True)
    weight = 1 / np.sqrt(counts)[number]
    weight /= weight.sum()
    mean = weight @ deep
    sd = np.maximum(np.sqrt(weight @ (deep - mean) ** 2), SMALLEST_SD)
    rows = np.sqrt(weight)[:, None] * (deep - mean) / sd
    found = np.linalg.svd(rows, full_matrices=False)[2][:directions]
    # A direction and its opposite are the same; the one chosen is that of a positive largest number.
    found *= np.sign(found[np.arange(len(found)), np.abs(found).argmax(axis=1)])[:, None]
    return DeepProjection(mean=_numbers(mean, 5), sd=_numbers(sd, 5), directions=_numbers(found.ravel() + 0.0, 4))


def deep_statistics(projection: DeepProjection, deep: np.ndarray | None) -> dict[str, float]:
    """An image's place in the space, and how far it lies beside it.

    Args:
        projection: From `fit_projection`.
        deep: (F,) features; None where a network gives none.

    Returns:
        ``deep_1``…``deep_k``, each in units of `UNIT` standard deviations of a feature, and ``deep_rest``, the log of
        the distance from the space; NaN without features, which counts as usual.

    Raises:
        InputError: another number of features.

    Example:
        >>> projection = DeepProjection(mean=(0.0, 0.0), sd=(1.0, 1.0), directions=(1.0, 0.0))
        >>> deep_statistics(projection, np.array([6.0, 1.0]))
        {'deep_1': 1.0, 'deep_rest': 0.0}
    """
    features = len(projection.mean)
    directions = np.array(projection.directions).reshape(-1, features)
    names = [f"deep_{number}" for number in range(1, len(directions) + 1)]
    if deep is None:
        return dict.fromkeys([*names, "deep_rest"], math.nan)
    if deep.shape != (features,):
        raise InputError(f"deep has shape {deep.shape}, expected ({features},), those that the projection was made of")
    standard = (deep - np.array(projection.mean)) / np.array(projection.sd)
    places = directions @ standard
    rest = float(np.linalg.norm(standard - places @ directions))
    found = dict(zip(names, (places / UNIT).tolist(), strict=True))
    return {**found, "deep_rest": math.log(max(rest, 0.03))}


def _numbers(values: np.ndarray, digits: int) -> tuple[float, ...]:
    return tuple(round(float(value), digits) for value in values)
