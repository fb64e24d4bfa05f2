"""Hausdorff distances between objects of two label images."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from ..checks import check_labels, check_ndim


class Outlined:
    """Objects of a label image, with what distances to them need: their pixels, edges and search trees.

    Args:
        labels: (H, W) object ids, 0 background; ids may have gaps.

    Raises:
        InputError: ``labels`` is no label image.

    Example:
        >>> Outlined(np.array([[0, 3, 3]])).pixels(3).tolist()
        [[0, 1], [0, 2]]
    """

    def __init__(self, labels: np.ndarray) -> None:
        check_ndim(2, labels=labels)
        check_labels(labels=labels)
        self.labels = labels
        self._trees: dict[int, cKDTree] = {}

    def pixels(self, number: int) -> np.ndarray:
        """(n, 2) rows and columns of an object's pixels; (0, 2) where there is no such object."""
        return self._of(self._inside, number)

    def tree(self, number: int) -> cKDTree:
        """Search tree of an object's edge: what is outside an object is nearest to a pixel at its edge."""
        if number not in self._trees:
            self._trees[number] = cKDTree(self._of(self._edge, number))
        return self._trees[number]

    @cached_property
    def ids(self) -> np.ndarray:
        """(m,) numbers of the objects, ascending."""
        ids = self._inside[0]
        return ids[np.diff(ids, prepend=-1) > 0]

    @cached_property
    def _inside(self) -> tuple[np.ndarray, np.ndarray]:
        return _sorted_by_object(self.labels, self.labels > 0)

    @cached_property
    def _edge(self) -> tuple[np.ndarray, np.ndarray]:
        framed = np.pad(self.labels, 1, constant_values=0)
        own = framed[1:-1, 1:-1]
        others = (framed[:-2, 1:-1], framed[2:, 1:-1], framed[1:-1, :-2], framed[1:-1, 2:])
        is_edge = np.zeros(own.shape, bool)
        for other in others:
            is_edge |= other != own
        return _sorted_by_object(self.labels, is_edge & (own > 0))

    @staticmethod
    def _of(grouped: tuple[np.ndarray, np.ndarray], number: int) -> np.ndarray:
        ids, places = grouped
        first, last = np.searchsorted(ids, (number, number + 1))
        return places[first:last]


def directed(of: Outlined, number: int, to: Outlined, other: int) -> float:
    """Largest distance of a pixel of an object to the other object, in pixels; 0 where it lies inside.

    Args:
        of: Image of the object.
        number: Its id there.
        to: Image of the other object, of the same shape.
        other: Its id there.

    Returns:
        The distance; infinite where either does not exist.

    Example:
        >>> one, another = Outlined(np.array([[1, 1, 0, 0, 0]])), Outlined(np.array([[0, 0, 0, 1, 1]]))
        >>> directed(one, 1, another, 1)
        3.0
    """
    pixels = of.pixels(number)
    if not len(pixels) or not len(to.pixels(other)):
        return math.inf
    outside = pixels[to.labels[pixels[:, 0], pixels[:, 1]] != other]
    if not len(outside):
        return 0.0
    return float(to.tree(other).query(outside)[0].max())


def hausdorff(one: Outlined, number: int, another: Outlined, other: int) -> float:
    """Hausdorff distance of two objects, by all their pixels.

    Example:
        >>> one, another = Outlined(np.array([[1, 1, 0, 0, 0]])), Outlined(np.array([[0, 0, 0, 1, 1]]))
        >>> hausdorff(one, 1, another, 1)
        3.0

    References:
        Huttenlocher, Klanderman, Rucklidge (1993). Comparing images using the Hausdorff distance. IEEE TPAMI 15(9),
        850-863. doi:10.1109/34.232073
    """
    return max(directed(one, number, another, other), directed(another, other, one, number))


def nearest(one: Outlined, number: int, another: Outlined) -> float:
    """Smallest Hausdorff distance of an object to any object of the other image; infinite where that has none.

    Objects are tried in the order of the distance that one direction demands at least, until none can be nearer.

    Example:
        >>> one, another = Outlined(np.array([[1, 1, 0, 0, 0]])), Outlined(np.array([[0, 0, 0, 1, 1]]))
        >>> nearest(one, 1, another)
        3.0
    """
    at_least = sorted((directed(another, other, one, number), other) for other in another.ids.tolist())
    best = math.inf
    for bound, other in at_least:
        if bound >= best:
            break
        best = min(best, max(bound, directed(one, number, another, other)))
    return best


def _sorted_by_object(labels: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ids (n,), ascending, and places (n, 2) of the pixels of a mask."""
    places = np.argwhere(mask)
    ids = labels[mask]
    order = np.argsort(ids, kind="stable")
    return ids[order], places[order]
