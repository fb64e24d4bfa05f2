"""Gaps of a membrane network, closed along minimal paths where there is evidence, at the membrane's own width.

Membranes enclose cells: the places looked at are the boundaries of basins of the evidence, from which ever stronger
ones are taken down (see `_hierarchy`), so that whatever stands at a threshold encloses regions. Of each boundary only
what the network lacks is drawn. Finding gaps and deciding on them are two functions, so that thresholds can be tried
without searching again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from ..checks import InputError, check_finite, check_labels, check_ndim, check_same_shape
from ..types import IGNORE, Prediction, Setting
from ._boundaries import find_boundaries
from ._discs import paint
from ._hierarchy import fall_levels
from ._skeleton import Skeleton, find_skeleton
from ._spurs import without_spurs
from .reassign import check_classes
from .roles import Roles, find_roles

TUNED: Mapping[str, Sequence[Setting]] = {
    "threshold": (1.01, 0.7, 0.6, 0.55, 0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05)
}
"""No evidence reaches 1.01, so that nothing is closed where validation finds nothing to gain."""


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How gaps are closed; see `reconnect`.

    Attributes:
        connected: Name of the network's class; "" takes the one called membrane, wall or border.
        rest: Name of the class that spurs become; "" finds it as `find_roles` does.
        threshold: Least evidence of a gap that is closed.
        longest_px: Longest path.
        smallest_px: No region of fewer pixels is closed off.
        spur_px: Dead ends shorter than this are taken away.
        width_px: Width of what is drawn; 0 for the network's own.
    """

    connected: str = ""
    rest: str = ""
    threshold: Annotated[float, Meta(ge=0)] = 0.2
    longest_px: Annotated[float, Meta(gt=0)] = 40.0
    smallest_px: Annotated[float, Meta(ge=0)] = 40.0
    spur_px: Annotated[float, Meta(ge=0)] = 8.0
    width_px: Annotated[float, Meta(ge=0)] = 0.0


def apply(prediction: Prediction, options: Options) -> Prediction:
    """The prediction with the gaps of its network closed; evidence is the probability of the network's class.

    Raises:
        InputError: The classes do not have these roles.
    """
    roles = _roles(options, prediction.classes)
    views = prediction.probabilities if prediction.views is None else prediction.views
    repaired = reconnect(
        prediction.class_map,
        # A mean of softmaxes may pass 1 by rounding.
        np.clip(views[roles.connected], 0, 1),
        connected=roles.connected,
        rest=roles.rest,
        threshold=options.threshold,
        longest_px=options.longest_px,
        smallest_px=options.smallest_px,
        spur_px=options.spur_px,
        width_px=options.width_px or None,
    )
    return replace(prediction, class_map=repaired.class_map)


def say(options: Options, classes: Sequence[str]) -> str:
    """What the options mean for these classes.

    Raises:
        InputError: The classes do not have these roles.
    """
    roles = _roles(options, classes)
    return (
        f"{classes[roles.connected]} is connected, where evidence reaches {options.threshold:g}; "
        f"what is taken away becomes {classes[roles.rest]}"
    )


def _roles(options: Options, classes: Sequence[str]) -> Roles:
    return find_roles(classes, connected=options.connected, rest=options.rest)


@dataclass(frozen=True)
class Gap:
    """A place where the network may be interrupted, and the minimal path across it.

    Attributes:
        pixels: (n, 2) rows and columns of the path that lie outside the network, in raster order.
        evidence: How strongly the whole boundary, of which the path is the missing part, divides the regions at its
            sides, in (0, 1]: the least threshold at which it is not closed any more lies just above.
    """

    pixels: np.ndarray
    evidence: float


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
    threshold: float = 0.2,
    longest_px: float = 40.0,
    smallest_px: float = 40.0,
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
        smallest_px: No region of fewer pixels is closed off.
        spur_px: Dead ends shorter than this are taken away.
        width_px: Width of what is drawn. None: the network's own.

    Returns:
        The map, unchanged where it holds nothing of the connected class, or nothing else.

    Raises:
        InputError: see ``find_gaps`` and ``close_gaps``.
    """
    gaps = find_gaps(class_map, evidence, connected=connected, longest_px=longest_px, smallest_px=smallest_px)
    return close_gaps(
        class_map, gaps, connected=connected, rest=rest, threshold=threshold, spur_px=spur_px, width_px=width_px
    )


def find_gaps(
    class_map: np.ndarray,
    evidence: np.ndarray,
    *,
    connected: int,
    longest_px: float = 40.0,
    smallest_px: float = 40.0,
) -> tuple[Gap, ...]:
    """Missing parts of boundaries between regions, along minimal paths through the evidence.

    Args:
        class_map: (H, W) uint8; no path leads through 255.
        evidence: (H, W) in [0, 1]; paths follow high values.
        connected: Class of the network.
        longest_px: Longest path between two junctions, in pixels.
        smallest_px: What would close off a region of fewer pixels is left out.

    Returns:
        The gaps that anything speaks for; none without a network.

    Raises:
        InputError: shapes differ, ``evidence`` is not within [0, 1], ``longest_px`` is not positive,
            ``smallest_px`` is negative, or ``connected`` is not in 0…254.
    """
    check_ndim(2, class_map=class_map, evidence=evidence)
    check_same_shape(class_map=class_map, evidence=evidence)
    check_labels(class_map=class_map)
    check_classes(connected=connected)
    _check_evidence(evidence)
    if not longest_px > 0:
        raise InputError(f"longest_px is {longest_px}, expected a length above 0")
    if not smallest_px >= 0:
        raise InputError(f"smallest_px is {smallest_px}, expected an area of 0 or more")
    network, unknown = class_map == connected, class_map == IGNORE
    if not network.any() or (network | unknown).all():
        return ()
    boundaries = find_boundaries(evidence, network, unknown=unknown)
    levels = fall_levels(boundaries, network | unknown, smallest_px=smallest_px)
    gaps = []
    for number in np.flatnonzero((levels > 0) & np.isfinite(levels)).tolist():
        pixels = boundaries.pixels[boundaries.start[number] : boundaries.start[number + 1]]
        missing = pixels[~network[tuple(pixels.T)]]
        if 0 < len(missing) <= longest_px:
            gaps.append(Gap(missing, min(float(levels[number]), 1.0)))
    return tuple(gaps)


def close_gaps(
    class_map: np.ndarray,
    gaps: Sequence[Gap],
    *,
    connected: int,
    rest: int,
    threshold: float = 0.2,
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
        width_px: Width of what is drawn, at least 1; odd widths are exact. None: the network's mean width,
            to the next odd number.

    Returns:
        The new map with the decisions.

    Raises:
        InputError: the classes are not different numbers in 0…254, or ``width_px`` is below 1.
    """
    check_ndim(2, class_map=class_map)
    check_labels(class_map=class_map)
    check_classes(connected=connected, rest=rest)
    if width_px is not None and not width_px >= 1:
        raise InputError(f"width_px is {width_px}, expected at least 1, or None for the network's own")
    network, unknown = class_map == connected, class_map == IGNORE
    accepted = np.array([gap.evidence >= threshold for gap in gaps], bool)
    closed = network
    if accepted.any():
        width = _own_width(find_skeleton(network, walls=unknown)) if width_px is None else width_px
        closed = network | (_draw(list(compress(gaps, accepted)), network.shape, width) & ~unknown)
    if closed.any() and not closed.all():
        closed = without_spurs(closed, find_skeleton(closed, walls=unknown), spur_px=spur_px)
    repaired = class_map.astype(np.uint8)
    repaired[network & ~closed] = rest
    repaired[closed] = connected
    return Reconnection(repaired, tuple(gaps), accepted)


def _draw(gaps: Sequence[Gap], shape: tuple[int, ...], width_px: float) -> np.ndarray:
    """The paths as lines of one width."""
    pixels = np.concatenate([gap.pixels for gap in gaps])
    return paint(shape, pixels, np.full(len(pixels), (width_px + 1) / 2))


def _own_width(skeleton: Skeleton) -> float:
    """The odd number of pixels, which alone can be drawn exactly, that is next to the mean width along the lines."""
    mean_px = 2 * float(skeleton.radius_px.mean()) - 1
    return 2.0 * round((mean_px - 1) / 2) + 1


def _check_evidence(evidence: np.ndarray) -> None:
    """Refuse what is not within [0, 1]."""
    check_finite(evidence=evidence)
    if evidence.size and not (evidence.min() >= 0 and evidence.max() <= 1):
        raise InputError(
            f"evidence reaches from {evidence.min():.4g} to {evidence.max():.4g}, expected values in [0, 1]"
        )
