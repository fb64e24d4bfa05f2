"""Basins united one after the other, the least divided first, and the level at which each boundary falls.

References:
    Arbeláez, Maire, Fowlkes, Malik (2011). Contour detection and hierarchical image segmentation. IEEE Transactions on
    Pattern Analysis and Machine Intelligence 33(5), 898-916. doi:10.1109/TPAMI.2010.161
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from ._boundaries import Boundaries

OWN_COUNTS = 4.0
"""A boundary divides at most so many times as strongly as the part of it that the network lacks."""

_TOO_SMALL = -2.0
"""Below the strength of any boundary: what divides a basin that is too small falls first."""


@dataclass
class _Wall:
    """What divides two regions.

    Attributes:
        members: Numbers of the boundaries that it consists of.
        evidence: Sum over its pixels.
        pixels: Their number.
        open_evidence: Sum over those that the network lacks.
        open_pixels: Their number.
    """

    members: list[int]
    evidence: float
    pixels: int
    open_evidence: float
    open_pixels: int

    def join(self, other: _Wall) -> None:
        """Make one wall of two."""
        self.members += other.members
        self.evidence += other.evidence
        self.pixels += other.pixels
        self.open_evidence += other.open_evidence
        self.open_pixels += other.open_pixels


def fall_levels(boundaries: Boundaries, network: np.ndarray, *, smallest_px: float) -> np.ndarray:
    """Strength at which each boundary falls when ever stronger ones are taken down; (m,), infinite where none does.

    The strength of what divides two regions is its contrast: its mean evidence less that inside the brighter region;
    at most `OWN_COUNTS` times the contrast of the pixels that the network lacks. Walls without such pixels never fall.
    Levels never fall from one union to the next, so that the boundaries above any level enclose regions.

    Args:
        boundaries: The lines.
        network: (H, W) bool, membrane that is there.
        smallest_px: Regions of fewer pixels outside the network are united with a neighbor first; the boundaries
            that fall then have negative levels.
    """
    return _Hierarchy(boundaries, network, smallest_px).take_down()


class _Hierarchy:
    """Regions, the walls between them, and which falls next."""

    def __init__(self, boundaries: Boundaries, network: np.ndarray, smallest_px: float) -> None:
        free = ~network
        count = int(boundaries.basins.max(initial=0)) + 1
        inside = boundaries.basins[free]
        self.area = np.bincount(inside, minlength=count).tolist()
        self.inside = np.bincount(inside, boundaries.relief[free], minlength=count).tolist()
        self.smallest_px = smallest_px
        self.count = len(boundaries.pairs)
        self.walls: list[dict[int, _Wall]] = [{} for _ in range(count)]
        self.queue: list[tuple[float, int, int]] = []
        self._build(boundaries, free)

    def _build(self, boundaries: Boundaries, free: np.ndarray) -> None:
        at = tuple(boundaries.pixels.T)
        evidence, is_open = boundaries.relief[at].astype(np.float64), free[at]
        sums = [
            np.add.reduceat(column, boundaries.start[:-1]).tolist() if self.count else []
            for column in (evidence, np.ones(len(evidence), np.intp), evidence * is_open, is_open.astype(np.intp))
        ]
        for number, (one, two) in enumerate(boundaries.pairs.tolist()):
            wall = _Wall([number], *(column[number] for column in sums))
            self.walls[one][two] = self.walls[two][one] = wall
        self.queue = [
            (self._strength(one, two), one, two) for one, walls in enumerate(self.walls) for two in walls if one < two
        ]
        heapq.heapify(self.queue)

    def take_down(self) -> np.ndarray:
        """Levels of all boundaries."""
        levels = np.full(self.count, np.inf)
        level = -np.inf
        while self.queue:
            strength, one, two = heapq.heappop(self.queue)
            if two not in self.walls[one]:
                continue
            now = self._strength(one, two)
            if now > strength:  # grown since it was queued
                if now < np.inf:
                    heapq.heappush(self.queue, (now, one, two))
                continue
            level = max(level, now)
            levels[self.walls[one][two].members] = level
            self._unite(one, two)
        return levels

    def _strength(self, one: int, two: int) -> float:
        wall = self.walls[one][two]
        if wall.open_pixels == 0:
            return np.inf
        inside = max(self._mean_inside(one), self._mean_inside(two))
        own = wall.open_evidence / wall.open_pixels - inside
        strength = min(wall.evidence / wall.pixels - inside, OWN_COUNTS * own)
        return strength + _TOO_SMALL if min(self.area[one], self.area[two]) < self.smallest_px else strength

    def _mean_inside(self, region: int) -> float:
        return self.inside[region] / self.area[region] if self.area[region] else 0.0

    def _unite(self, one: int, two: int) -> None:
        """The region with fewer neighbors becomes a part of the other."""
        kept, gone = (one, two) if len(self.walls[one]) >= len(self.walls[two]) else (two, one)
        del self.walls[kept][gone], self.walls[gone][kept]
        self.area[kept] += self.area[gone]
        self.inside[kept] += self.inside[gone]
        for other, wall in self.walls[gone].items():
            del self.walls[other][gone]
            if other in self.walls[kept]:
                self.walls[kept][other].join(wall)
            else:
                self.walls[kept][other] = self.walls[other][kept] = wall
            heapq.heappush(self.queue, (self._strength(kept, other), min(kept, other), max(kept, other)))
        self.walls[gone] = {}
