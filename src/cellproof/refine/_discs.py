"""Discs around many pixels at once."""

from __future__ import annotations

import numpy as np


def paint(shape: tuple[int, ...], centers: np.ndarray, radius_px: np.ndarray) -> np.ndarray:
    """Mark the pixels that are closer to a center than its radius.

    Args:
        shape: Height and width of the image.
        centers: (n, 2) row and column, inside the image.
        radius_px: (n,); a disc of radius 1 is one pixel.

    Returns:
        (H, W) bool.
    """
    painted = np.zeros(shape, bool)
    row, column = _inside(centers, radius_px)
    within = (row >= 0) & (column >= 0) & (row < shape[0]) & (column < shape[1])
    painted[row[within], column[within]] = True
    return painted


def touches(walls: np.ndarray, centers: np.ndarray, radius_px: np.ndarray) -> np.ndarray:
    """Whether each disc has a pixel of the walls, or one outside the image; (n,) bool."""
    reach = int(np.ceil(radius_px.max(initial=0)))
    around = np.pad(walls, reach, constant_values=True)
    rows, columns, distance = _offsets(reach)
    seen = around[centers[:, :1] + reach + rows, centers[:, 1:] + reach + columns]
    touched: np.ndarray = (seen & (distance < radius_px[:, None])).any(axis=1)
    return touched


def _inside(centers: np.ndarray, radius_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of all pixels in the discs."""
    rows, columns, distance = _offsets(int(np.ceil(radius_px.max(initial=0))))
    disc, place = np.nonzero(distance < radius_px[:, None])
    return centers[disc, 0] + rows[place], centers[disc, 1] + columns[place]


def _offsets(reach: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, column and distance of each pixel of a square from its center."""
    rows, columns = (axis.ravel() for axis in np.mgrid[-reach : reach + 1, -reach : reach + 1])
    return rows, columns, np.hypot(rows, columns)
