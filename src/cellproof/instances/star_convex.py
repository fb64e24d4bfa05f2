"""Star-convex polygons: of overlapping candidates the surest stays, and pixels join the polygon they lie deepest in.

The idea is that of Schmidt, Weigert, Broaddus, Myers (2018). Cell detection with star-convex polygons. MICCAI.
doi:10.1007/978-3-030-00934-2_30
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.ndimage import label, maximum_filter

from ..checks import InputError, check_finite, check_ndim
from ..types import InstanceOptions, Setting
from .polygons import Polygons, Samples, covered, covered_fraction, near_pairs

NEEDS = ("star_convex",)

TUNED: Mapping[str, Sequence[Setting]] = {
    "score_threshold": (0.2, 0.3, 0.4, 0.5, 0.6, 0.7),
    "overlap_threshold": (0.2, 0.3, 0.4, 0.5, 0.6),
    "edges": ("foreground", "polygon"),
}

SCORE_THRESHOLD = 0.5

OVERLAP_THRESHOLD = 0.4

GROWN = 1.25
"""Where the foreground decides on edges, it may reach so many times further than the polygon, which cuts corners."""

BATCH = 512
"""Candidates that are compared with each other at once; those that stay cut the next ones short."""

PLATEAU_PX = 8
"""Neighbors of the same probability found one polygon; a plateau that is wider, one in each square of this side."""


def separate(maps: Mapping[str, np.ndarray], foreground: np.ndarray, options: InstanceOptions) -> np.ndarray:
    """Objects are the polygons that remain; see `star_convex_objects`."""
    given = dict(options.options)
    edges = given.get("edges", "foreground")
    if edges not in ("foreground", "polygon"):
        raise InputError(f"edges is {edges!r}, expected 'foreground' or 'polygon'")
    return star_convex_objects(
        maps["star_convex"][0],
        maps["star_convex"][1:],
        score_threshold=float(given.get("score_threshold", SCORE_THRESHOLD)),
        overlap_threshold=float(given.get("overlap_threshold", OVERLAP_THRESHOLD)),
        foreground=foreground if edges == "foreground" else None,
    )


def star_convex_objects(
    probability: np.ndarray,
    rays: np.ndarray,
    *,
    score_threshold: float = SCORE_THRESHOLD,
    overlap_threshold: float = OVERLAP_THRESHOLD,
    foreground: np.ndarray | None = None,
) -> np.ndarray:
    """Label each pixel by the polygon that it lies deepest in.

    Candidates are the summits of the object probability: a pixel with a surer neighbor has about the same polygon as
    that neighbor, and of neighbors that are equally sure the one farthest from its outline stands for all within
    `PLATEAU_PX`. Of two polygons that overlap too much the surer one stays, of equally sure ones the one whose center
    is farther from its outline.

    Args:
        probability: (H, W) object probability.
        rays: (n, H, W) lengths in pixels; ray k points to row sin 2πk/n, column cos 2πk/n.
        score_threshold: Least probability of a candidate.
        overlap_threshold: Most of the smaller of two polygons that the other may cover.
        foreground: (H, W) bool, the pixels that may belong to objects; polygons may then be exceeded by `GROWN`.
            None: objects are the polygons.

    Returns:
        (H, W) int32, 0 outside objects.

    Raises:
        InputError: Shapes do not fit, fewer than three rays, or values are not finite.
    """
    check_ndim(2, probability=probability)
    check_ndim(3, rays=rays)
    if rays.shape[1:] != probability.shape or len(rays) < 3:
        raise InputError(f"rays has shape {rays.shape}, expected (3 or more, *{probability.shape})")
    check_finite(probability=probability)
    is_summit = (probability >= score_threshold) & (probability == maximum_filter(probability, 3, mode="nearest"))
    lengths = rays[:, is_summit].T
    check_finite(rays=lengths)
    chosen = _one_of_each_plateau(is_summit, lengths)
    candidates = Polygons.of(np.argwhere(is_summit)[chosen], np.minimum(lengths[chosen], max(probability.shape)))
    kept = candidates[suppress(candidates, probability[is_summit][chosen], overlap_threshold=overlap_threshold)]
    labels = paint(kept, probability.shape, reach=1.0 if foreground is None else GROWN)
    return labels if foreground is None else np.where(foreground, labels, 0)


def _one_of_each_plateau(is_summit: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Numbers of the summits, of each plateau in each square the one with the longest shortest ray, by these rays.

    A network that has learned little, in bf16 above all, says the same of thousands of neighbors, each of which would
    be compared with all others.
    """
    plateaus, _ = label(is_summit, np.ones((3, 3), bool))
    keys = np.column_stack([plateaus[is_summit], np.argwhere(is_summit) // PLATEAU_PX])
    inward = np.argsort(-lengths.min(axis=1, initial=np.inf), kind="stable")
    _, first = np.unique(keys[inward], axis=0, return_index=True)
    chosen: np.ndarray = inward[np.sort(first)]
    return chosen


def suppress(polygons: Polygons, scores: np.ndarray, *, overlap_threshold: float) -> np.ndarray:
    """Non-maximum suppression: polygons from the surest on, without those that one before covers too much.

    Args:
        polygons: m candidates.
        scores: (m,); of equal ones the first is the surer.
        overlap_threshold: In [0, 1]. A polygon is left out when it and one that stays have more than this fraction of
            the smaller one's area in common.

    Returns:
        Numbers of those that stay, the surest first.
    """
    if not len(polygons):
        return np.zeros(0, np.int64)
    order = np.argsort(-scores, kind="stable")
    polygons = polygons[order]
    samples = Samples.of(polygons)
    stays = np.zeros(len(polygons), bool)
    for start in range(0, len(polygons), BATCH):
        batch = np.arange(start, min(start + BATCH, len(polygons)))
        before = np.flatnonzero(stays[:start])
        first, second = near_pairs(polygons[before], polygons[batch])
        first, second = before[first], batch[second]
        covers = covered_fraction(polygons, samples, first, second) > overlap_threshold
        left = np.setdiff1d(batch, second[covers])
        stays[_surest(polygons, samples, left, overlap_threshold)] = True
    return order[stays]


def _surest(polygons: Polygons, samples: Samples, chosen: np.ndarray, overlap_threshold: float) -> np.ndarray:
    """Of some polygons, the surest first, those that stay.

    In each round all stay that have no surer neighbor of which it is not known whether it stays: the result is that of
    taking one polygon after the other.
    """
    first, second = near_pairs(polygons[chosen], polygons[chosen])
    ahead = first < second
    first, second = first[ahead], second[ahead]
    unknown, stays = np.ones(len(chosen), bool), np.zeros(len(chosen), bool)
    while unknown.any():
        blocked = np.zeros(len(chosen), bool)
        blocked[second] = True
        found = unknown & ~blocked
        stays |= found
        unknown &= ~found
        tested = found[first]
        one, other = first[tested], second[tested]
        covers = covered_fraction(polygons, samples, chosen[one], chosen[other]) > overlap_threshold
        unknown[other[covers]] = False
        open_pairs = unknown[first] & unknown[second]
        first, second = first[open_pairs], second[open_pairs]
    return chosen[stays]


def paint(polygons: Polygons, shape: tuple[int, ...], *, reach: float = 1.0) -> np.ndarray:
    """Label image of polygons; a pixel of several belongs to the one that it lies deepest in.

    Args:
        polygons: The first of equals wins.
        shape: (H, W).
        reach: Polygons are enlarged by this factor.

    Returns:
        (H, W) int32, number of the polygon + 1, 0 outside all.
    """
    labels = np.zeros(int(np.prod(shape)), np.int32)
    deepest = np.full(labels.size, np.inf, np.float32)
    for owners, pixels, depth in covered(polygons, (shape[0], shape[1]), reach=reach):
        best = deepest[pixels]
        np.minimum.at(deepest, pixels, depth)
        mine = np.flatnonzero((depth == deepest[pixels]) & (depth < best))[::-1]
        labels[pixels[mine]] = owners[mine] + 1
    return labels.reshape(shape)
