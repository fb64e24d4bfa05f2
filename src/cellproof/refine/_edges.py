"""What lies within a distance of a mask's edge, by discs whose work does not grow with the mask."""

from __future__ import annotations

from math import isqrt

import numpy as np


def dilated(mask: np.ndarray, radius_px: int) -> np.ndarray:
    """The mask and all pixels whose centers are at most so far from one of its pixels'.

    Args:
        mask: (H, W) bool.
        radius_px: 0 leaves the mask as it is.

    Returns:
        (H, W) bool. Nothing reaches in from outside of the image.

    Example:
        >>> dilated(np.array([[False, False, True, False]]), 1)
        array([[False,  True,  True,  True]])
    """
    grown = mask.copy()
    wide, reach = mask.copy(), 0
    # A disc is a pile of rows; from its rim to its middle they become ever longer, so each prolongs the one before.
    for row in range(radius_px, -1, -1):
        half = isqrt(radius_px * radius_px - row * row)
        for step in range(reach + 1, half + 1):
            wide[:, step:] |= mask[:, :-step]
            wide[:, :-step] |= mask[:, step:]
        reach = half
        if row:
            grown[row:] |= wide[:-row]
            grown[:-row] |= wide[row:]
        else:
            grown |= wide
    return grown


def closed(mask: np.ndarray, radius_px: int) -> np.ndarray:
    """The mask with every gap filled that no disc of this radius fits into; all is open outside of the image.

    Args:
        mask: (H, W) bool.
        radius_px: 0 leaves the mask as it is.

    Returns:
        (H, W) bool, the mask among it; closing it again changes nothing.

    Example:
        >>> closed(np.array([[1, 0, 1, 1, 0, 0], [1, 0, 1, 0, 0, 0], [1, 1, 1, 1, 0, 0]], bool), 1).astype(int)
        array([[1, 0, 1, 1, 0, 0],
               [1, 1, 1, 0, 0, 0],
               [1, 1, 1, 1, 0, 0]])
    """
    height, width = mask.shape
    filled = ~dilated(~dilated(np.pad(mask, radius_px), radius_px), radius_px)
    return filled[radius_px : radius_px + height, radius_px : radius_px + width]


def rings(mask: np.ndarray, width_px: int) -> np.ndarray:
    """Distance of pixels from the edge of a mask, in whole pixels, up to a width.

    Args:
        mask: (H, W) bool.
        width_px: At least 1.

    Returns:
        (H, W) int8: k inside and -k outside where the nearest pixel of the other side is farther than k - 1 and at
        most k away; 0 beyond the width, and everywhere in a mask without an edge.

    Example:
        >>> rings(np.array([[True, True, True, False, False]]), 2)
        array([[ 0,  2,  1, -1, -2]], dtype=int8)
    """
    found = np.zeros(mask.shape, np.int8)
    for sign, other in ((1, ~mask), (-1, mask)):
        for ring in range(width_px, 0, -1):
            found[dilated(other, ring) & ~other] = sign * ring
    return found
