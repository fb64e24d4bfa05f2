"""Smooth fields from a few control points, for elastic deformation and uneven light."""

from __future__ import annotations

import numpy as np

FEWEST_POINTS = 4
"""A cubic spline needs this many control points along an axis."""

SPREAD_KEPT = 151 / 315
"""Mean squared weight of the cubic B-spline: white control points of SD 1 give a field of about this SD in 2-D."""


def spline_field(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Uniform cubic B-spline surface through the plane, twice continuously differentiable.

    Args:
        points: (..., R, C) control points, R and C at least `FEWEST_POINTS`; the outermost lie outside the plane.
        shape: Rows and columns of the field.

    Returns:
        (..., rows, columns) float32. Equal control points give a constant field.
    """
    rows = _basis(shape[0], points.shape[-2])
    columns = _basis(shape[1], points.shape[-1])
    field: np.ndarray = rows @ points.astype(np.float32) @ columns.T
    return field


def _basis(length: int, points: int) -> np.ndarray:
    """Weight of each control point at each of ``length`` positions, (length, points) float32; rows sum to 1."""
    position = np.linspace(0, points - 3, length)
    first = np.minimum(position.astype(int), points - 4)
    u = position - first
    weights = np.stack([(1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3], axis=1) / 6
    basis = np.zeros((length, points), np.float32)
    np.put_along_axis(basis, first[:, None] + np.arange(4), weights, axis=1)
    return basis
