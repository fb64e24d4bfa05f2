"""Sheets of cells side by side: where their centers lie, the edges between them, and what those enclose."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import Voronoi, cKDTree

_SMALLEST_CELL_PX = 12
_GRID_STEPS = 12
"""Points of the relaxation's grid across a cell."""


@dataclass(frozen=True)
class Edges:
    """Membranes between cells, each a parabola over the line from start to end.

    Attributes:
        start: (E, 2) row and column.
        end: (E, 2).
        bow_px: (E,) how far the middle lies beside the line.
        thickness_px: (E,) width across the membrane.
    """

    start: np.ndarray
    end: np.ndarray
    bow_px: np.ndarray
    thickness_px: np.ndarray

    def __len__(self) -> int:
        return len(self.start)


@dataclass(frozen=True)
class Band:
    """One edge on the pixel grid.

    Attributes:
        window: Rows and columns of the image that it may touch; empty where it lies outside.
        mask: Boolean window, True on the edge.
        along_px: For each True pixel its place along the edge, from 0 at the start.
    """

    window: tuple[slice, slice]
    mask: np.ndarray
    along_px: np.ndarray


def touching(edges: Edges, shape: tuple[int, int]) -> np.ndarray:
    """Indices of edges that may show in the image."""
    reach = (edges.thickness_px / 2 + np.abs(edges.bow_px) + 1)[:, None]
    near = (np.maximum(edges.start, edges.end) + reach > 0) & (np.minimum(edges.start, edges.end) - reach < shape)
    return np.flatnonzero(near.all(axis=1))


def relaxed_centers(rng: np.random.Generator, shape: tuple[int, int], *, diameter_px: float, rounds: int) -> np.ndarray:
    """Centers of cells that cover the image and a margin around it.

    Each round moves every center to the middle of what lies nearest to it: none leaves cells of all sizes, three
    give a lively sheet, ten nearly a honeycomb.

    Returns:
        (N, 2) float64 rows and columns; negative in the margin.

    References:
        Lloyd (1982). Least squares quantization in PCM. IEEE Trans. Inf. Theory 28(2). doi:10.1109/TIT.1982.1056489
    """
    margin = 1.5 * diameter_px
    size = np.array(shape) + 2 * margin
    count = round(float(size.prod()) / (math.pi / 4 * diameter_px**2))
    centers = rng.uniform(0, size, (count, 2))
    grid = np.stack(np.meshgrid(*(np.arange(0, n, diameter_px / _GRID_STEPS) for n in size), indexing="ij"), -1)
    points = grid.reshape(-1, 2)
    for _ in range(rounds):
        nearest = cKDTree(centers).query(points)[1]
        share = np.maximum(np.bincount(nearest, minlength=count), 1)
        sums = [np.bincount(nearest, points[:, axis], minlength=count) for axis in (0, 1)]
        centers = np.stack(sums, 1) / share[:, None]
    return centers - margin


def draw_edges(
    rng: np.random.Generator, centers: np.ndarray, *, thickness_px: tuple[float, float], bow: float
) -> Edges:
    """Edges half-way between neighboring centers, in every finite piece of the sheet.

    Args:
        rng: Source of chance.
        centers: (N, 2), N >= 4.
        thickness_px: Smallest and largest width; each edge has one, drawn evenly between them.
        bow: Standard deviation of the bow as a fraction of an edge's length; it is cut at twice that.
    """
    sheet = Voronoi(centers)
    ridges = np.array([ridge for ridge in sheet.ridge_vertices if min(ridge) >= 0]).reshape(-1, 2)
    start, end = sheet.vertices[ridges[:, 0]], sheet.vertices[ridges[:, 1]]
    length = np.linalg.norm(end - start, axis=1)
    bows = np.clip(rng.normal(size=len(ridges)), -2, 2) * bow * length
    return Edges(start, end, bows, rng.uniform(*thickness_px, len(ridges)))


def trace(edges: Edges, index: int, shape: tuple[int, int]) -> Band:
    """Put an edge with round ends on the pixel grid: all pixels nearer to its line than half its thickness.

    From 2 px of thickness on, no 4-connected path leads through it.
    """
    start, end = edges.start[index].tolist(), edges.end[index].tolist()
    bow, half = float(edges.bow_px[index]), float(edges.thickness_px[index]) / 2
    reach = half + abs(bow) + 1
    window = (_span(start[0], end[0], reach, shape[0]), _span(start[1], end[1], reach, shape[1]))
    length = math.dist(start, end)
    down, right = ((end[0] - start[0]) / length, (end[1] - start[1]) / length) if length > 0 else (1.0, 0.0)
    rows = np.arange(window[0].start, window[0].stop, dtype=np.float32)[:, None] - start[0]
    columns = np.arange(window[1].start, window[1].stop, dtype=np.float32)[None, :] - start[1]
    along = rows * down + columns * right
    on = np.clip(along, 0, length)
    share = on / max(length, 1.0)
    aside = columns * down - rows * right - 4 * bow * share * (1 - share)
    # A slanting curve is nearer than what lies straight beside it.
    slope = 4 * bow / max(length, 1.0) * (1 - 2 * share)
    mask = np.hypot(aside / np.sqrt(1 + slope**2), along - on) < half
    return Band(window, mask, on[mask])


def _span(start: float, end: float, reach: float, size: int) -> slice:
    """Pixels of an axis within reach of a segment, clipped to the image."""
    low = min(max(0, math.floor(min(start, end) - reach)), size)
    return slice(low, max(low, min(size, math.ceil(max(start, end) + reach) + 1)))


def enclosed(thickness_px: np.ndarray) -> np.ndarray:
    """Number what membranes enclose, 1…n in raster order, 0 on them.

    Args:
        thickness_px: (H, W), above 0 on membranes. Changed where they enclose less than a cell, at the image's
            border mostly: such pixels become membrane of the thickness beside them.

    Returns:
        (H, W) int32; each number is one 4-connected piece, and pieces of different numbers touch nowhere.
    """
    pieces, count = ndimage.label(thickness_px <= 0)
    kept = np.bincount(pieces.ravel(), minlength=count + 1) >= _SMALLEST_CELL_PX
    windows = ndimage.find_objects(pieces)
    for piece in np.flatnonzero(~kept[1:]) + 1:
        around = tuple(slice(max(0, part.start - 1), part.stop + 1) for part in windows[piece - 1])
        beside = float(thickness_px[around].max())
        # An image of a few pixels may lie in a cell with no membrane in sight.
        kept[piece] = beside <= 0
        if beside > 0:
            thickness_px[around][pieces[around] == piece] = beside
    kept[0] = False
    number = np.where(kept, np.cumsum(kept), 0)
    return np.asarray(number[pieces], np.int32)
