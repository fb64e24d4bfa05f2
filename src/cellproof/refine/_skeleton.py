"""The center lines of a mask: their pixels, how they hang together, how wide the mask is there, and where they end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial import KDTree
from skimage.morphology import skeletonize

from ._discs import touches


@dataclass(frozen=True)
class Skeleton:
    """Center lines of a mask, one pixel wide.

    Attributes:
        pixels: (n, 2) row and column, in raster order.
        radius_px: (n,) distance to the nearest pixel outside the mask: 1 where the mask is one pixel wide.
        graph: (n, n) distances between neighbors along the lines, each pair in both directions.
        degree: (n,) number of neighbors along the lines.
        free_ends: Places of pixels in which a line ends inside the image.
    """

    pixels: np.ndarray
    radius_px: np.ndarray
    graph: sparse.csr_array
    degree: np.ndarray
    free_ends: np.ndarray


def find_skeleton(mask: np.ndarray, *, walls: np.ndarray) -> Skeleton:
    """Thin a mask to its center lines, with as many pieces and holes as the mask has.

    Args:
        mask: (H, W) bool.
        walls: (H, W) bool, pixels that nothing is known of. A line that ends at them, or at the
            image's border, may go on there: that is no free end.

    References:
        Lee, Kashyap, Chu (1994). Building skeleton models via 3-D medial surface/axis thinning algorithms.
        CVGIP: Graphical Models and Image Processing 56(6), 462-478. doi:10.1006/cgip.1994.1042
    """
    # The thinning that scikit-image prefers in 2-D eats diagonal lines of two pixels' width up to a single point; this
    # one does not take a mask without pixels.
    lines = skeletonize(mask, method="lee") > 0 if mask.any() else np.zeros(mask.shape, bool)
    pixels = np.argwhere(lines)
    number = np.full(mask.shape, -1, np.int32)
    number[lines] = np.arange(len(pixels), dtype=np.int32)
    radius_px = _distance_outside(mask, pixels)
    graph = _graph(number, len(pixels))
    degree = np.diff(graph.indptr)
    ends = np.flatnonzero(degree <= 1)
    # Thinning also shortens a line, by about half its width.
    known_there = ~touches(walls, pixels[ends], radius_px[ends] + 2)
    return Skeleton(pixels, radius_px, graph, degree, ends[known_there])


def _distance_outside(mask: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Distance to the nearest pixel outside the mask, which has one; what lies beyond the border is not outside."""
    if len(pixels) == 0:
        return np.zeros(0)
    outside = ~mask
    rim = outside.copy()
    rim[1:-1, 1:-1] &= mask[:-2, 1:-1] | mask[2:, 1:-1] | mask[1:-1, :-2] | mask[1:-1, 2:]
    distance_px: np.ndarray = KDTree(np.argwhere(rim)).query(pixels)[0]
    return distance_px


def _graph(number: np.ndarray, count: int) -> sparse.csr_array:
    """Neighbors across edges, and across a corner where no third pixel makes that a detour of two edges."""
    first, second, length_px = [], [], []
    padded = np.pad(number, 1, constant_values=-1)
    row, column = np.nonzero(padded >= 0)
    own = padded[row, column]
    for rows, columns in ((0, 1), (1, 0), (1, 1), (1, -1)):
        other = padded[row + rows, column + columns]
        linked = other >= 0
        if rows and columns:
            linked &= (padded[row + rows, column] < 0) & (padded[row, column + columns] < 0)
        first.append(own[linked])
        second.append(other[linked])
        length_px.append(np.full(int(linked.sum()), np.hypot(rows, columns)))
    one, two, length = np.concatenate(first), np.concatenate(second), np.concatenate(length_px)
    ends = (np.concatenate([one, two]), np.concatenate([two, one]))
    return sparse.csr_array((np.tile(length, 2), ends), shape=(count, count))
