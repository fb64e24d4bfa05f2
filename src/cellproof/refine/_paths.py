"""Minimal paths from the free ends of centre lines to other centre lines, from one front that starts on all of them.

Every pixel of the front belongs to the place on the lines from which it was reached at the lowest cost. Where the
territory of a free end meets that of another place, the two halves make up the minimal path between both.

References:
    Cohen, Kimmel (1997). Global minimum for active contour models: a minimal path approach.
    International Journal of Computer Vision 24, 57-78. doi:10.1023/A:1007922224810
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.sparse.csgraph import dijkstra
from skimage.graph import MCP_Geometric

from ._skeleton import Skeleton

ENDS_AT_ONCE = 64
"""Free ends whose distances along the lines are held in memory together."""


@dataclass(frozen=True)
class Front:
    """What a front knows of each pixel, flat over the picture.

    Attributes:
        cost: Of the minimal path to the lines; infinite where the front did not come.
        length_px: Of that path.
        before: The pixel before this one on the path; a pixel of the lines is before itself.
        origin: The pixel of the lines where the path begins.
    """

    cost: np.ndarray
    length_px: np.ndarray
    before: np.ndarray
    origin: np.ndarray


@dataclass(frozen=True)
class Meetings:
    """Pairs of neighbouring pixels in which a free end's territory meets another's.

    Attributes:
        end: Place in the skeleton of the free end.
        other: Place in the skeleton of the other side.
        cost: Of the path from the one to the other.
        length_px: Of that path.
        near: Pixel on the end's side, flat.
        far: Its neighbour on the other side.
    """

    end: np.ndarray
    other: np.ndarray
    cost: np.ndarray
    length_px: np.ndarray
    near: np.ndarray
    far: np.ndarray

    def __getitem__(self, chosen: np.ndarray) -> Meetings:
        """The chosen pairs, by place or by bool."""
        return Meetings(
            self.end[chosen],
            self.other[chosen],
            self.cost[chosen],
            self.length_px[chosen],
            self.near[chosen],
            self.far[chosen],
        )


def minimal_paths(skeleton: Skeleton, cost: np.ndarray, *, longest_px: float, detour: float) -> list[np.ndarray]:
    """The cheapest way from each free end to a place that is far away along the lines.

    Args:
        skeleton: The lines.
        cost: (H, W) cost of a unit of length, above 0; infinite where no path may go.
        longest_px: Length above which a path is left out.
        detour: How many times longer than the path the way along the lines must be; places that
            no line joins are infinitely far.

    Returns:
        For each path the (m, 2) rows and columns of its pixels from one line to the other, both
        included; a path that two ends share comes once.
    """
    if skeleton.free_ends.size == 0:
        return []
    front = _spread(skeleton, cost, longest_px=longest_px)
    meetings = _meetings(front, skeleton, cost)
    meetings = meetings[meetings.length_px <= longest_px]
    meetings = meetings[_are_far(meetings, skeleton, detour)]
    best = meetings[np.lexsort((meetings.length_px, meetings.cost, meetings.end))]
    best = best[np.diff(best.end, prepend=-1) != 0]
    pair = np.sort(np.stack([best.end, best.other]), axis=0)
    best = best[np.unique(pair, axis=1, return_index=True)[1]]
    return [_trace(front, near, far, cost.shape) for near, far in zip(best.near, best.far, strict=True)]


def _spread(skeleton: Skeleton, cost: np.ndarray, *, longest_px: float) -> Front:
    """One front from all lines, as far as a path from a free end can go."""
    away = np.ones(cost.shape, bool)
    away[tuple(skeleton.pixels[skeleton.free_ends].T)] = False
    domain = ndimage.distance_transform_cdt(away, "chessboard") <= longest_px
    sources = skeleton.pixels[domain[tuple(skeleton.pixels.T)]]
    search = MCP_Geometric(np.where(domain, cost, np.inf))
    total, arrived_by = search.find_costs(sources.tolist())
    offsets = np.array(search.offsets, np.intp)
    step = offsets[:, 0] * cost.shape[1] + offsets[:, 1]
    moved = arrived_by.ravel() >= 0
    before = np.arange(cost.size)
    before[moved] -= step[arrived_by.ravel()[moved]]
    length_px = np.zeros(cost.size)
    length_px[moved] = np.hypot(*offsets.T)[arrived_by.ravel()[moved]]
    origin, length_px = _follow(before, length_px)
    return Front(total.ravel(), length_px, before, origin)


def _follow(before: np.ndarray, length_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first pixel of each pixel's path, and the path's length, by doubling the stride."""
    origin, total = before.copy(), length_px.copy()
    moving = np.flatnonzero(origin != np.arange(origin.size))
    while moving.size:
        target = origin[moving]
        total[moving], origin[moving] = total[moving] + total[target], origin[target]
        moving = moving[before[origin[moving]] != origin[moving]]
    return origin, total


def _meetings(front: Front, skeleton: Skeleton, cost: np.ndarray) -> Meetings:
    """All pairs of neighbouring pixels of which one belongs to a free end and the other does not."""
    height, width = cost.shape
    is_end = np.zeros(cost.size, bool)
    is_end[np.ravel_multi_index(tuple(skeleton.pixels[skeleton.free_ends].T), cost.shape)] = True
    near = np.flatnonzero(is_end[front.origin] & np.isfinite(front.cost))
    number, flat = skeleton.number.ravel(), cost.ravel()
    found = []
    for rows, columns in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)):
        row, column = np.divmod(near, width)
        inside = (row + rows >= 0) & (row + rows < height) & (column + columns >= 0) & (column + columns < width)
        here = near[inside]
        there = here + rows * width + columns
        meets = (front.origin[here] != front.origin[there]) & np.isfinite(front.cost[there])
        here, there = here[meets], there[meets]
        step_px = np.hypot(rows, columns)
        total = front.cost[here] + front.cost[there] + step_px * (flat[here] + flat[there]) / 2
        length_px = front.length_px[here] + front.length_px[there] + step_px
        found.append((number[front.origin[here]], number[front.origin[there]], total, length_px, here, there))
    return Meetings(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _are_far(meetings: Meetings, skeleton: Skeleton, detour: float) -> np.ndarray:
    """Whether the way along the lines is so many times longer than the path."""
    is_far = np.zeros(meetings.end.size, bool)
    limit = float(detour * meetings.length_px.max(initial=0))
    ends = np.unique(meetings.end)
    for start in range(0, ends.size, ENDS_AT_ONCE):
        some = ends[start : start + ENDS_AT_ONCE]
        along_px = dijkstra(skeleton.graph, indices=some, limit=limit)
        chosen = np.flatnonzero(np.isin(meetings.end, some))
        place = np.searchsorted(some, meetings.end[chosen])
        is_far[chosen] = along_px[place, meetings.other[chosen]] > detour * meetings.length_px[chosen]
    return is_far


def _trace(front: Front, near: int, far: int, shape: tuple[int, ...]) -> np.ndarray:
    """Pixels from the origin of one pixel to that of its neighbour."""
    path = [int(near)]
    while front.before[path[-1]] != path[-1]:
        path.append(int(front.before[path[-1]]))
    path.reverse()
    path.append(int(far))
    while front.before[path[-1]] != path[-1]:
        path.append(int(front.before[path[-1]]))
    return np.stack(np.unravel_index(path, shape), axis=1)
