"""Objects from a flow field: each pixel follows its arrow, and pixels that end together are one object.

The idea of flows comes from Stringer, Wang, Michaelos, Pachitariu (2021). Cellpose: a generalizt
algorithm for cellular segmentation. Nature Methods 18, 100-106. doi:10.1038/s41592-020-01018-x.
There each pixel takes some hundred Euler steps; here the steps are doubled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import ndimage

from ..checks import InputError, check_finite, check_ndim
from ..types import InstanceOptions, Setting
from .contacts import contacts
from .pointers import follow_pointers

NEEDS = ("flows",)

TUNED: Mapping[str, Sequence[Setting]] = {}

HOP_PX = 2.0
"""Length of a hop: long enough that noise of single pixels is jumped over, shorter than a small nucleus' radius."""

DOUBLINGS = 9
"""512 hops: objects up to about 1,000 px from end to summit."""

SETTLING_HOPS = 3
"""Hops of one pixel at the end, which pull pixels that overshot the summit to within a pixel of it."""


def separate(maps: Mapping[str, np.ndarray], foreground: np.ndarray, options: InstanceOptions) -> np.ndarray:
    """Objects are the pixels whose flows end together; see `follow_flows`."""
    return follow_flows(maps["flows"], foreground, smallest_sink_px=options.smallest_area_px)


def follow_flows(flows: np.ndarray, foreground: np.ndarray, *, smallest_sink_px: int = 10) -> np.ndarray:
    """Label each foreground pixel by the summit that its flow leads to.

    Every pixel points to the pixel one hop along its flow; pointers are doubled until they have
    reached a summit, where they circle within a hop. End points within about 3 px of each other are
    one sink and one object. Pixels of a sink that collects fewer than ``smallest_sink_px`` pixels are
    fragments: they join the object with which they share the longest edge.

    Args:
        flows: (2, H, W) vectors (row, column) toward the summit; only their direction counts, a
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
        raise InputError(f"flows has shape {flows.shape}, expected {(2, *foreground.shape)} like the foreground")
    pixels = np.flatnonzero(foreground)
    labels = np.zeros(foreground.size, np.int32)
    if pixels.size:
        vectors = flows.reshape(2, -1)[:, pixels].astype(np.float32, copy=False)
        ends = _end_points(vectors, foreground, pixels)
        labels[pixels] = _label_sinks(pixels[ends], foreground.shape, smallest_sink_px=smallest_sink_px)
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


def _label_sinks(ends: np.ndarray, shape: tuple[int, ...], *, smallest_sink_px: int) -> np.ndarray:
    """Group end points, (n,) flat indices, into sinks and give each its sink's number; 0 if that collects too few."""
    is_end = np.zeros(shape, bool)
    is_end.ravel()[ends] = True
    # Crosses around two end points touch, corners included, when these are at most √10 px apart: what still
    # circles a summit after settling lies closer, and summits of separate nuclei do not.
    spread = is_end.copy()
    spread[1:] |= is_end[:-1]
    spread[:-1] |= is_end[1:]
    spread[:, 1:] |= is_end[:, :-1]
    spread[:, :-1] |= is_end[:, 1:]
    sinks, count = ndimage.label(spread, np.ones((3, 3), bool))
    sink = sinks.ravel()[ends]
    strong = np.bincount(sink, minlength=count + 1) >= smallest_sink_px
    strong[0] = False
    number = np.cumsum(strong, dtype=np.int32) * strong
    labels: np.ndarray = number[sink]
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
