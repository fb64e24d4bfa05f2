"""Convex hulls of all objects at once, row by row.

A hull's left border is the convex line that runs left of all leftmost points; a point that does not lie left of the
line through its neighbors above and below is no corner of it. All such points of all objects are taken away together,
until none is left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..checks import check_labels, check_ndim


@dataclass(frozen=True)
class Spans:
    """Rows of objects, by object and then by row.

    Attributes:
        owner: (S,) number of the object, 0…n-1, ascending.
        row: (S,) ascending in each object, each once.
        first: (S,) its first column in the row.
        last: (S,) its last column in the row.
        count: n.
    """

    owner: np.ndarray
    row: np.ndarray
    first: np.ndarray
    last: np.ndarray
    count: int


def spans_of(owner: np.ndarray, row: np.ndarray, first: np.ndarray, last: np.ndarray, *, count: int) -> Spans:
    """Rows of objects from runs of pixels, which may come in any order.

    Args:
        owner: (R,) number of each run's object, 0…count-1.
        row: (R,) its row, at least 0.
        first: (R,) its first column.
        last: (R,) its last column.
        count: Number of objects.
    """
    key = owner.astype(np.int64) * (int(row.max(initial=0)) + 1) + row
    order = np.argsort(key, kind="stable")
    begins = np.flatnonzero(np.diff(key[order], prepend=-1))
    if not begins.size:
        return Spans(owner, row, first, last, count)
    kept = order[begins]
    leftmost, rightmost = np.minimum.reduceat(first[order], begins), np.maximum.reduceat(last[order], begins)
    return Spans(owner[kept], row[kept], leftmost, rightmost, count)


def hull_areas(spans: Spans) -> np.ndarray:
    """Number of pixels whose centers lie in the convex hull of each object; scikit-image's ``area_convex``.

    The hull is that of the middles of the edges of the object's pixels.

    Returns:
        (n,) int64, at least the object's number of rows; 0 for an object without rows.

    Example:
        >>> rows, zero = np.arange(3), np.zeros(3, int)
        >>> hull_areas(Spans(zero, rows, first=zero, last=np.array([2, 0, 2]), count=1))  # a C
        array([9])
    """
    if not spans.owner.size:
        return np.zeros(spans.count, np.int64)
    lowest, highest = np.full(spans.count, np.iinfo(np.int64).max), np.full(spans.count, -1)
    np.minimum.at(lowest, spans.owner, spans.row)
    np.maximum.at(highest, spans.owner, spans.row)
    rows = np.maximum(highest - np.minimum(lowest, highest + 1) + 1, 0)
    owner = np.repeat(np.arange(spans.count), rows)
    row = np.arange(owner.size) - np.repeat(np.cumsum(rows) - rows, rows) + lowest[owner]
    tolerance = 1e-9
    left = _at_rows(_border(spans, 2 * spans.first, middles=True), owner, row)
    right = -_at_rows(_border(spans, -2 * spans.last, middles=True), owner, row)
    columns = np.floor(right + tolerance) - np.ceil(left - tolerance) + 1
    return np.asarray(np.bincount(owner, columns, spans.count).astype(np.int64))


def solidity(labels: np.ndarray) -> np.ndarray:
    """Area of each object over that of the convex hull of its pixels' squares, in (0, 1].

    Args:
        labels: (H, W) object ids 1…n; an id without pixels has solidity 1.

    Returns:
        (n,) float64.

    Raises:
        InputError: ``labels`` is no label image.

    Example:
        >>> solidity(np.array([[1, 1, 2], [1, 0, 2]]))
        array([0.85714286, 1.        ])
    """
    check_ndim(2, labels=labels)
    check_labels(labels=labels)
    count = int(labels.max(initial=0))
    changes = np.ones(labels.shape, bool)
    np.not_equal(labels[:, 1:], labels[:, :-1], out=changes[:, 1:])
    start = np.flatnonzero(changes)
    end = np.append(start[1:], labels.size)
    inside = labels.ravel()[start] > 0
    start, length = start[inside], (end - start)[inside]
    row, column = np.divmod(start, max(labels.shape[1], 1))
    owner = labels.ravel()[start] - 1
    spans = spans_of(owner, row, column, column + length - 1, count=count)
    hull = -(_below(_border(spans, 2 * spans.first), count) + _below(_border(spans, -2 * spans.last - 2), count)) / 8
    area = np.bincount(owner, length, count)
    found: np.ndarray = np.divide(area, hull, out=np.ones(count), where=hull > 0)
    return found


@dataclass(frozen=True)
class _Border:
    """Corners of the left borders of hulls, by object and from top to bottom; in half pixels, so that all are whole."""

    owner: np.ndarray
    y: np.ndarray
    x: np.ndarray


def _border(spans: Spans, side: np.ndarray, *, middles: bool = False) -> _Border:
    """Left border of each hull.

    Args:
        spans: Rows of the objects.
        side: (S,) left side of their pixels, in half pixels; of the right border, mirrored.
        middles: Whether points are the middles of the pixels' edges, of which the columns are centers; else corners.
    """
    steps = (-1, 0, 1) if middles else (-1, 1)
    y = np.concatenate([2 * spans.row + step for step in steps])
    x = np.concatenate([side - (middles and step == 0) for step in steps])
    owner = np.tile(spans.owner, len(steps))
    order = np.lexsort((x, y, owner))
    owner, y, x = owner[order], y[order], x[order]
    # Of points in one row the leftmost counts.
    kept = (np.diff(owner, prepend=-1) != 0) | (np.diff(y, prepend=0) != 0)
    owner, y, x = owner[kept], y[kept], x[kept]
    while owner.size > 2:
        middle = np.flatnonzero(owner[:-2] == owner[2:]) + 1
        above, below = middle - 1, middle + 1
        turn = (x[middle] - x[above]) * (y[below] - y[above]) - (x[below] - x[above]) * (y[middle] - y[above])
        gone = middle[turn >= 0]
        if not gone.size:
            break
        owner, y, x = (np.delete(values, gone) for values in (owner, y, x))
    return _Border(owner, y, x)


def _at_rows(border: _Border, owner: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Column, in pixels, of objects' borders in the middle of rows that they reach over."""
    base = int(max(border.y.max(initial=0), 2 * row.max(initial=0))) + 2
    ends = np.searchsorted(border.owner * base + border.y, owner.astype(np.int64) * base + 2 * row, side="left")
    starts = np.maximum(ends - 1, 0)
    starts = np.where(border.y[ends] == 2 * row, ends, starts)
    (y0, x0), (y1, x1) = (border.y[starts], border.x[starts]), (border.y[ends], border.x[ends])
    slope = (x1 - x0) / np.maximum(y1 - y0, 1)
    column: np.ndarray = (x0 + (2 * row - y0) * slope) / 2
    return column


def _below(border: _Border, count: int) -> np.ndarray:
    """Eight times the area between each border and the axis that it is measured from; whole numbers."""
    same = border.owner[1:] == border.owner[:-1]
    step = (border.x[1:] + border.x[:-1]) * (border.y[1:] - border.y[:-1])
    return np.bincount(border.owner[1:][same], step[same], count)
