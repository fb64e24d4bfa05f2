"""Connected regions of equal value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.measure import label

from ..checks import check_labels, check_ndim
from ..types import InstanceOptions, Setting

NEEDS: tuple[str, ...] = ()

TUNED: Mapping[str, Sequence[Setting]] = {}

FEW_RUNS = 1 / 12
"""Of the pixels: with fewer stretches of equal value than this, as in images of objects, joining them is quicker."""


def separate(maps: Mapping[str, np.ndarray], foreground: np.ndarray, options: InstanceOptions) -> np.ndarray:
    """Objects are the connected pieces of the foreground."""
    return label_components(foreground)


def label_components(class_map: np.ndarray, *, background: int = 0, smallest_px: int = 0) -> np.ndarray:
    """Number the connected regions of every class but the background.

    Pixels are neighbors when they share an edge (4-connectivity): cells that only meet at a corner
    stay apart, and a region never holds two classes.

    Args:
        class_map: (H, W) whole numbers. An image of object ids is split into connected pieces.
        background: The value that is no object.
        smallest_px: Regions of fewer pixels are left out, and have no number.

    Returns:
        (H, W) int32, 1…n in the order of each region's first pixel (row by row), 0 background.

    Raises:
        InputError: the map is not two-dimensional or holds other than non-negative whole numbers.
    """
    check_ndim(2, class_map=class_map)
    check_labels(class_map=class_map)
    changes = np.ones(class_map.shape, bool)
    np.not_equal(class_map[:, 1:], class_map[:, :-1], out=changes[:, 1:])
    starts = np.flatnonzero(changes)
    if starts.size < FEW_RUNS * class_map.size:
        return _joined_runs(class_map, starts, background, smallest_px)
    # skimage labels bool images as binary ones, whatever `background` says.
    values = class_map.astype(np.uint8) if class_map.dtype == bool else class_map
    regions: np.ndarray = label(values, background=background, connectivity=1)
    if smallest_px < 2:
        return regions.astype(np.int32)
    large = np.bincount(regions.ravel()) >= smallest_px
    large[0] = False
    # Numbers are in raster order, and stay so.
    return np.asarray((np.cumsum(large, dtype=np.int32) * large).take(regions))


def _joined_runs(class_map: np.ndarray, starts: np.ndarray, background: int, smallest_px: int) -> np.ndarray:
    """Regions of runs, stretches of equal value within a row.

    Of two runs of equal value in rows after one another that touch, one begins below or above a pixel of the other: it
    is enough to look there.

    Args:
        class_map: (H, W).
        starts: Flat indices at which all runs begin, the background's among them.
        background: The value that is no object.
        smallest_px: Regions of fewer pixels get no number.
    """
    width, flat = class_map.shape[1], class_map.ravel()
    value = flat[starts]
    runs = np.flatnonzero(value != background)
    pairs = []
    for step in (-width, width):
        beside = starts[runs] + step
        there = (beside >= 0) & (beside < flat.size)
        other = np.searchsorted(starts, beside[there], side="right") - 1
        equal = value[other] == value[runs[there]]
        pairs.append((runs[there][equal], other[equal]))
    one, other = (np.concatenate(sides) for sides in zip(*pairs, strict=True))
    graph = coo_array((np.ones(one.size, np.int8), (one, other)), shape=(starts.size, starts.size))
    piece = connected_components(graph, directed=False)[1]
    number, length = np.zeros(starts.size, np.int32), np.diff(starts, append=flat.size)
    _, first, inverse = np.unique(piece[runs], return_index=True, return_inverse=True)
    large = np.flatnonzero(np.bincount(inverse, length[runs]) >= smallest_px)
    rank = np.zeros(first.size, np.int32)
    rank[large[np.argsort(first[large])]] = np.arange(1, large.size + 1)
    number[runs] = rank[inverse]
    return np.repeat(number, length).reshape(class_map.shape)
