"""Gaps of a membrane network, closed along minimal paths where there is evidence, at the membrane's own width.

Finding gaps and deciding on them are two functions, so that thresholds can be tried without searching again.

References:
    Cohen, Kimmel (1997). Global minimum for active contour models: a minimal path approach.
    International Journal of Computer Vision 24, 57-78. doi:10.1023/A:1007922224810
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np

from ..checks import InputError, check_finite, check_labels, check_ndim, check_same_shape
from ..types import IGNORE
from ._discs import paint
from ._paths import minimal_paths
from ._skeleton import Skeleton, find_skeleton
from ._spurs import without_spurs
from .reassign import check_classes

COST_OF_LENGTH = 0.3
"""Cost of a pixel with full evidence; one with none costs 1 more. The weight w of Cohen and Kimmel."""

DETOUR = 3.0
"""How many times longer the way along the network must be than a path across, for the path to be a gap's."""

WIDTH_WITHIN_PX = 10
"""Membrane width at an end of a path is the mean over centre lines within this distance."""


@dataclass(frozen=True)
class Gap:
    """A place where the network may be interrupted, and the minimal path across it.

    Attributes:
        pixels: (n, 2) rows and columns of the whole path, from one centre line to the other.
        evidence: Mean over the darker half of the pixels that the path would add, in [0, 1]. The
            brighter half says little: next to both ends it lies in the membrane's own flanks.
        length_px: Length of the part that it would add.
        width_px: Mean width of the network at both ends of the path.
    """

    pixels: np.ndarray
    evidence: float
    length_px: float
    width_px: float


@dataclass(frozen=True)
class Reconnection:
    """A class map whose gaps are closed, and what was decided about each of them.

    Attributes:
        class_map: (H, W) uint8.
        gaps: Every place that was looked at.
        accepted: (n,) bool, which of them were closed.
    """

    class_map: np.ndarray
    gaps: tuple[Gap, ...]
    accepted: np.ndarray


def reconnect(
    class_map: np.ndarray,
    evidence: np.ndarray,
    *,
    connected: int,
    rest: int,
    threshold: float = 0.15,
    longest_px: float = 40.0,
    spur_px: float = 8.0,
    width_px: float | None = None,
) -> Reconnection:
    """Find gaps and close those with enough evidence: ``find_gaps``, then ``close_gaps``.

    Args:
        class_map: (H, W) uint8, 255 not annotated.
        evidence: (H, W) in [0, 1]: how much speaks for a membrane, such as its probability.
        connected: Class of the network (membrane).
        rest: Class that spurs become (cytoplasm).
        threshold: Least evidence of a gap that is closed.
        longest_px: Longest path.
        spur_px: Dead ends shorter than this are taken away.
        width_px: Width of what is drawn. None: the network's own at both ends of the gap.

    Returns:
        The map, unchanged where it holds nothing of the connected class, or nothing else.

    Raises:
        InputError: see ``find_gaps`` and ``close_gaps``.
    """
    gaps = find_gaps(class_map, evidence, connected=connected, longest_px=longest_px)
    return close_gaps(
        class_map, gaps, connected=connected, rest=rest, threshold=threshold, spur_px=spur_px, width_px=width_px
    )


def find_gaps(
    class_map: np.ndarray, evidence: np.ndarray, *, connected: int, longest_px: float = 40.0
) -> tuple[Gap, ...]:
    """Minimal paths from free ends of the network to another piece, or to a far part of the same piece.

    A path may end at a free end or in the middle of a membrane. Where a line meets the border or
    pixels without annotation it may go on there: that is no free end.

    Args:
        class_map: (H, W) uint8; no path leads through 255.
        evidence: (H, W) in [0, 1]; paths follow high values.
        connected: Class of the network.
        longest_px: Longest path from centre line to centre line.

    Returns:
        At most one gap for each free end; none without a network.

    Raises:
        InputError: shapes differ, ``evidence`` is not within [0, 1], ``longest_px`` is not positive, or
            ``connected`` is not in 0…254.

    References:
        Cohen, Kimmel (1997). doi:10.1023/A:1007922224810
    """
    check_ndim(2, class_map=class_map, evidence=evidence)
    check_same_shape(class_map=class_map, evidence=evidence)
    check_labels(class_map=class_map)
    check_classes(connected=connected)
    _check_evidence(evidence)
    if not longest_px > 0:
        raise InputError(f"longest_px is {longest_px}, wanted a length above 0")
    mask = class_map == connected
    unknown = class_map == IGNORE
    if not mask.any() or mask.all():
        return ()
    skeleton = find_skeleton(mask, walls=unknown)
    cost = np.where(unknown, np.inf, COST_OF_LENGTH + 1 - evidence.astype(np.float64))
    paths = minimal_paths(skeleton, cost, longest_px=longest_px, detour=DETOUR)
    gaps = (_measure(path, mask, evidence, skeleton) for path in paths)
    return tuple(gap for gap in gaps if gap.length_px > 0)


def close_gaps(
    class_map: np.ndarray,
    gaps: Sequence[Gap],
    *,
    connected: int,
    rest: int,
    threshold: float = 0.15,
    spur_px: float = 8.0,
    width_px: float | None = None,
) -> Reconnection:
    """Draw the paths whose evidence reaches the threshold, then take dead ends away.

    Args:
        class_map: (H, W) uint8 in which the gaps were found. What is drawn covers every class but 255.
        gaps: From ``find_gaps``.
        connected: Class of the network.
        rest: Class that spurs become.
        threshold: Least evidence of a gap that is closed.
        spur_px: Dead ends shorter than this are taken away; 0 keeps all.
        width_px: Width of what is drawn, at least 1; odd widths are exact. None: each gap's own.

    Returns:
        The new map with the decisions.

    Raises:
        InputError: the classes are not different numbers in 0…254, or ``width_px`` is below 1.
    """
    check_ndim(2, class_map=class_map)
    check_labels(class_map=class_map)
    check_classes(connected=connected, rest=rest)
    if width_px is not None and not width_px >= 1:
        raise InputError(f"width_px is {width_px}, wanted at least 1, or None for the network's own")
    mask, unknown = class_map == connected, class_map == IGNORE
    accepted = np.array([gap.evidence >= threshold for gap in gaps], bool)
    drawn = _draw(list(compress(gaps, accepted)), mask, width_px)
    closed = mask | (drawn & ~unknown)
    if closed.any() and not closed.all():
        closed = without_spurs(closed, find_skeleton(closed, walls=unknown), spur_px=spur_px)
    repaired = class_map.astype(np.uint8)
    repaired[mask & ~closed] = rest
    repaired[closed] = connected
    return Reconnection(repaired, tuple(gaps), accepted)


def _draw(gaps: Sequence[Gap], mask: np.ndarray, width_px: float | None) -> np.ndarray:
    """What the gaps' paths add to the mask, as lines of the stated width, or of each gap's own."""
    pixels = np.concatenate([np.zeros((0, 2), np.intp), *(gap.pixels for gap in gaps)])
    widths = [gap.width_px if width_px is None else width_px for gap in gaps]
    width = np.repeat(np.array(widths, float), [len(gap.pixels) for gap in gaps])
    # Centre lines end off the middle of a membrane: drawn inside it, a path would bulge out of its side.
    added = ~mask[tuple(pixels.T)]
    return paint(mask.shape, pixels[added], (width[added] + 1) / 2)


def _check_evidence(evidence: np.ndarray) -> None:
    """Refuse what is not within [0, 1]."""
    check_finite(evidence=evidence)
    if evidence.size and not (evidence.min() >= 0 and evidence.max() <= 1):
        raise InputError(f"evidence reaches from {evidence.min():.4g} to {evidence.max():.4g}, wanted values in [0, 1]")


def _measure(path: np.ndarray, mask: np.ndarray, evidence: np.ndarray, skeleton: Skeleton) -> Gap:
    """What a path would add, and how wide the network is where it begins and ends."""
    row, column = path.T
    added = ~mask[row, column]
    steps_px = np.hypot(*np.diff(path, axis=0).T)
    length_px = float(((added[1:] + added[:-1].astype(float)) / 2 * steps_px).sum())
    values = np.sort(evidence[row[added], column[added]])
    darker = float(values[: (values.size + 1) // 2].mean()) if values.size else 0.0
    width_px = np.mean([_width_at(place, skeleton) for place in (path[0], path[-1])])
    return Gap(path, darker, length_px, float(width_px))


def _width_at(place: np.ndarray, skeleton: Skeleton) -> float:
    """Mean width of the network around a place of its centre lines."""
    top, left = np.maximum(place - WIDTH_WITHIN_PX, 0)
    window = skeleton.number[top : place[0] + WIDTH_WITHIN_PX + 1, left : place[1] + WIDTH_WITHIN_PX + 1]
    return float(2 * skeleton.radius_px[window[window >= 0]].mean() - 1)
