"""Walls between cells: how many a repair closes, how many cells it harms, and whether it draws lines where walls are.

Flooding cannot win here. A wall is closed only when the cells at both of its sides are still there, each in a
predicted region of its own; and a cell that is filled with membrane, or eaten up from its rim, is harmed.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt

from ..checks import InputError
from . import objects, topology
from ._masks import annotated, check_masks, skeleton

SMALLEST_WALL_PX = 3
"""Cells that face each other along fewer pixels meet in a corner; there is no wall between them."""


@dataclass(frozen=True)
class Walls:
    """Walls and cells of a reference, before and after a repair; ``a + b`` pools two images.

    Attributes:
        walls: Pairs of neighboring reference cells.
        open_walls: Those that the network leaves open.
        closed: Those of the open ones that the repair closes.
        opened: Walls that the network closed and the repair opens.
        cells: Reference cells.
        harmed: Cells that a region of the network holds and none of the repair does.
    """

    walls: int
    open_walls: int
    closed: int
    opened: int
    cells: int
    harmed: int

    def __add__(self, other: Walls) -> Walls:
        return Walls(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))


def count_walls(
    network: np.ndarray, refined: np.ndarray, reference: np.ndarray, *, ignored: np.ndarray | None = None
) -> Walls:
    """Count walls closed and cells harmed by a repair.

    A predicted region *holds* a cell that has more than half of its pixels in it. A *wall* is a pair of reference
    cells that face each other across reference membrane along at least `SMALLEST_WALL_PX` pixels: each membrane
    pixel belongs to the cell that is nearest. It is *closed* where both cells are held, by different regions.
    A cell is *harmed* when a region of the network holds it, alone or with others, and no region after the repair.

    Args:
        network: (H, W) boolean, the membrane of the network.
        refined: The membrane after repair; the network's own closes and harms nothing.
        reference: The true membrane.
        ignored: Boolean mask of pixels without annotation; no wall runs through them.

    Returns:
        The counts; all 0 where the reference has no cell. One cell alone has no wall.

    Raises:
        InputError: For different shapes, or a mask that is not boolean.

    Example:
        >>> reference = np.zeros((9, 19), bool)
        >>> reference[:, 9] = True
        >>> network = reference.copy()
        >>> network[3:6] = False
        >>> count_walls(network, reference, reference)
        Walls(walls=1, open_walls=1, closed=1, opened=0, cells=2, harmed=0)
        >>> count_walls(network, np.ones((9, 19), bool), reference)
        Walls(walls=1, open_walls=1, closed=0, opened=0, cells=2, harmed=2)
    """
    check_masks(network=network, refined=refined, reference=reference, ignored=ignored)
    cells = topology.cells(reference, ignored=ignored)
    before, after = (_holders(topology.cells(mask, ignored=ignored), cells) for mask in (network, refined))
    one, two = _neighbors(cells, ignored).T
    was_closed, is_closed = (
        (holder[one] > 0) & (holder[two] > 0) & (holder[one] != holder[two]) for holder in (before, after)
    )
    return Walls(
        walls=len(one),
        open_walls=int((~was_closed).sum()),
        closed=int((is_closed & ~was_closed).sum()),
        opened=int((was_closed & ~is_closed).sum()),
        cells=len(before) - 1,
        harmed=int(((before > 0) & (after == 0)).sum()),
    )


def fraction_closed(counts: Walls) -> float:
    """Open walls that the repair closes, in [0, 1]; NaN where the network leaves none open.

    Example:
        >>> fraction_closed(Walls(walls=10, open_walls=4, closed=3, opened=1, cells=8, harmed=2))
        0.75
    """
    return counts.closed / counts.open_walls if counts.open_walls else math.nan


def fraction_harmed(counts: Walls) -> float:
    """Cells harmed of the reference's cells, in [0, 1]; NaN where the reference has no cell.

    Example:
        >>> fraction_harmed(Walls(walls=10, open_walls=4, closed=3, opened=1, cells=8, harmed=2))
        0.25
    """
    return counts.harmed / counts.cells if counts.cells else math.nan


def walls_gained(counts: Walls) -> int:
    """Walls closed, less those opened, less cells harmed: 0 for doing nothing, below 0 for more harm than good.

    Example:
        >>> walls_gained(Walls(walls=10, open_walls=4, closed=3, opened=1, cells=8, harmed=2))
        0
    """
    return counts.closed - counts.opened - counts.harmed


@dataclass(frozen=True)
class AddedLines:
    """Centerline that a repair adds, and centerline that the network lacks; ``a + b`` pools two images.

    Attributes:
        added_px: Pixels of the prediction's centerline outside the network's membrane.
        added_right_px: Those of them within the tolerance of the reference's centerline.
        missing_px: Pixels of the reference's centerline that the network's does not come near to.
        recovered_px: Those of them within the tolerance of the prediction's centerline.
    """

    added_px: int
    added_right_px: int
    missing_px: int
    recovered_px: int

    def __add__(self, other: AddedLines) -> AddedLines:
        return AddedLines(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))


def count_added_lines(
    network: np.ndarray,
    refined: np.ndarray,
    reference: np.ndarray,
    *,
    tolerance_px: float,
    ignored: np.ndarray | None = None,
) -> AddedLines:
    """Compare the centerline that a repair adds with the reference's, in pixels on both sides.

    One tolerance serves both questions: whether what was added is right, and whether what was missing is there.
    Pixels within the tolerance of ignored ones are not looked at.

    Args:
        network: (H, W) boolean, the membrane of the network.
        refined: The membrane after repair.
        reference: The true membrane.
        tolerance_px: How far two centerlines may lie apart and still be the same, at least 0.
        ignored: Boolean mask of pixels without annotation.

    Returns:
        The counts; nothing is added where the refined mask equals the network's.

    Raises:
        InputError: For different shapes, a mask that is not boolean, or a negative tolerance.

    References:
        Heipke, Mayer, Wiedemann, Jamet (1997). Evaluation of automatic road extraction. International Archives of
        Photogrammetry and Remote Sensing 32(3-4W2), 151-160 (completeness and correctness within one buffer).

    Example:
        >>> reference = np.zeros((9, 30), bool)
        >>> reference[4] = True
        >>> network = reference.copy()
        >>> network[:, 10:20] = False
        >>> count_added_lines(network, reference, reference, tolerance_px=2)
        AddedLines(added_px=10, added_right_px=10, missing_px=6, recovered_px=6)
    """
    check_masks(network=network, refined=refined, reference=reference, ignored=ignored)
    if not tolerance_px >= 0:
        raise InputError(f"tolerance_px is {tolerance_px}, expected a distance of 0 or more")
    network, refined, reference = (annotated(mask, ignored) for mask in (network, refined, reference))
    known = np.ones(reference.shape, bool) if ignored is None else _distance_px(ignored) > tolerance_px
    of_network, of_refined, of_reference = (skeleton(mask) for mask in (network, refined, reference))
    added = of_refined & ~network & known
    missing = of_reference & known & (_distance_px(of_network) > tolerance_px)
    return AddedLines(
        added_px=int(added.sum()),
        added_right_px=int((added & (_distance_px(of_reference) <= tolerance_px)).sum()),
        missing_px=int(missing.sum()),
        recovered_px=int((missing & (_distance_px(of_refined) <= tolerance_px)).sum()),
    )


def added_precision(counts: AddedLines) -> float:
    """Added centerline that is the reference's, in [0, 1]; NaN where none was added.

    Example:
        >>> added_precision(AddedLines(added_px=20, added_right_px=15, missing_px=40, recovered_px=10))
        0.75
    """
    return counts.added_right_px / counts.added_px if counts.added_px else math.nan


def missing_recovered(counts: AddedLines) -> float:
    """Missing centerline that the repair brought back, in [0, 1]; NaN where none was missing.

    Example:
        >>> missing_recovered(AddedLines(added_px=20, added_right_px=15, missing_px=40, recovered_px=10))
        0.25
    """
    return counts.recovered_px / counts.missing_px if counts.missing_px else math.nan


def _holders(regions: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """For each number of a cell the region that holds it, or 0; the first entry, of no cell, is 0."""
    found = objects.overlap(regions, cells)
    rows, columns = found.pairs.T
    holds = 2 * found.shared_px > found.reference_areas_px[rows]
    holder = np.zeros(int(cells.max(initial=0)) + 1, np.int64)
    holder[found.reference_ids[rows[holds]]] = found.prediction_ids[columns[holds]]
    return holder


def _neighbors(cells: np.ndarray, ignored: np.ndarray | None) -> np.ndarray:
    """(m, 2) numbers of the cells that face each other, the lower first."""
    if not cells.any():
        return np.zeros((0, 2), np.int64)
    nearest = distance_transform_edt(cells == 0, return_distances=False, return_indices=True)
    zones = cells[tuple(nearest)].astype(np.int64)
    if ignored is not None:
        zones[ignored] = 0
    sides = [(zones[:-1], zones[1:]), (zones[:, :-1], zones[:, 1:])]
    pairs = np.concatenate([np.stack([one.ravel(), two.ravel()], axis=1) for one, two in sides])
    pairs = np.sort(pairs[(pairs > 0).all(axis=1) & (pairs[:, 0] != pairs[:, 1])], axis=1)
    found, facing_px = np.unique(pairs, axis=0, return_counts=True)
    return np.asarray(found[facing_px >= SMALLEST_WALL_PX])


def _distance_px(mask: np.ndarray) -> np.ndarray:
    """Distance of each pixel to the mask; infinite where the mask is empty."""
    return np.asarray(distance_transform_edt(~mask)) if mask.any() else np.full(mask.shape, np.inf)
