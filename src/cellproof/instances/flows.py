"""Objects from a flow field: each pixel follows its arrow, and pixels that end together are one object.

The idea of flows comes from Stringer, Wang, Michaelos, Pachitariu (2021). Cellpose: a generalist
algorithm for cellular segmentation. Nature Methods 18, 100-106. doi:10.1038/s41592-020-01018-x.
There each pixel takes some hundred Euler steps; here the steps are doubled.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ..checks import InputError, check_finite, check_ndim
from .contacts import contacts
from .pointers import follow_pointers

HOP_PX = 2.0
"""Length of a hop: long enough that noise of single pixels is jumped over, shorter than a small nucleus' radius."""

DOUBLINGS = 9
"""512 hops: objects up to about 1,000 px from end to summit."""

SETTLING_HOPS = 3
"""Hops of one pixel at the end, which pull pixels that overshot the summit to within a pixel of it."""

JOIN_PX = 3.0
"""End points at most this far apart belong to one summit."""


def follow_flows(flows: np.ndarray, foreground: np.ndarray, *, smallest_sink_px: int = 10) -> np.ndarray:
    """Label each foreground pixel by the summit that its flow leads to.

    Every pixel points to the pixel one hop along its flow; pointers are doubled until they have
    reached a summit, where they circle within a hop. End points close together are one sink and one
    object. Pixels of a sink that collects fewer than ``smallest_sink_px`` pixels are fragments: they
    join the object with which they share the longest edge.

    Args:
        flows: (2, H, W) vectors (row, column) towards the summit; only their direction counts, a
            vector of length 0 is an end.
        foreground: (H, W) bool, the pixels that belong to objects.
        smallest_sink_px: Pixels that a sink must collect to found an object.

    Returns:
        (H, W) int32; 0 outside the foreground and for fragments that touch no object. Objects may
        consist of several pieces.

    Raises:
        InputError: shapes do not fit or the flow is not finite.
    """
    check_ndim(2, foreground=foreground)
    if flows.shape != (2, *foreground.shape):
        raise InputError(f"flows has shape {flows.shape}, wanted {(2, *foreground.shape)} like the foreground")
    pixels = np.flatnonzero(foreground)
    labels = np.zeros(foreground.size, np.int32)
    if pixels.size:
        ends = _end_points(flows.reshape(2, -1)[:, pixels], foreground, pixels)
        labels[pixels] = _label_sinks(ends, pixels, width=foreground.shape[1], smallest_sink_px=smallest_sink_px)
    return _join_fragments(labels.reshape(foreground.shape), foreground)


def _end_points(vectors: np.ndarray, foreground: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Position in ``pixels`` at which each foreground pixel ends."""
    check_finite(flows=vectors)
    length = np.hypot(vectors[0], vectors[1])
    unit = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
    position = np.full(foreground.size, -1, np.int32)
    position[pixels] = np.arange(pixels.size, dtype=np.int32)
    step = _hops(unit, pixels, position, shape=foreground.shape, length_px=1.0, otherwise=position[pixels])
    hop = _hops(unit, pixels, position, shape=foreground.shape, length_px=HOP_PX, otherwise=step)
    ends = follow_pointers(hop, doublings=DOUBLINGS)
    for _ in range(SETTLING_HOPS):
        ends = step[ends]
    return ends


def _hops(
    unit: np.ndarray,
    pixels: np.ndarray,
    position: np.ndarray,
    *,
    shape: tuple[int, ...],
    length_px: float,
    otherwise: np.ndarray,
) -> np.ndarray:
    """Target of one hop, stopped at the image's border; ``otherwise`` where it would leave the foreground."""
    height, width = shape
    row, column = np.divmod(pixels.astype(np.int32), np.int32(width))
    row += np.rint(unit[0] * np.float32(length_px)).astype(np.int32)
    column += np.rint(unit[1] * np.float32(length_px)).astype(np.int32)
    np.clip(row, 0, height - 1, out=row)
    np.clip(column, 0, width - 1, out=column)
    target = position[row.astype(np.int64) * width + column]
    return np.where(target < 0, otherwise, target)


def _label_sinks(ends: np.ndarray, pixels: np.ndarray, *, width: int, smallest_sink_px: int) -> np.ndarray:
    """Group end points into sinks and give each pixel its sink's number, 0 for sinks that collect too few."""
    collected = np.bincount(ends, minlength=pixels.size)
    places = np.flatnonzero(collected)
    coordinates = np.stack(np.divmod(pixels[places], width), axis=1)
    near = cKDTree(coordinates).query_pairs(JOIN_PX, output_type="ndarray")
    graph = coo_array((np.ones(len(near), bool), (near[:, 0], near[:, 1])), shape=(places.size, places.size))
    _, sink = connected_components(graph, directed=False)
    strong = np.bincount(sink, weights=collected[places]) >= smallest_sink_px
    number = np.cumsum(strong, dtype=np.int32) * strong
    label_at_end = np.zeros(pixels.size, np.int32)
    label_at_end[places] = number[sink]
    labels: np.ndarray = label_at_end[ends]
    return labels


def _join_fragments(labels: np.ndarray, foreground: np.ndarray) -> np.ndarray:
    """Give each connected fragment without a label to the object with which it shares most pixel edges."""
    fragments, count = ndimage.label(foreground & (labels == 0))
    if count == 0:
        return labels
    touching = contacts(fragments, labels)
    owner = np.zeros(count + 1, np.int32)
    # Ascending edges: of several objects that a fragment touches the last one written is the one with most.
    order = np.argsort(touching.edges, kind="stable")
    owner[touching.region[order]] = touching.label[order]
    return np.where(fragments > 0, owner[fragments], labels)
