"""The table of objects: size, place, shape, intensity and confidence of each, in scikit-image's names.

Rows of an image are cut into runs of equal label. Moments of a run have a closed form, so that the
sums go over some ten thousand runs instead of millions of pixels and need no loop over objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ..checks import InputError, check_labels, check_ndim, check_same_shape
from .hull import hull_areas, spans_of

_LENGTHS = ("equivalent_diameter_area", "axis_major_length", "axis_minor_length", "perimeter", "nearest_neighbor")
"""Columns of lengths, which have another in µm where the pixel size is known."""


def measure(
    labels: np.ndarray,
    *,
    intensity: np.ndarray | None = None,
    classes: np.ndarray | None = None,
    confidence: np.ndarray | None = None,
    pixel_size_um: float | None = None,
) -> Mapping[str, np.ndarray]:
    """Measure every object of a label image.

    All lengths are pixels, ``orientation`` is in radians, and ``bbox-2``, ``bbox-3`` are the first row
    and column after the object. Every column with a name of `skimage.measure.regionprops_table` has
    its definition, the perimeter too (Benkrid and Crookes, 4-connected border), and centroids and
    axes follow from second moments of pixel centers. ``touches_border`` says that the object is
    probably cut off by the image's edge.

    Args:
        labels: (H, W) object ids, 0 background; ids may have gaps.
        intensity: (C, H, W) image; adds mean, min, max and standard deviation of each channel.
        classes: (n,) class of each object, in ascending order of ids.
        confidence: (H, W) map; adds its mean over each object.
        pixel_size_um: Pixel size; adds ``x_um``, ``y_um`` (of the centroid), ``area_um2`` and the lengths in µm.

    Returns:
        Column name → (n,) array, in ascending order of ids; arrays of length 0 without objects.

    Raises:
        InputError: shapes do not fit, or ``labels`` is no label image.
    """
    check_ndim(2, labels=labels)
    check_labels(labels=labels)
    runs = _runs(labels)
    columns = _size_and_place(runs, labels.shape)
    if classes is not None:
        if classes.shape != runs.ids.shape:
            raise InputError(f"classes has shape {classes.shape}, expected {runs.ids.shape}: one for each object")
        columns = {"label": columns.pop("label"), "class": classes, **columns}
    columns |= _shape(runs, columns["area"])
    columns["perimeter"] = _perimeter(labels, runs.ids)
    last = runs.start + runs.length - 1
    columns["solidity"] = columns["area"] / hull_areas(
        spans_of(runs.owner, runs.row, runs.start, last, count=runs.ids.size)
    )
    columns["nearest_neighbor"] = nearest_neighbor(columns["centroid-0"], columns["centroid-1"])
    if pixel_size_um is not None:
        columns |= _in_um(columns, pixel_size_um)
    if intensity is not None:
        check_ndim(3, intensity=intensity)
        check_same_shape(labels=labels, intensity=intensity[0])
        for channel, plane in enumerate(intensity):
            columns |= _intensity(runs, plane.ravel()[runs.pixels].astype(np.float64), channel=channel)
    if confidence is not None:
        check_same_shape(labels=labels, confidence=confidence)
        columns["confidence"] = _totals(runs, confidence.ravel()[runs.pixels].astype(np.float64)) / columns["area"]
    return columns


def nearest_neighbor(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Distance from each centroid to the nearest other one, (n,); NaN for a single object.

    Args:
        rows: (n,) of the centroids, in pixels.
        columns: (n,) of the same.

    Example:
        >>> nearest_neighbor(np.array([0.0, 0.0, 9.0]), np.array([0.0, 4.0, 4.0])).tolist()
        [4.0, 4.0, 9.0]
    """
    if rows.size < 2:
        return np.full(rows.size, np.nan)
    points = np.column_stack([rows, columns])
    distances, _ = cKDTree(points).query(points, k=2)
    return np.asarray(distances[:, 1])


def _in_um(columns: Mapping[str, np.ndarray], pixel_size_um: float) -> dict[str, np.ndarray]:
    """Places, areas and lengths in µm and µm²."""
    places = {"x_um": columns["centroid-1"] * pixel_size_um, "y_um": columns["centroid-0"] * pixel_size_um}
    lengths = {f"{name}_um": columns[name] * pixel_size_um for name in _LENGTHS}
    return {"area_um2": columns["area"] * pixel_size_um**2, **places, **lengths}


@dataclass(frozen=True)
class _Runs:
    """Stretches of equal label within rows, background left out.

    Attributes:
        ids: (n,) the object ids that occur, ascending.
        owner: (R,) position in ``ids`` of each run's object.
        row: (R,) row.
        start: (R,) first column.
        length: (R,) number of pixels.
        pixels: (N,) flat indices of all objects' pixels, run after run.
        offset: (R,) where each run starts in ``pixels``.
    """

    ids: np.ndarray
    owner: np.ndarray
    row: np.ndarray
    start: np.ndarray
    length: np.ndarray
    pixels: np.ndarray
    offset: np.ndarray

    def total(self, values: np.ndarray) -> np.ndarray:
        """Sum of one value a run over each object, (n,) float64."""
        return np.bincount(self.owner, values, self.ids.size)


def _runs(labels: np.ndarray) -> _Runs:
    flat = labels.ravel()
    changes = np.ones(labels.shape, bool)
    np.not_equal(labels[:, 1:], labels[:, :-1], out=changes[:, 1:])
    first = np.flatnonzero(changes)
    length = np.diff(first, append=flat.size)
    inside = flat[first] > 0
    first, length = first[inside], length[inside]
    ids, owner = np.unique(flat[first], return_inverse=True)
    row, start = np.divmod(first, max(labels.shape[1], 1))
    return _Runs(
        ids=ids,
        owner=owner,
        row=row,
        start=start,
        length=length,
        pixels=np.flatnonzero(flat),
        offset=np.cumsum(length) - length,
    )


def _size_and_place(runs: _Runs, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    height, width = shape
    count = runs.ids.size
    area = runs.total(runs.length).astype(np.int64)
    top, left = np.full(count, height), np.full(count, width)
    bottom, right = np.zeros(count, np.int64), np.zeros(count, np.int64)
    np.minimum.at(top, runs.owner, runs.row)
    np.minimum.at(left, runs.owner, runs.start)
    np.maximum.at(bottom, runs.owner, runs.row + 1)
    np.maximum.at(right, runs.owner, runs.start + runs.length)
    return {
        "label": runs.ids.astype(np.int64),
        "area": area,
        "centroid-0": runs.total(runs.row * runs.length) / area,
        "centroid-1": runs.total((runs.start + (runs.length - 1) / 2) * runs.length) / area,
        "bbox-0": top,
        "bbox-1": left,
        "bbox-2": bottom,
        "bbox-3": right,
        "touches_border": (top == 0) | (left == 0) | (bottom == height) | (right == width),
        "extent": area / ((bottom - top) * (right - left)),
        "equivalent_diameter_area": np.sqrt(4 * area / np.pi),
    }


def _shape(runs: _Runs, area: np.ndarray) -> dict[str, np.ndarray]:
    """Axes, eccentricity and orientation of the ellipse with the same second moments."""
    row = runs.row - (runs.total(runs.row * runs.length) / area)[runs.owner]
    center = runs.start + (runs.length - 1) / 2
    column = center - (runs.total(center * runs.length) / area)[runs.owner]
    # Columns within a run of m pixels scatter by (m² - 1) / 12 about its center.
    rows = runs.total(runs.length * row**2) / area
    columns = runs.total(runs.length * (column**2 + (runs.length**2 - 1) / 12)) / area
    mixed = runs.total(runs.length * row * column) / area
    middle, spread = (rows + columns) / 2, np.hypot((rows - columns) / 2, mixed)
    major, minor = middle + spread, np.maximum(middle - spread, 0)
    flatness = np.divide(minor, major, out=np.ones_like(major), where=major > 0)
    return {
        "axis_major_length": 4 * np.sqrt(major),
        "axis_minor_length": 4 * np.sqrt(minor),
        "eccentricity": np.sqrt(1 - flatness),
        "orientation": _orientation(rows, columns, mixed),
    }


def _orientation(rows: np.ndarray, columns: np.ndarray, mixed: np.ndarray) -> np.ndarray:
    """Angle between the row axis and the major axis, -π/2…π/2; ±π/4 where no axis is longer, as scikit-image has it."""
    level = np.where(mixed > 0, np.pi / 4, -np.pi / 4)
    return np.where(rows == columns, level, np.arctan2(2 * mixed, rows - columns) / 2)


def _perimeter(labels: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Length of each object's border; steps between border pixels count 1, √2 or the mean of both.

    Benkrid, Crookes. Design and FPGA implementation of a perimeter estimator. Queen's
    University of Belfast; the table is scikit-image's.
    """
    width = labels.shape[1] + 2
    around = np.pad(labels, 1).ravel()
    own = around[width + 1 : -width - 1]
    edge = np.zeros(around.size, bool)
    for step in (-width, -1, 1, width):
        edge[width + 1 : -width - 1] |= own != around[width + 1 + step : around.size - width - 1 + step]
    edge &= around > 0
    border = np.flatnonzero(edge)
    owner = around[border]
    code = np.ones(border.size, np.int64)
    for rows, columns in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)):
        neighbor = border + rows * width + columns
        code += (10 if rows and columns else 2) * (edge[neighbor] & (around[neighbor] == owner))
    weights = np.zeros(50)
    weights[[5, 7, 15, 17, 25, 27]] = 1
    weights[[21, 33]] = np.sqrt(2)
    weights[[13, 23]] = (1 + np.sqrt(2)) / 2
    return np.bincount(np.searchsorted(ids, owner), weights[code], ids.size)


def _intensity(runs: _Runs, values: np.ndarray, *, channel: int) -> dict[str, np.ndarray]:
    """Columns of one channel, whose pixels in objects are ``values``, (N,) float64."""
    count = runs.ids.size
    area = runs.total(runs.length)
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    mean = _totals(runs, values) / area
    if count:
        np.minimum.at(low, runs.owner, np.minimum.reduceat(values, runs.offset))
        np.maximum.at(high, runs.owner, np.maximum.reduceat(values, runs.offset))
    deviation = values - np.repeat(mean[runs.owner], runs.length)
    return {
        f"intensity_mean-{channel}": mean,
        f"intensity_min-{channel}": low,
        f"intensity_max-{channel}": high,
        f"intensity_std-{channel}": np.sqrt(_totals(runs, deviation**2) / area),
    }


def _totals(runs: _Runs, values: np.ndarray) -> np.ndarray:
    """Sum of the objects' pixels ``values``, (N,), over each object."""
    return runs.total(np.add.reduceat(values, runs.offset)) if runs.ids.size else np.zeros(0)
