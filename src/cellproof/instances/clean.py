"""Label images in which every object is one piece, without holes, large enough and numbered without gaps."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .components import label_components


def clean_labels(labels: np.ndarray, *, smallest_area_px: int = 10, fill_holes: bool = True) -> np.ndarray:
    """Split objects into connected pieces, drop small ones, fill holes and number 1…n.

    A piece is 4-connected. The order matters: a speck inside another object is dropped first and
    then filled like any hole.

    Args:
        labels: (H, W) object ids, 0 background.
        smallest_area_px: Pieces with fewer pixels become background.
        fill_holes: Whether background that one object encloses becomes part of it.

    Returns:
        (H, W) int32, numbered in the order of each object's first pixel (row by row); all 0 where
        nothing is left.

    Raises:
        InputError: ``labels`` is not a label image.
    """
    # Pieces come in raster order and stay so: filling a hole never reaches an object's first pixel.
    cleaned = label_components(labels, smallest_px=smallest_area_px)
    return _fill_holes(cleaned) if fill_holes else cleaned


def _fill_holes(labels: np.ndarray) -> np.ndarray:
    """Fill background regions (8-connected) that one object alone encloses; a region at the border is no hole.

    Only stretches of background in a row with the same object at both ends can be of a hole, and few are: a hole is a
    region of such stretches above and below which there is nothing but each other and that object.
    """
    width, flat = labels.shape[1], labels.ravel()
    changes = np.ones(labels.shape, bool)
    np.not_equal(labels[:, 1:], labels[:, :-1], out=changes[:, 1:])
    starts = np.flatnonzero(changes)
    value, stops = flat[starts], np.append(starts[1:], flat.size)
    inner = np.flatnonzero(value == 0)
    inner = inner[(starts[inner] >= width) & (stops[inner] < flat.size - width)]
    inner = inner[(starts[inner] % width > 0) & (stops[inner] % width > 0)]
    runs = inner[value[inner - 1] == value[inner + 1]]
    if not runs.size:
        return labels
    place = np.full(starts.size, -1)
    place[runs] = np.arange(runs.size)
    owner, is_open = value[runs - 1], np.zeros(runs.size, bool)
    pairs = []
    for step in (-width, width):
        # Of a run with a pixel more at either end, what lies above or below it.
        first = np.searchsorted(starts, starts[runs] - 1 + step, side="right") - 1
        last = np.searchsorted(starts, stops[runs] + step, side="right") - 1
        count = last - first + 1
        one = np.repeat(np.arange(runs.size), count)
        other = np.arange(one.size) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
        beside = (starts[other] < stops[runs[one]] + step) & (stops[other] > starts[runs[one]] + step)
        is_other = (value[other] > 0) & beside & (value[other] != owner[one])
        is_open[one[is_other | ((value[other] == 0) & (place[other] < 0))]] = True
        joined = place[other] >= 0
        pairs.append((one[joined], place[other[joined]]))
    ones, others = (np.concatenate(sides) for sides in zip(*pairs, strict=True))
    is_open[ones[owner[ones] != owner[others]]] = True
    graph = coo_array((np.ones(ones.size, np.int8), (ones, others)), shape=(runs.size, runs.size))
    region = connected_components(graph, directed=False)[1]
    is_hole = ~np.isin(region, region[is_open])
    if not is_hole.any():
        return labels
    begin, length = starts[runs[is_hole]], (stops - starts)[runs[is_hole]]
    filled = flat.copy()
    pixels = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length) + np.repeat(begin, length)
    filled[pixels] = np.repeat(owner[is_hole], length)
    return filled.reshape(labels.shape)
