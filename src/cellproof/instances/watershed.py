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
from dataclasses import dataclass
from functools import reduce

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
    return separate_all(maps, [foreground], [options])[0]


def separate_all(
    maps: Mapping[str, np.ndarray], foregrounds: Sequence[np.ndarray], options: Sequence[InstanceOptions]
) -> list[np.ndarray]:
    """What `separate` gives for each foreground and its options, in less time where they have much in common.

    The surface is smoothed once for each weight of the boundary; foregrounds that lie in each other share the ascent of
    their pixels, and one foreground shares its basins and passes among all seed thresholds.
    """
    boundary = maps.get("boundary")
    found: dict[int, np.ndarray] = {}
    for weight in dict.fromkeys(one.boundary_weight for one in options):
        chosen = [place for place, one in enumerate(options) if one.boundary_weight == weight]
        labels = watershed_objects_all(
            maps["distance"][0],
            [foregrounds[place] for place in chosen],
            boundary=None if boundary is None else boundary[0],
            boundary_weight=weight,
            seed_thresholds=[options[place].seed_threshold for place in chosen],
        )
        found |= dict(zip(chosen, labels, strict=True))
    return [found[place] for place in range(len(options))]


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
    return watershed_objects_all(
        height, [foreground], boundary=boundary, boundary_weight=boundary_weight, seed_thresholds=[seed_threshold]
    )[0]


def watershed_objects_all(
    height: np.ndarray,
    foregrounds: Sequence[np.ndarray],
    *,
    boundary: np.ndarray | None = None,
    boundary_weight: float = 0.5,
    seed_thresholds: Sequence[float],
) -> list[np.ndarray]:
    """What `watershed_objects` gives for each foreground with its seed threshold.

    Args:
        height: See there.
        foregrounds: (H, W) bool each; the largest should hold all others, as those of other thresholds do.
        boundary: See there.
        boundary_weight: See there.
        seed_thresholds: One for each foreground.

    Raises:
        InputError: As there.
    """
    check_ndim(2, height=height)
    for foreground in foregrounds:
        check_ndim(2, foreground=foreground)
        check_same_shape(height=height, foreground=foreground)
    for seed_threshold in seed_thresholds:
        if not seed_threshold > 0:
            raise InputError(f"seed_threshold is {seed_threshold}, expected a height above 0, such as 0.1")
    check_finite(height=height)
    surface = _surface(height, boundary, boundary_weight)
    ascent = _Ascent.of(surface, reduce(np.logical_or, foregrounds))
    known: list[tuple[np.ndarray, np.ndarray, np.ndarray, _Passes]] = []
    found = []
    for foreground, seed_threshold in zip(foregrounds, seed_thresholds, strict=True):
        same = next((one for one in known if one[0] is foreground or np.array_equal(one[0], foreground)), None)
        if same is None:
            basins, summits = ascent.basins(foreground)
            same = (foreground, basins, summits, _passes(basins, ascent.surface, ascent.shape[1]))
            known.append(same)
        labels = _join_basins(*same[1:], seed_threshold=seed_threshold).reshape(ascent.shape)
        found.append(labels[1:-1, 1:-1])
    return found


def _surface(height: np.ndarray, boundary: np.ndarray | None, boundary_weight: float) -> np.ndarray:
    """Height lowered at boundaries, lightly smoothed; float32."""
    surface = height.astype(np.float32)
    if boundary is not None:
        check_same_shape(height=height, boundary=boundary)
        check_finite(boundary=boundary)
        surface -= np.float32(boundary_weight) * boundary.astype(np.float32)
    smoothed: np.ndarray = ndimage.gaussian_filter(surface, SMOOTHING_PX, truncate=2.0, mode="nearest")
    return smoothed


_STEPS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))


@dataclass(frozen=True)
class _Ascent:
    """Where each pixel of a foreground ascends to, in arrays with a rim of one pixel around the image.

    Attributes:
        surface: Flat heights.
        inside: Flat mask of the foreground.
        shape: Of the arrays before they were flattened.
        pixels: (n,) flat indices of the foreground, ascending.
        position: Flat position of each of them in ``pixels``; anything elsewhere.
        pointers: (n,) position of the pixel that each ascends to; of a summit its own.
    """

    surface: np.ndarray
    inside: np.ndarray
    shape: tuple[int, int]
    pixels: np.ndarray
    position: np.ndarray
    pointers: np.ndarray

    @classmethod
    def of(cls, surface: np.ndarray, foreground: np.ndarray) -> _Ascent:
        """Ascent of the pixels of a foreground on a surface."""
        heights, inside = np.pad(surface, 1), np.pad(foreground, 1).ravel()
        pixels = np.flatnonzero(inside)
        position = np.empty(inside.size, np.int32)
        position[pixels] = np.arange(pixels.size, dtype=np.int32)
        target = _targets(pixels, heights.ravel(), inside, heights.shape[1])
        return cls(heights.ravel(), inside, heights.shape, pixels, position, position[target])

    def basins(self, foreground: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Basins of a foreground that lies in this one.

        A pixel whose target is left in the smaller foreground still ascends to it; only others are looked at again.

        Returns:
            Flat int32 number (1…n) of the local summit to which each of its pixels ascends, 0 outside; and the (n,)
            heights of the summits.
        """
        walled = np.zeros(self.shape, bool)
        walled[1:-1, 1:-1] = foreground
        is_left = walled.ravel()[self.pixels]
        pointers = self.pointers
        lost = np.flatnonzero(is_left & ~is_left[pointers])
        if lost.size:
            targets = _targets(self.pixels[lost], self.surface, walled.ravel(), self.shape[1])
            pointers = pointers.copy()
            pointers[lost] = self.position[targets]
        ends = follow_pointers(pointers, doublings=max(1, pointers.size.bit_length()))
        is_summit = (pointers == np.arange(pointers.size)) & is_left
        basins = np.zeros(walled.size, np.int32)
        number = np.cumsum(is_summit, dtype=np.int32)
        basins[self.pixels] = number[ends] * is_left
        return basins, self.surface[self.pixels[is_summit]]


def _targets(pixels: np.ndarray, surface: np.ndarray, inside: np.ndarray, width: int) -> np.ndarray:
    """Flat index of the neighbor inside to which each of some pixels ascends most steeply; of a summit its own."""
    # Of equal neighbors the later pixel counts as the higher one, so that a plateau has one summit, not many.
    own, target, steepest = surface[pixels], pixels.copy(), np.zeros(pixels.size, np.float32)
    for rows, columns in _STEPS:
        step = rows * width + columns
        neighbor = pixels + step
        slope = (surface[neighbor] - own) / np.float32(np.hypot(rows, columns))
        steeper = (slope > steepest if step < 0 else slope >= steepest) & inside[neighbor]
        np.copyto(steepest, slope, where=steeper)
        np.copyto(target, neighbor, where=steeper)
    return target


_Passes = tuple[np.ndarray, np.ndarray, np.ndarray]


def _join_basins(basins: np.ndarray, summits: np.ndarray, passes: _Passes, *, seed_threshold: float) -> np.ndarray:
    """Join each basin whose summit has too little prominence with the neighbor behind its highest pass."""
    first, second, height = passes
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
    labels: np.ndarray = number.take(basins)
    return labels


def _passes(basins: np.ndarray, surface: np.ndarray, width: int) -> _Passes:
    """Pairs of touching basins (8-connected) with the height of their highest pass, highest pass first.

    Args:
        basins: Flat, with a rim of zeros around the image.
        surface: Flat, of the same size.
        width: Of a row, its rim included.
    """
    pairs, levels = [], []
    base = int(basins.max(initial=0)) + 1
    for step in (1, width - 1, width, width + 1):
        pixels = np.flatnonzero(basins[:-step] != basins[step:])
        one, other = basins[pixels], basins[pixels + step]
        meeting = (one > 0) & (other > 0)
        pixels, one, other = pixels[meeting], one[meeting], other[meeting]
        low, high = np.minimum(one, other), np.maximum(one, other)
        pairs.append(low.astype(np.int64) * base + high)
        levels.append(np.minimum(surface[pixels], surface[pixels + step]))
    pair, level = np.concatenate(pairs), np.concatenate(levels)
    order = np.lexsort((-level, pair))
    pair, level = pair[order], level[order]
    highest = np.diff(pair, prepend=-1) != 0
    pair, level = pair[highest], level[highest]
    order = np.argsort(-level, kind="stable")
    return pair[order] // base, pair[order] % base, level[order]
