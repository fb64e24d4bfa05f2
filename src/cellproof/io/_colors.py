"""Colors of masks as whole numbers."""

from __future__ import annotations

import numpy as np


def pack_colors(colors: np.ndarray) -> np.ndarray:
    """One number a color: red · 65,536 + green · 256 + blue, as black is 0.

    Args:
        colors: (…, 3) uint8.

    Returns:
        (…) int32.

    Examples:
        >>> pack_colors(np.array([[0, 0, 0], [255, 0, 1]], np.uint8)).tolist()
        [0, 16711681]
    """
    red, green, blue = (colors[..., place].astype(np.int32) for place in range(3))
    packed: np.ndarray = red << 16 | green << 8 | blue
    return packed
