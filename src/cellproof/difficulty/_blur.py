"""Gaussian blurs of an image at many widths, each known at as many pixels as its width asks for.

A blur holds no detail finer than its width: its values at every width-th pixel say all that a statistic of it needs,
and the next, wider blur is made of those alone.

References:
    Burt, Adelson (1983). The Laplacian pyramid as a compact image code. IEEE Transactions on Communications 31(4),
    532-540. doi:10.1109/TCOM.1983.1095851
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from ..checks import InputError, check_ndim

TRUNCATE = 3.0
"""A blur looks so many widths far."""

FEWEST_SAMPLES = 16
"""Along each side at least so many pixels are sampled, where an image has them."""


def sampled_blurs(image: np.ndarray, widths_px: Sequence[float]) -> Iterator[tuple[int, np.ndarray]]:
    """Blur an image more and more.

    Args:
        image: (H, W), mirrored at its edges.
        widths_px: Standard deviations of the blurs, above 0 and ascending.

    Yields:
        For each width a step, a power of two that is at most the width or 1, and the blur at every step-th row and
        column from the first on, float32. Steps never shrink. Its values are those of a blur of the whole image but
        for what pixels between the samples of the blur before add.

    Raises:
        InputError: the image is not two-dimensional, or widths do not ascend.

    Example:
        >>> [(step, blurred.shape) for step, blurred in sampled_blurs(np.zeros((64, 80)), [1, 2, 4])]
        [(1, (64, 80)), (2, (32, 40)), (4, (16, 20))]
    """
    check_ndim(2, image=image)
    if any(wide <= narrow for narrow, wide in zip((0.0, *widths_px), widths_px, strict=False)):
        raise InputError(f"widths_px is {list(widths_px)}; expected widths above 0, in ascending order")
    blurred, before_px, step = image.astype(np.float32, copy=False), 0.0, 1
    coarsest = max(min(image.shape) // FEWEST_SAMPLES, 1)
    for width_px in widths_px:
        # Variances of blurs in succession add up.
        left = math.sqrt(width_px**2 - before_px**2) / step
        coarser = step
        while 2 * coarser <= min(width_px, coarsest):
            coarser *= 2
        blurred = _blur(_blur(blurred, left, coarser // step, axis=0), left, coarser // step, axis=1)
        before_px, step = width_px, coarser
        yield step, blurred


def _blur(image: np.ndarray, width: float, step: int, *, axis: int) -> np.ndarray:
    """The image blurred along an axis, of which every step-th place is kept."""
    radius, length = int(TRUNCATE * width + 0.5), image.shape[axis]
    weights = np.exp(-0.5 * (np.arange(radius + 1) / width) ** 2)
    weights = (weights / (2 * weights.sum() - 1)).astype(np.float32)
    padding = [(0, 0), (0, 0)]
    padding[axis] = (radius, radius)
    padded = np.pad(image, padding, mode="symmetric")

    def moved(by: int) -> np.ndarray:
        kept = slice(radius + by, radius + by + length, step)
        return padded[kept] if axis == 0 else padded[:, kept]

    blurred: np.ndarray = moved(0) * weights[0]
    for away in range(1, radius + 1):
        beside = moved(-away) + moved(away)
        beside *= weights[away]
        blurred += beside
    return blurred
