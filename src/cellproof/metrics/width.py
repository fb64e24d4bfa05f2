"""Mean width of membranes: their area over the length of their center lines."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ._masks import annotated, check_masks, skeleton

_AXIAL, _DIAGONAL, _CORNER = 0.980, 1.406, -0.091


@dataclass(frozen=True)
class Extent:
    """Area and length of membranes; ``a + b`` pools two images.

    Attributes:
        area_px: Membrane pixels.
        length_px: Length of their center lines, in edges of a pixel.
    """

    area_px: int
    length_px: float

    def __add__(self, other: Extent) -> Extent:
        return Extent(self.area_px + other.area_px, self.length_px + other.length_px)


def measure_extent(mask: np.ndarray, *, ignored: np.ndarray | None = None) -> Extent:
    """Area of a membrane mask and length of its center lines.

    The length of a line of pixels is estimated from its steps along an axis, its diagonal steps and the changes
    between them. Counting diagonal steps as √2, without changes, would make lines up to 8 % too long.

    Args:
        mask: (H, W) boolean, True on membrane.
        ignored: Boolean mask of pixels without annotation.

    Raises:
        InputError: For different shapes, or a mask that is not boolean.

    References:
        Vossepoel, Smeulders (1982). Vector code probability and metrication error in the representation of straight
        lines of finite length. Computer Graphics and Image Processing 20(4), 347-364.
        doi:10.1016/0146-664X(82)90057-0

    Example:
        >>> mask = np.zeros((20, 60), bool)
        >>> mask[8:12, 5:55] = True
        >>> measure_extent(mask).area_px
        200
    """
    check_masks(mask=mask, ignored=ignored)
    mask = annotated(mask, ignored)
    return Extent(int(mask.sum()), _length_px(skeleton(mask)))


def mean_width_px(extent: Extent) -> float:
    """Area over length, in pixels; NaN without membrane, and for specks, whose center line is a single pixel.

    Straight bars 1 to 9 pixels wide that cross 480 pixels come out within 5 %. Lines end half their width before the
    image does, so wide membranes in small images seem a little wider than they are.

    Example:
        >>> mean_width_px(Extent(area_px=200, length_px=50.0))
        4.0
    """
    return extent.area_px / extent.length_px if extent.length_px > 0 else math.nan


def _length_px(line: np.ndarray) -> float:
    """Length of a skeleton."""
    framed = np.pad(line, 1)

    def neighbor(rows: int, columns: int) -> np.ndarray:
        return framed[1 + rows : framed.shape[0] - 1 + rows, 1 + columns : framed.shape[1] - 1 + columns]

    above, below, left, right = neighbor(-1, 0), neighbor(1, 0), neighbor(0, -1), neighbor(0, 1)
    # A diagonal step whose corner is part of the line is two axial steps and not counted again.
    diagonals = [
        neighbor(rows, columns) & ~beside & ~across
        for rows, beside in ((-1, above), (1, below))
        for columns, across in ((-1, left), (1, right))
    ]
    axial = sum(side[line].astype(np.int64) for side in (above, below, left, right))
    diagonal = sum(side[line].astype(np.int64) for side in diagonals)
    corners = np.count_nonzero((axial == 1) & (diagonal == 1))
    # Every step was seen from both of its ends.
    return float(_AXIAL * np.sum(axial) / 2 + _DIAGONAL * np.sum(diagonal) / 2 + _CORNER * corners)
