"""Gaps in membranes: how many a network leaves, how many a repair closes, and how many it closes where none was."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass

import numpy as np
from scipy.ndimage import binary_dilation, distance_transform_edt, find_objects, label

from ..checks import InputError
from ._masks import EIGHT, SMALLEST_CELL_PX, annotated, check_masks, skeleton, without_small

SMALLEST_GAP_PX = 3
"""A run of fewer skeleton pixels without membrane is no gap: lines of pixels that are shifted leave such runs."""


@dataclass(frozen=True)
class Gaps:
    """Gaps of a network's membranes and what a repair made of them; ``a + b`` pools two images.

    Attributes:
        gaps: Stretches of reference membrane that the network lacks.
        closed: Those of them that the repair closed.
        falsely_closed: Connections that the repair made where the reference has no membrane.
        displaced: Stretches that the network has beside the reference's: nothing is interrupted there.
    """

    gaps: int
    closed: int
    falsely_closed: int
    displaced: int = 0

    def __add__(self, other: Gaps) -> Gaps:
        return Gaps(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))


def count_gaps(
    network: np.ndarray,
    refined: np.ndarray,
    reference: np.ndarray,
    *,
    tolerance_px: float,
    smallest_px: int = SMALLEST_GAP_PX,
    ignored: np.ndarray | None = None,
) -> Gaps:
    """Count gaps, those closed, and false closings.

    A pixel of the reference's skeleton is *covered* when a membrane pixel within the tolerance has it as its nearest
    skeleton pixel; so membrane that merely ends nearby covers nothing ahead of it, and a gap keeps its length.
    A *gap* is a run (8 neighbors) of at least `smallest_px` uncovered pixels; a whole missing edge, or a whole
    missing network, is one run. Skeleton within the tolerance of the image's edge or of ignored pixels is not
    looked at, since what covers it may lie beyond; runs that come from there count if the rest is long enough.
    A run is *bridged* when one piece of membrane, of what lies within twice the tolerance of the run, comes within
    the tolerance of all its ends: the membrane is there, only displaced. What the network bridges is no gap.
    A gap is *closed* when it is bridged, or no run of `smallest_px` in it is left uncovered.

    A *false closing* is made by a piece (8 neighbors) of the pixels that the repair added, further than the tolerance
    from the reference membrane and than twice the tolerance from its skeleton (nearer, it would bridge a gap, and
    nothing is to be both), that touches other membrane or the image's edge in k ≥ 2 separate places: it has
    k - 1 of them, the number of regions cut in two or of parts joined. Pieces that touch in one place (spurs,
    thickening) or none (blobs) join nothing and are not counted. Background regions and parts of membrane too small
    for a cell are taken for flaws: they are filled, or not seen.

    Args:
        network: (H, W) boolean, the membrane of the network.
        refined: The membrane after repair; the network's own counts its gaps, none of them closed.
        reference: The true membrane.
        tolerance_px: How far membranes may lie apart and still be the same, at least 0.
        smallest_px: Length of the shortest gap.
        ignored: Boolean mask of pixels without annotation.

    Raises:
        InputError: For different shapes, a mask that is not boolean, or a negative tolerance.

    Example:
        >>> reference = np.zeros((9, 30), bool)
        >>> reference[4] = True
        >>> network = reference.copy()
        >>> network[4, 12:18] = False
        >>> count_gaps(network, reference, reference, tolerance_px=2.0)
        Gaps(gaps=1, closed=1, falsely_closed=0, displaced=0)
    """
    check_masks(network=network, refined=refined, reference=reference, ignored=ignored)
    if not tolerance_px >= 0:
        raise InputError(f"tolerance_px is {tolerance_px}, expected a distance of 0 or more")
    network, refined, reference = (annotated(mask, ignored) for mask in (network, refined, reference))
    unknown = np.zeros(reference.shape, bool) if ignored is None else ignored
    line = skeleton(reference)
    gaps, closed, displaced = _count_gaps(
        network, refined, line, unknown=unknown, tolerance_px=tolerance_px, smallest_px=smallest_px
    )
    far = (_distance_px(reference | unknown) > tolerance_px) & (_distance_px(line) > 2 * tolerance_px)
    return Gaps(gaps, closed, _count_false(network, refined, far), displaced)


def share_closed(counts: Gaps) -> float:
    """Closed gaps of all gaps, in [0, 1]; NaN when there is no gap.

    Example:
        >>> share_closed(Gaps(gaps=4, closed=3, falsely_closed=1))
        0.75
    """
    return counts.closed / counts.gaps if counts.gaps else math.nan


def share_false(counts: Gaps) -> float:
    """False closings of all closings, in [0, 1]; NaN when nothing was closed.

    Example:
        >>> share_false(Gaps(gaps=4, closed=3, falsely_closed=1))
        0.25
    """
    closings = counts.closed + counts.falsely_closed
    return counts.falsely_closed / closings if closings else math.nan


def _count_gaps(
    network: np.ndarray,
    refined: np.ndarray,
    line: np.ndarray,
    *,
    unknown: np.ndarray,
    tolerance_px: float,
    smallest_px: int,
) -> tuple[int, int, int]:
    """Number of gaps, of those that are closed, and of runs that the network bridges."""
    if not line.any():
        return 0, 0, 0
    distance_px, nearest = distance_transform_edt(~line, return_indices=True)

    def uncovered(mask: np.ndarray) -> np.ndarray:
        near = mask & (distance_px <= tolerance_px)
        bare = line.copy()
        bare[nearest[0][near], nearest[1][near]] = False
        return bare

    looked_at = _distance_px(np.pad(unknown, 1, constant_values=True))[1:-1, 1:-1] > tolerance_px
    runs = without_small(uncovered(network) & looked_at, smallest_px, neighborhood=EIGHT)
    labels, number = label(runs, EIGHT)
    left = set(np.unique(labels[without_small(uncovered(refined) & runs, smallest_px, neighborhood=EIGHT)]).tolist())
    closed = displaced = 0
    reach = math.ceil(2 * tolerance_px) + 1
    for run, (rows, columns) in enumerate(find_objects(labels), start=1):
        window = (_wider(rows, reach), _wider(columns, reach))
        here = labels[window] == run
        if _bridges(network[window], here, line[window], tolerance_px=tolerance_px):
            displaced += 1
        elif run not in left or _bridges(refined[window], here, line[window], tolerance_px=tolerance_px):
            closed += 1
    return number - displaced, closed, displaced


def _bridges(mask: np.ndarray, run: np.ndarray, line: np.ndarray, *, tolerance_px: float) -> bool:
    """Whether one piece of the mask comes near all ends of a run; never where it has fewer than two."""
    ends, count = label(binary_dilation(run, EIGHT) & line & ~run, EIGHT)
    if count < 2:
        return False
    pieces, _ = label(mask & (_distance_px(run) <= 2 * tolerance_px), EIGHT)
    joining = set(range(1, int(pieces.max(initial=0)) + 1))
    reach = math.ceil(tolerance_px) + 1
    for end, (rows, columns) in enumerate(find_objects(ends), start=1):
        if not joining:
            break
        window = (_wider(rows, reach), _wider(columns, reach))
        joining &= set(np.unique(pieces[window][_distance_px(ends[window] == end) <= tolerance_px]).tolist())
    return bool(joining)


def _wider(part: slice, by: int) -> slice:
    """A slice with so much more at both sides, as far as there is more."""
    return slice(max(part.start - by, 0), part.stop + by)


def _count_false(network: np.ndarray, refined: np.ndarray, far: np.ndarray) -> int:
    """Connections made by pieces of what the repair added far from the reference membrane."""
    filled = ~without_small(~refined, SMALLEST_CELL_PX)
    pieces = np.pad(label(filled & ~network & far, EIGHT)[0], 1)
    membrane = without_small(filled & (pieces[1:-1, 1:-1] == 0), SMALLEST_CELL_PX, neighborhood=EIGHT)
    solid = np.pad(membrane, 1, constant_values=True)
    joined = 0
    for number, (rows, columns) in enumerate(find_objects(pieces), start=1):
        window = (slice(rows.start - 1, rows.stop + 1), slice(columns.start - 1, columns.stop + 1))
        touched = binary_dilation(pieces[window] == number, EIGHT) & solid[window]
        joined += max(label(touched, EIGHT)[1] - 1, 0)
    return joined


def _distance_px(mask: np.ndarray) -> np.ndarray:
    """Distance of each pixel to the mask; infinite where the mask is empty."""
    return np.asarray(distance_transform_edt(~mask)) if mask.any() else np.full(mask.shape, np.inf)
