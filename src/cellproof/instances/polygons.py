"""Star-convex polygons: which pixels they cover, and how much of each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

SHORTEST_PX = 1e-3
"""Shorter rays count as this long, so that a polygon always has an inside."""

SMALL_PX = 4.0
"""Polygons of smaller radius are all compared alike: they have few neighbors in any case."""

DIRECTIONS = 32

RINGS = 6
"""How much of a polygon another one covers is seen at 32 × 6 of its points, whatever its size."""

AT_ONCE = 1 << 18
"""Points that are looked at together: few enough for a processor's cache."""


@dataclass(frozen=True)
class Polygons:
    """Polygons around pixels, their corners on equally spaced rays.

    Attributes:
        centers: (m, 2) whole rows and columns.
        rays: (m, n) float32, lengths in pixels; ray k points to row sin 2πk/n, column cos 2πk/n; n at least 3.
    """

    centers: np.ndarray
    rays: np.ndarray

    @classmethod
    def of(cls, centers: np.ndarray, rays: np.ndarray) -> Polygons:
        """Polygons of such centers and ray lengths, negative ones as 0."""
        return cls(np.asarray(centers, np.int64), np.maximum(rays, SHORTEST_PX).astype(np.float32))

    def __len__(self) -> int:
        return len(self.centers)

    def __getitem__(self, chosen: np.ndarray) -> Polygons:
        return Polygons(self.centers[chosen], self.rays[chosen])

    @cached_property
    def areas(self) -> np.ndarray:
        """(m,) float64 in square pixels, exact."""
        turned = np.roll(self.rays, -1, axis=1)
        areas: np.ndarray = np.sin(2 * np.pi / self.rays.shape[1]) / 2 * (self.rays * turned).sum(axis=1, dtype=float)
        return areas

    @cached_property
    def radii(self) -> np.ndarray:
        """(m,) longest ray: no polygon reaches further."""
        longest: np.ndarray = self.rays.max(axis=1, initial=0)
        return longest

    @cached_property
    def _edges(self) -> tuple[np.ndarray, np.ndarray]:
        """Row and column slopes (m · n,) of `depth` between rays k and k + 1: 1 on the edge, 0 at the center."""
        count = self.rays.shape[1]
        angles = 2 * np.pi * np.arange(count + 1) / count
        sine, cosine = np.sin(angles).astype(np.float32), np.cos(angles).astype(np.float32)
        near, far = 1 / self.rays, 1 / np.roll(self.rays, -1, axis=1)
        width = np.float32(np.sin(2 * np.pi / count))
        row = (cosine[:-1] * far - cosine[1:] * near) / width
        column = (sine[1:] * near - sine[:-1] * far) / width
        return row.ravel(), column.ravel()

    def depth(self, owners: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """How far out points lie: 0 at the center of their polygon, 1 on its edge, proportional along each ray.

        Args:
            owners: Number of the polygon that each point is looked at in.
            rows: Row of the point less that of the polygon's center, float32.
            columns: Likewise; the three are broadcast.

        Returns:
            float32, at least 0.
        """
        count = self.rays.shape[1]
        sector = np.floor(np.arctan2(rows, columns) * np.float32(count / (2 * np.pi))).astype(np.int32)
        # arctan2 is in (-π, π]: sectors are -n/2 … n/2.
        edge = owners.astype(np.int32) * np.int32(count) + np.where(sector < 0, sector + np.int32(count), sector)
        row, column = self._edges
        out: np.ndarray = rows * row[edge] + columns * column[edge]
        return out

    def boxes(self) -> tuple[np.ndarray, np.ndarray]:
        """First and last (row, column) offsets (m, 2) from the center that a polygon may cover."""
        angles = 2 * np.pi * np.arange(self.rays.shape[1]) / self.rays.shape[1]
        corners = self.rays[:, :, np.newaxis] * np.stack([np.sin(angles), np.cos(angles)], axis=1)
        return np.floor(corners.min(axis=1)).astype(np.int64), np.ceil(corners.max(axis=1)).astype(np.int64)


def covered(
    polygons: Polygons, shape: tuple[int, int], *, reach: float = 1.0
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Pixels of an image that polygons cover, about `AT_ONCE` at a time.

    Args:
        polygons: Their centers lie in the image.
        shape: (H, W) of the image.
        reach: Polygons are enlarged by this factor first.

    Yields:
        Number of the polygon, flat index of the pixel, and its `Polygons.depth` in the polygon as it was.
    """
    low, high = Polygons(polygons.centers, polygons.rays * np.float32(reach)).boxes()
    low = np.maximum(low, -polygons.centers)
    high = np.minimum(high, np.array(shape) - 1 - polygons.centers)
    for part in _parts(np.prod(high - low + 1, axis=1)):
        owners, rows, columns = _grid(low[part], high[part])
        owners += part.start
        depth = polygons.depth(owners, rows.astype(np.float32), columns.astype(np.float32))
        inside = depth <= reach
        owners = owners[inside]
        centers = polygons.centers[owners]
        yield owners, (centers[:, 0] + rows[inside]) * shape[1] + centers[:, 1] + columns[inside], depth[inside]


@dataclass(frozen=True)
class Samples:
    """Points of polygons, in number and order the same in each.

    Attributes:
        rows: (m, p) float32, rows of the points less those of their polygon's center.
        columns: (m, p) likewise.
        weights: (m, p) float32, fraction of the polygon's area that each point stands for; they sum to 1.
    """

    rows: np.ndarray
    columns: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, polygons: Polygons) -> Samples:
        """Points on `DIRECTIONS` or more lines from the center, on each at the middles of `RINGS` rings of one area."""
        sectors = polygons.rays.shape[1]
        count = sectors * -(-DIRECTIONS // sectors)
        angles = 2 * np.pi * np.arange(count) / count
        rows, columns = np.sin(angles).astype(np.float32), np.cos(angles).astype(np.float32)
        ends = 1 / polygons.depth(np.arange(len(polygons))[:, np.newaxis], rows, columns)
        # Each line stands for half of the triangles on both of its sides.
        areas = ends * (np.roll(ends, 1, axis=1) + np.roll(ends, -1, axis=1))
        weights = areas / (RINGS * areas.sum(axis=1, keepdims=True))
        rings = np.sqrt((np.arange(RINGS, dtype=np.float32) + np.float32(0.5)) / RINGS)
        rows, columns = (np.multiply.outer(rings, way * ends) for way in (rows, columns))
        size = (len(polygons), RINGS * count)
        return cls(
            np.moveaxis(rows, 0, 1).reshape(size),
            np.moveaxis(columns, 0, 1).reshape(size),
            np.tile(weights, (1, RINGS)),
        )


def covered_fraction(polygons: Polygons, samples: Samples, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Common area of pairs of polygons as a fraction of the smaller one's, within about 0.02.

    Args:
        polygons: m polygons.
        samples: Of these.
        first: (k,) numbers of polygons.
        second: (k,) numbers of their partners.

    Returns:
        (k,) float32 in [0, 1].
    """
    areas = polygons.areas
    is_smaller = areas[first] <= areas[second]
    small, large = np.where(is_smaller, first, second), np.where(is_smaller, second, first)
    shift = (polygons.centers[small] - polygons.centers[large]).astype(np.float32)
    fractions = np.zeros(len(first), np.float32)
    at_once = max(1, AT_ONCE // samples.rows.shape[1])
    for start in range(0, len(first), at_once):
        part = slice(start, start + at_once)
        one = small[part]
        depth = polygons.depth(
            large[part, np.newaxis], samples.rows[one] + shift[part, :1], samples.columns[one] + shift[part, 1:]
        )
        fractions[part] = np.einsum("kp,kp->k", samples.weights[one], depth <= 1)
    return fractions


def near_pairs(first: Polygons, second: Polygons) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of a polygon of ``first`` and one of ``second`` whose circumscribed circles meet.

    Polygons are compared by octaves of their radius, so that a large one does not make all small ones its neighbors'.

    Returns:
        Numbers in ``first`` and in ``second``, (k,) each.
    """
    ones, others = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for group in _octaves(first):
        tree = cKDTree(first.centers[group])
        for other in _octaves(second):
            reach = first.radii[group].max() + second.radii[other].max()
            pairs = tree.sparse_distance_matrix(cKDTree(second.centers[other]), reach, output_type="ndarray")
            one, two = group[pairs["i"]], other[pairs["j"]]
            meet = pairs["v"] <= first.radii[one] + second.radii[two]
            ones.append(one[meet])
            others.append(two[meet])
    return np.concatenate(ones), np.concatenate(others)


def _octaves(polygons: Polygons) -> list[np.ndarray]:
    octave = np.ceil(np.log2(np.maximum(polygons.radii, SMALL_PX)))
    return [np.flatnonzero(octave == value) for value in np.unique(octave)]


def _parts(sizes: np.ndarray) -> Iterator[slice]:
    """Slices of consecutive elements of about `AT_ONCE` in total; one at least."""
    start, ends = 0, np.cumsum(sizes)
    while start < len(sizes):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + AT_ONCE, side="right")))
        yield slice(start, stop)
        start = stop


def _grid(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Owner, row and column of all points of rectangles (m, 2), one after the other."""
    sizes = high - low + 1
    counts = np.prod(sizes, axis=1)
    owners = np.repeat(np.arange(len(low)), counts)
    ends = np.cumsum(counts)
    within = np.arange(len(owners)) - np.repeat(ends - counts, counts)
    row, column = np.divmod(within, sizes[owners, 1])
    return owners, row + low[owners, 0], column + low[owners, 1]
