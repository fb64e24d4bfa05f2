"""Where outlines run, and which objects must not share a color."""

from __future__ import annotations

import numpy as np

COLORS = 6
"""Six colors suffice for the touching objects of any plane (see `color_numbers`)."""


def outline_mask(labels: np.ndarray, *, width_px: int) -> np.ndarray:
    """Pixels of objects within ``width_px`` of another label, counted in steps to the side.

    Args:
        labels: (H, W) whole numbers, 0 background. Where an object meets the image's edge it has no outline.
        width_px: At least 1.

    Returns:
        (H, W) boolean.
    """
    inside = labels > 0
    edge = np.zeros(labels.shape, bool)
    for first, second in _sides(labels):
        differ = labels[first] != labels[second]
        edge[first] |= differ
        edge[second] |= differ
    edge &= inside
    for _ in range(width_px - 1):
        outer = edge.copy()
        for first, second in _sides(labels):
            edge[first] |= outer[second]
            edge[second] |= outer[first]
        edge &= inside
    return edge


def touching_pairs(labels: np.ndarray) -> np.ndarray:
    """Labels of objects that share a pixel's side, (n, 2), each pair once, the smaller first."""
    pairs = []
    for first, second in _sides(labels):
        one, other = labels[first], labels[second]
        meet = np.flatnonzero((one != other) & (one > 0) & (other > 0))
        pairs.append(np.stack([one.ravel()[meet], other.ravel()[meet]], axis=1))
    return np.unique(np.sort(np.concatenate(pairs), axis=1), axis=0)


def color_numbers(pairs: np.ndarray, *, largest_label: int) -> np.ndarray:
    """Color 0…5 of every label, different for touching objects.

    Objects that are each in one piece form a planar graph, which always has a node of at most five neighbors; when
    such nodes are taken away one by one and colored in the reverse order, one of six colors is always free.
    Objects in several pieces may exhaust the six; then the label's own color is repeated.

    References:
        Matula, Beck (1983). Smallest-last ordering and clustering and graph coloring algorithms.
        Journal of the ACM 30(3), 417-427. doi:10.1145/2402.322385

    Returns:
        (largest_label + 1,) uint8; alone, a label has color ``label % 6``.
    """
    colors = (np.arange(largest_label + 1) % COLORS).astype(np.uint8)
    neighbors: dict[int, set[int]] = {}
    for one, other in pairs.tolist():
        neighbors.setdefault(one, set()).add(other)
        neighbors.setdefault(other, set()).add(one)
    done: set[int] = set()
    for label in reversed(_smallest_last(neighbors)):
        taken = {int(colors[other]) for other in neighbors[label] if other in done}
        free = [color for color in np.roll(np.arange(COLORS), -(label % COLORS)).tolist() if color not in taken]
        colors[label] = free[0] if free else label % COLORS
        done.add(label)
    return colors


def _smallest_last(neighbors: dict[int, set[int]]) -> list[int]:
    """Labels in an order in which each has fewer than six neighbors among those that follow, where one exists."""
    degree = {label: len(others) for label, others in neighbors.items()}
    ready = [label for label, count in degree.items() if count < COLORS]
    order = []
    while degree:
        label = ready.pop() if ready else min(degree, key=lambda key: degree[key])
        if degree.pop(label, None) is None:
            continue
        order.append(label)
        for other in neighbors[label]:
            if other in degree:
                degree[other] -= 1
                if degree[other] == COLORS - 1:
                    ready.append(other)
    return order


def _sides(labels: np.ndarray) -> list[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """The two windows that lay each pixel beside its lower, and beside its right neighbor."""
    rows, columns = labels.shape
    everything = slice(None)
    return [
        ((slice(0, max(rows - 1, 0)), everything), (slice(1, None), everything)),
        ((everything, slice(0, max(columns - 1, 0))), (everything, slice(1, None))),
    ]
