"""Convex hulls of objects, row by row."""

from __future__ import annotations

import numpy as np
from scipy.spatial import ConvexHull, QhullError


def hull_area(rows: np.ndarray, first: np.ndarray, last: np.ndarray) -> int:
    """Number of pixels whose centers lie in the convex hull of an object; scikit-image's ``area_convex``.

    The hull is that of the middles of the edges of the object's pixels.

    Args:
        rows: (R,) rows in which the object has pixels, ascending, each once.
        first: (R,) its first column in each.
        last: (R,) its last column in each.

    Returns:
        At least the number of rows; 0 without rows.

    Example:
        >>> import numpy as np
        >>> hull_area(np.array([0, 1, 2]), np.array([0, 0, 0]), np.array([2, 0, 2]))  # a C
        9
    """
    if not rows.size:
        return 0
    half = 0.5
    points = np.concatenate(
        [
            np.column_stack([rows, first - half]),
            np.column_stack([rows, last + half]),
            *(np.column_stack([rows + side, column]) for side in (-half, half) for column in (first, last)),
        ]
    )
    try:
        corners = points[ConvexHull(points).vertices]
    except QhullError:
        return int((last - first + 1).sum())
    start = np.roll(corners, -int(corners[:, 0].argmin()), axis=0)
    # Each row is cut by the hull's edges in its two borders; edges along a row add nothing to those of its neighbors.
    ends = np.roll(start, -1, axis=0)
    sloped = start[:, 0] != ends[:, 0]
    (r0, c0), (r1, c1) = start[sloped].T, ends[sloped].T
    inside = np.arange(rows[0], rows[-1] + 1)[:, None]
    crossed = (inside >= np.minimum(r0, r1)) & (inside <= np.maximum(r0, r1))
    columns = c0 + (inside - r0) * (c1 - c0) / (r1 - r0)
    left = np.where(crossed, columns, np.inf).min(axis=1)
    right = np.where(crossed, columns, -np.inf).max(axis=1)
    tolerance = 1e-9
    return int((np.floor(right + tolerance) - np.ceil(left - tolerance) + 1).sum())
