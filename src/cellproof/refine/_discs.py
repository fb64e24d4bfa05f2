"""Discs around many pixels at once."""

from __future__ import annotations

import numpy as np


def paint(shape: tuple[int, ...], centres: np.ndarray, radius_px: np.ndarray) -> np.ndarray:
    """Mark the pixels that are closer to a centre than its radius.

    Args:
        shape: Height and width of the picture.
        centres: (n, 2) row and column, inside the picture.
        radius_px: (n,); a disc of radius 1 is one pixel.

    Returns:
        (H, W) bool.
    """
    painted = np.zeros(shape, bool)
    row, column = _inside(centres, radius_px)
    within = (row >= 0) & (column >= 0) & (row < shape[0]) & (column < shape[1])
    painted[row[within], column[within]] = True
    return painted


def touches(walls: np.ndarray, centres: np.ndarray, radius_px: np.ndarray) -> np.ndarray:
    """Whether each disc has a pixel of the walls, or one outside the picture; (n,) bool."""
    reach = int(np.ceil(radius_px.max(initial=0)))
    around = np.pad(walls, reach, constant_values=True)
    rows, columns, distance = _offsets(reach)
    seen = around[centres[:, :1] + reach + rows, centres[:, 1:] + reach + columns]
    touched: np.ndarray = (seen & (distance < radius_px[:, None])).any(axis=1)
    return touched


def _inside(centres: np.ndarray, radius_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of all pixels in the discs."""
    rows, columns, distance = _offsets(int(np.ceil(radius_px.max(initial=0))))
    disc, place = np.nonzero(distance < radius_px[:, None])
    return centres[disc, 0] + rows[place], centres[disc, 1] + columns[place]


def _offsets(reach: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, column and distance of each pixel of a square from its centre."""
    rows, columns = (axis.ravel() for axis in np.mgrid[-reach : reach + 1, -reach : reach + 1])
    return rows, columns, np.hypot(rows, columns)
