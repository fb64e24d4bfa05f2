"""Hits, misses and false objects on the image that they belong to."""

from __future__ import annotations

import numpy as np

from ..checks import check_labels, check_ndim, check_same_shape
from ._display import displayed
from ._outlines import outline_mask
from .overlay import block_means, block_step

HIT, MISSED, FALSE = "#3cbeff", "#ffe128", "#ff3c0a"
"""Light blue, yellow and orange-red differ in brightness too, and for every kind of color vision."""

_TINT = 0.3


def hits_overlay(
    image: np.ndarray, *, hits: np.ndarray, missed: np.ndarray, false: np.ndarray, max_px: int | None = None
) -> np.ndarray:
    """Tint and outline what was found, what was missed, and what is not there.

    Where they overlap, a miss lies over a hit, and a false object over both.

    Args:
        image: (C, H, W) as read, any dtype.
        hits: (H, W) predicted objects that have a partner, by id; a mask of 0 and 1 for classes of pixels.
        missed: Reference objects without one.
        false: Predicted objects without one.
        max_px: Shrink to at most this height and width before drawing.

    Returns:
        (H, W, 3) uint8.

    Raises:
        InputError: When the shapes do not fit, or an id is negative or no whole number.

    Examples:
        >>> nothing, one = np.zeros((8, 8), int), np.zeros((8, 8), int)
        >>> one[2:6, 2:6] = 1
        >>> hits_overlay(np.zeros((1, 8, 8)), hits=one, missed=nothing, false=nothing)[2, 2].tolist()
        [60, 190, 255]
    """
    check_ndim(3, image=image)
    check_ndim(2, hits=hits, missed=missed, false=false)
    check_labels(hits=hits, missed=missed, false=false)
    check_same_shape(image=image[0], hits=hits, missed=missed, false=false)
    step = block_step(hits, max_px)
    rgb = displayed(block_means(image, step))
    rows, columns = rgb.shape[:2]
    for labels, color in ((hits, HIT), (missed, MISSED), (false, FALSE)):
        small = labels[step // 2 :: step, step // 2 :: step][:rows, :columns]
        paint = np.array(tuple(bytes.fromhex(color[1:])), np.float32)
        inside = small > 0
        rgb[inside] = (rgb[inside] * (1 - _TINT) + paint * _TINT).astype(np.uint8)
        rgb[outline_mask(small, width_px=1)] = paint.astype(np.uint8)
    return rgb
