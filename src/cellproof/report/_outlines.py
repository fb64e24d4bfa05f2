"""Where outlines run, and which objects must not share a colour."""

from __future__ import annotations

import numpy as np

COLOURS = 6
"""Six colours suffice for the touching objects of any plane (see `colour_numbers`)."""


def outline_mask(labels: np.ndarray, *, width_px: int) -> np.ndarray:
    """Pixels of objects within ``width_px`` of another label, counted in steps to the side.

    Args:
        labels: (H, W) whole numbers, 0 background. Where an object meets the picture's edge it has no outline.
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


def colour_numbers(pairs: np.ndarray, *, largest_label: int) -> np.ndarray:
    """Colour 0…5 of every label, different for touching objects.

    Objects that are each in one piece form a planar graph, which always has a node of at most five neighbours; when
    such nodes are taken away one by one and coloured in the reverse order, one of six colours is always free.
    Objects in several pieces may exhaust the six; then the label's own colour is repeated.

    References:
        Matula, Beck (1983). Smallest-last ordering and clustering and graph coloring algorithms.
        Journal of the ACM 30(3), 417-427. doi:10.1145/2402.322385

    Returns:
        (largest_label + 1,) uint8; alone, a label has colour ``label % 6``.
    """
    colours = (np.arange(largest_label + 1) % COLOURS).astype(np.uint8)
    neighbours: dict[int, set[int]] = {}
    for one, other in pairs.tolist():
        neighbours.setdefault(one, set()).add(other)
        neighbours.setdefault(other, set()).add(one)
    done: set[int] = set()
    for label in reversed(_smallest_last(neighbours)):
        taken = {int(colours[other]) for other in neighbours[label] if other in done}
        free = [colour for colour in np.roll(np.arange(COLOURS), -(label % COLOURS)).tolist() if colour not in taken]
        colours[label] = free[0] if free else label % COLOURS
        done.add(label)
    return colours


def _smallest_last(neighbours: dict[int, set[int]]) -> list[int]:
    """Labels in an order in which each has fewer than six neighbours among those that follow, where one exists."""
    degree = {label: len(others) for label, others in neighbours.items()}
    ready = [label for label, count in degree.items() if count < COLOURS]
    order = []
    while degree:
        label = ready.pop() if ready else min(degree, key=lambda key: degree[key])
        if degree.pop(label, None) is None:
            continue
        order.append(label)
        for other in neighbours[label]:
            if other in degree:
                degree[other] -= 1
                if degree[other] == COLOURS - 1:
                    ready.append(other)
    return order


def _sides(labels: np.ndarray) -> list[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """The two windows that lay each pixel beside its lower, and beside its right neighbour."""
    rows, columns = labels.shape
    everything = slice(None)
    return [
        ((slice(0, max(rows - 1, 0)), everything), (slice(1, None), everything)),
        ((everything, slice(0, max(columns - 1, 0))), (everything, slice(1, None))),
    ]
