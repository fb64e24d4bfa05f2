"""Objects from a height map: a pixel belongs to the summit that the steepest ascent leads to.

Summits that barely rise above the pass to a higher one are joined with it, in the order in which a
falling water level would part them, so that what remains are the h-maxima of the map.

References:
    Meyer (1994). Topographic distance and watershed lines. Signal Processing 38(1), 113-125.
    doi:10.1016/0165-1684(94)90060-4 (catchment basins by steepest slope).
    Edelsbrunner, Letscher, Zomorodian (2002). Topological persistence and simplification.
    Discrete & Computational Geometry 28, 511-533. doi:10.1007/s00454-002-2885-2 (joining by prominence).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import ndimage

from ..checks import InputError, check_finite, check_ndim, check_same_shape
from ..types import InstanceOptions, Setting
from .pointers import follow_pointers

NEEDS = ("distance",)

TUNED: Mapping[str, Sequence[Setting]] = {
    "seed_threshold": (0.03, 0.05, 0.1, 0.15, 0.2, 0.3, 0.45),
    "boundary_weight": (0.0, 0.25, 0.5, 1.0),
}

SMOOTHING_PX = 1.0
"""Standard deviation of the light smoothing that takes single-pixel summits away."""


def separate(maps: Mapping[str, np.ndarray], foreground: np.ndarray, options: InstanceOptions) -> np.ndarray:
    """Objects are the basins of the distance, lowered at boundaries where these are known; see `watershed_objects`."""
    boundary = maps.get("boundary")
    return watershed_objects(
        maps["distance"][0],
        foreground,
        boundary=None if boundary is None else boundary[0],
        boundary_weight=options.boundary_weight,
        seed_threshold=options.seed_threshold,
    )


def watershed_objects(
    height: np.ndarray,
    foreground: np.ndarray,
    *,
    boundary: np.ndarray | None = None,
    boundary_weight: float = 0.5,
    seed_threshold: float = 0.1,
) -> np.ndarray:
    """Divide the foreground among the summits of a height map.

    Args:
        height: (H, W), about 1 at each object's summit and 0 at its edge.
        foreground: (H, W) bool, the pixels that belong to objects.
        boundary: (H, W) probability of an object's edge; lowers the height. None: not used.
        boundary_weight: Height that a sure boundary takes away.
        seed_threshold: A summit founds an object when it rises this far above the pass to a higher
            summit; must be above 0. The highest summit of a connected region always does.

    Returns:
        (H, W) int32; every foreground pixel belongs to one 8-connected object, 0 elsewhere.

    Raises:
        InputError: shapes differ, a value is not finite or ``seed_threshold`` is not positive.
    """
    check_ndim(2, height=height, foreground=foreground)
    check_same_shape(height=height, foreground=foreground)
    if not seed_threshold > 0:
        raise InputError(f"seed_threshold is {seed_threshold}, expected a height above 0, such as 0.1")
    check_finite(height=height)
    surface = _surface(height, boundary, boundary_weight)
    basins, summits = _basins(surface, foreground)
    return _join_basins(basins, summits, surface, seed_threshold=seed_threshold)


def _surface(height: np.ndarray, boundary: np.ndarray | None, boundary_weight: float) -> np.ndarray:
    """Height lowered at boundaries, lightly smoothed; float32."""
    surface = height.astype(np.float32)
    if boundary is not None:
        check_same_shape(height=height, boundary=boundary)
        check_finite(boundary=boundary)
        surface -= np.float32(boundary_weight) * boundary.astype(np.float32)
    smoothed: np.ndarray = ndimage.gaussian_filter(surface, SMOOTHING_PX, truncate=2.0, mode="nearest")
    return smoothed


def _basins(surface: np.ndarray, foreground: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number (1…n) of the local summit to which each foreground pixel ascends, 0 outside; and the n summits' height."""
    height, width = surface.shape
    walled = np.full((height + 2, width + 2), -np.inf, np.float32)
    np.copyto(walled[1:-1, 1:-1], surface, where=foreground)
    flat = walled.ravel()
    pixels = np.flatnonzero(flat > -np.inf)
    # Of equal neighbors the later pixel counts as the higher one, so that a plateau has one summit, not many.
    own, target, steepest = flat[pixels], pixels.copy(), np.zeros(pixels.size, np.float32)
    for rows, columns in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)):
        step = rows * (width + 2) + columns
        slope = (flat[pixels + step] - own) / np.float32(np.hypot(rows, columns))
        steeper = slope > steepest if step < 0 else slope >= steepest
        np.copyto(steepest, slope, where=steeper)
        np.copyto(target, pixels + step, where=steeper)
    position = np.zeros(flat.size, np.int32)
    position[pixels] = np.arange(pixels.size, dtype=np.int32)
    pointers = position[target]
    ends = follow_pointers(pointers, doublings=max(1, pixels.size.bit_length()))
    is_summit = pointers == np.arange(pixels.size)
    basins = np.zeros(flat.size, np.int32)
    basins[pixels] = np.cumsum(is_summit, dtype=np.int32)[ends]
    return basins.reshape(walled.shape)[1:-1, 1:-1], own[is_summit]


def _join_basins(basins: np.ndarray, summits: np.ndarray, surface: np.ndarray, *, seed_threshold: float) -> np.ndarray:
    """Join each basin whose summit has too little prominence with the neighbor behind its highest pass."""
    first, second, height = _passes(basins, surface)
    top = [-np.inf, *summits.tolist()]
    parent = list(range(len(top)))

    def root(basin: int) -> int:
        while parent[basin] != basin:
            parent[basin] = parent[parent[basin]]
            basin = parent[basin]
        return basin

    for one, other, level in zip(first.tolist(), second.tolist(), height.tolist(), strict=True):
        low, high = sorted((root(one), root(other)), key=top.__getitem__)
        if low != high and top[low] - level < seed_threshold:
            parent[low] = high
    roots = np.array([root(basin) for basin in range(len(top))], np.int32)
    number = np.unique(roots, return_inverse=True)[1].astype(np.int32)
    labels: np.ndarray = number[basins]
    return labels


def _passes(basins: np.ndarray, surface: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of touching basins (8-connected) with the height of their highest pass, highest pass first."""
    pairs, levels = [], []
    base = int(basins.max(initial=0)) + 1
    for here, there in _NEIGHBORS:
        one, other = basins[here], basins[there]
        meeting = (one != other) & (one > 0) & (other > 0)
        low, high = np.minimum(one[meeting], other[meeting]), np.maximum(one[meeting], other[meeting])
        pairs.append(low.astype(np.int64) * base + high)
        levels.append(np.minimum(surface[here][meeting], surface[there][meeting]))
    pair, level = np.concatenate(pairs), np.concatenate(levels)
    order = np.lexsort((-level, pair))
    pair, level = pair[order], level[order]
    highest = np.diff(pair, prepend=-1) != 0
    pair, level = pair[highest], level[highest]
    order = np.argsort(-level, kind="stable")
    return pair[order] // base, pair[order] % base, level[order]


_BEFORE, _AFTER, _ALL = slice(None, -1), slice(1, None), slice(None)
_NEIGHBORS = (
    ((_ALL, _BEFORE), (_ALL, _AFTER)),
    ((_BEFORE, _ALL), (_AFTER, _ALL)),
    ((_BEFORE, _BEFORE), (_AFTER, _AFTER)),
    ((_BEFORE, _AFTER), (_AFTER, _BEFORE)),
)
