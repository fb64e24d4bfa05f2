"""Cutting windows and sampling them at given places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Window:
    """A rectangle of whole pixels that may reach beyond the image."""

    row: int
    column: int
    rows: int
    columns: int

    def lies_inside(self, shape: tuple[int, ...]) -> bool:
        """Whether no pixel of the window is outside an array whose last two axes are rows and columns."""
        height, width = shape[-2:]
        return (
            self.row >= 0
            and self.column >= 0
            and self.row + self.rows <= height
            and self.column + self.columns <= width
        )


def cut_mirrored(image: np.ndarray, window: Window) -> np.ndarray:
    """The window of a (C, H, W) image, mirrored about the outermost pixels' centers beyond its edges."""
    if window.lies_inside(image.shape):
        return image[:, window.row : window.row + window.rows, window.column : window.column + window.columns]
    rows = _mirror(np.arange(window.row, window.row + window.rows), image.shape[-2])
    columns = _mirror(np.arange(window.column, window.column + window.columns), image.shape[-1])
    mirrored: np.ndarray = image[:, rows[:, None], columns]
    return mirrored


def cut_filled(labels: np.ndarray, window: Window, fill: int) -> np.ndarray:
    """The window of (H, W) labels, with ``fill`` beyond their edges."""
    if window.lies_inside(labels.shape):
        return labels[window.row : window.row + window.rows, window.column : window.column + window.columns]
    patch = np.full((window.rows, window.columns), fill, labels.dtype)
    top, left = max(window.row, 0), max(window.column, 0)
    part = labels[top : max(window.row + window.rows, 0), left : max(window.column + window.columns, 0)]
    row, column = top - window.row, left - window.column
    patch[row : row + part.shape[0], column : column + part.shape[1]] = part
    return patch


def bilinear(image: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Sample a (C, H, W) image at float32 places of shape (h, w), all in [0, H-1) × [0, W-1)."""
    width = image.shape[-1]
    row, column = rows.astype(np.intp), columns.astype(np.intp)
    down, right = rows - row.astype(np.float32), columns - column.astype(np.float32)
    corner = row * width + column
    patch = np.empty((image.shape[0], *rows.shape), image.dtype)
    for plane, target in zip(image, patch, strict=True):
        values = np.ascontiguousarray(plane).ravel()
        upper = values.take(corner)
        upper += right * (values.take(corner + 1) - upper)
        lower = values.take(corner + width)
        lower += right * (values.take(corner + width + 1) - lower)
        lower -= upper
        lower *= down
        np.add(upper, lower, out=target)
    return patch


def nearest(labels: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Sample (H, W) labels at the pixels nearest to float32 places, all in [0, H-1) × [0, W-1)."""
    row, column = (rows + 0.5).astype(np.intp), (columns + 0.5).astype(np.intp)
    patch: np.ndarray = np.ascontiguousarray(labels).ravel().take(row * labels.shape[-1] + column)
    return patch


def _mirror(index: np.ndarray, length: int) -> np.ndarray:
    """Fold whole numbers into 0…length-1 like a path between two mirrors; all 0 where the length is 1."""
    if length == 1:
        return np.zeros_like(index)
    period = 2 * (length - 1)
    folded = index % period
    path: np.ndarray = np.minimum(folded, period - folded)
    return path
