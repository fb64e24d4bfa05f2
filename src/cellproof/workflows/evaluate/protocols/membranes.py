"""Membranes and the cells that they enclose, before and after two repairs (Matsuzuki and Hotta 2020)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from ....difficulty.measures import difficulty_maps
from ....metrics import partition, pixel
from ....metrics.binomial import upper_bound
from ....metrics.gaps import Gaps, count_gaps
from ....metrics.membranes import MembraneImage, count_membranes, membrane_rows
from ....metrics.objects import overlap
from ....metrics.partition import Partition
from ....metrics.pixel import Confusion
from ....metrics.protocols import pixel_rows
from ....metrics.rows import Row, Scope
from ....metrics.topology import cells
from ....metrics.width import Extent, mean_width_px, measure_extent
from ....refine.reassign import reassign
from ....refine.reconnect import Gap, close_gaps, find_gaps
from ..protocol import ClassNames, Column, Predicted, Reference, Variant

MASKS = ("semantic",)

THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7)
"""Candidate thresholds on a gap's evidence; one is chosen on the validation images."""

NOTHING_CLOSED = 1.01
"""A threshold that no evidence reaches."""

COLUMNS = (
    Column("recall", "{connected}", on_screen=True),
    Column("precision", "{connected}", on_screen=True),
    Column("recall", None),
    Column("precision", None),
    Column("IoU", "mean", "mean IoU"),
    Column("fraction of open walls closed", on_screen=True),
    Column("cells harmed", high_is_good=False, on_screen=True),
    Column("added centerline precision", on_screen=True),
    Column("missing centerline recovered"),
    Column("Betti-0 matching error", high_is_good=False),
    Column("Betti-1 matching error", high_is_good=False),
    Column("clDice"),
    Column("Betti-0 error", high_is_good=False),
    Column("Betti-1 error", high_is_good=False),
    Column("adapted Rand error", "", high_is_good=False, on_screen=True),
    Column("VI split", "", high_is_good=False),
    Column("VI merge", "", high_is_good=False),
    Column("merged cells", "", high_is_good=False),
    Column("split cells", "", high_is_good=False),
    Column("mean width px", "prediction", high_is_good=None, on_screen=True),
    Column("width change %", "", high_is_good=None),
    Column("fraction of gaps closed (old definition)"),
    Column("fraction of closings false (old definition)", high_is_good=False),
)

NOTES = (
    "none: the network's own class map. reassign: the paper's, difficult pixels become membrane, nucleus or rest. "
    "reconnect: boundaries of regions that the network has in part are completed, and dead ends removed.",
    "Walls: pairs of neighboring reference cells. Cells: what membranes enclose. Gaps, which filling cells closes, are "
    "kept to compare with older tables: stretches of reference membrane that the network lacks, also beside it. "
    "Betti errors, cells harmed, merged and split are sums over the images of a fold.",
)


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names of the classes, and how class maps are repaired; see `refine`.

    Attributes:
        connected: Class whose connection is scored and repaired.
        rest: Class that difficult pixels become last.
        compact: Class that they become before; "" for none.
        tolerance_px: How far membranes may lie from the reference's and still be the same.
        rounds: How often a class spreads into difficult pixels; None until nothing changes.
        longest_gap_px: Gaps of a membrane up to this long are candidates for closing.
        spur_px: Dead ends of a membrane shorter than this are removed.
        smallest_region: Fraction of the median annotated cell's area below which no region is closed off.
        most_false: Largest fraction of false ones among all closings that validation accepts.
        confidence: How sure it must be that the fraction is not larger: with this confidence, its upper bound
            (Clopper and Pearson) lies below ``most_false``.
    """

    connected: str = "membrane"
    rest: str = "cytoplasm"
    compact: str = ""
    tolerance_px: Annotated[float, Meta(ge=0)] = 3.0
    rounds: Annotated[int, Meta(ge=1)] | None = None
    longest_gap_px: Annotated[int, Meta(ge=1)] = 40
    spur_px: Annotated[int, Meta(ge=0)] = 10
    smallest_region: Annotated[float, Meta(ge=0, le=1)] = 0.15
    most_false: Annotated[float, Meta(ge=0, le=1)] = 0.1
    confidence: Annotated[float, Meta(gt=0, lt=1)] = 0.95


@dataclass(frozen=True)
class Choice:
    """Settings of `reconnect` chosen on the validation images.

    Attributes:
        threshold: Least evidence of a gap that is closed.
        smallest_px: No region of fewer pixels is closed off.
    """

    threshold: float
    smallest_px: float


@dataclass(frozen=True)
class MembraneCount:
    """Counts of one image.

    Attributes:
        confusion: Pixels of each pair of classes.
        membranes: What `membrane_rows` is made of.
        own_extent: Area and length of the network's own membrane.
    """

    confusion: Confusion
    membranes: MembraneImage
    own_extent: Extent


def choose(validation: Iterable[Predicted], options: Options) -> Choice:
    """Settings of `reconnect` that serve the enclosed cells of validation images best.

    Of the thresholds that pass the limit on false closings, the one of the lowest adapted Rand error; of equals the
    one that closes more. `NOTHING_CLOSED` where none passes. A threshold passes where the upper confidence bound of
    the fraction of false closings lies below ``most_false``: choosing the best of many under a limit errs to one
    side, and few images show few closings. Regions are too small below a fraction (``smallest_region``) of the
    median annotated cell.

    Args:
        validation: Predictions, iterated twice; only one need be in memory.
        options: Names of the classes, and the limits.

    Raises:
        InputError: A class is not there.
    """
    smallest_px = options.smallest_region * _median_cell_px(validation, options)
    candidates = (NOTHING_CLOSED, *sorted(THRESHOLDS, reverse=True))
    sums: dict[float, tuple[Gaps, Partition]] = {}
    for predicted in validation:
        found = gaps_of(predicted, options, smallest_px)
        for threshold in candidates:
            values = reconnected(predicted, found, options, threshold)
            own = _count_choice(values, predicted, options)
            before = sums.get(threshold)
            sums[threshold] = own if before is None else (before[0] + own[0], before[1] + own[1])
    best, chosen = (math.inf, 0), NOTHING_CLOSED
    for threshold, (gaps, pairs) in sums.items():
        key = (float(partition.adapted_rand_error(pairs)), -gaps.closed)
        if _passes(gaps, options) and key < best:
            best, chosen = key, threshold
    return Choice(chosen, smallest_px)


def _count_choice(values: np.ndarray, predicted: Predicted, options: Options) -> tuple[Gaps, Partition]:
    """What a choice is made by; all that `count` counts would take many times as long for every threshold."""
    reference, connected = predicted.reference, predicted.reference.names.number(options.connected)
    mask, truth, ignored = values == connected, reference.mask == connected, reference.ignored
    gaps = count_gaps(predicted.classes == connected, mask, truth, tolerance_px=options.tolerance_px, ignored=ignored)
    return gaps, partition.count_partition(overlap(cells(mask, ignored=ignored), cells(truth, ignored=ignored)))


def _passes(gaps: Gaps, options: Options) -> bool:
    """Whether the closings are hardly likely to be false too often; nothing closed passes."""
    closings = gaps.closed + gaps.falsely_closed
    if not closings:
        return True
    return upper_bound(gaps.falsely_closed, closings, confidence=options.confidence) <= options.most_false


def describe(choice: Choice) -> str:
    """The choice in words."""
    threshold = "nothing closed" if choice.threshold == NOTHING_CLOSED else f"threshold {choice.threshold:g}"
    return f"reconnect: {threshold}, no region below {choice.smallest_px:.0f} px"


def variants(predicted: Predicted, choice: Choice, options: Options) -> Iterator[Variant]:
    """The network's class map, and that after each repair. Nothing of the reference enters.

    Raises:
        InputError: A class is not there.
    """
    names, own = predicted.reference.names, predicted.classes
    yield Variant("none", own, predicted)
    maps = difficulty_maps(predicted.probabilities, tta=predicted.tta, ensemble=predicted.ensemble)
    changed = reassign(
        own,
        maps.difficult,
        connected=names.number(options.connected),
        rest=names.number(options.rest),
        compact=names.number(options.compact) if options.compact else None,
        rounds=options.rounds,
    )
    yield Variant("reassign", changed, predicted)
    found = gaps_of(predicted, options, choice.smallest_px)
    yield Variant("reconnect", reconnected(predicted, found, options, choice.threshold), predicted)


def gaps_of(predicted: Predicted, options: Options, smallest_px: float) -> tuple[Gap, ...]:
    """Places where the membrane may be interrupted, by the mean probability of eight views."""
    connected = predicted.reference.names.number(options.connected)
    return find_gaps(
        predicted.classes,
        predicted.views[connected],
        connected=connected,
        longest_px=options.longest_gap_px,
        smallest_px=smallest_px,
    )


def reconnected(predicted: Predicted, gaps: Sequence[Gap], options: Options, threshold: float) -> np.ndarray:
    """(H, W) uint8 class map with gaps of enough evidence closed and dead ends removed."""
    names = predicted.reference.names
    return close_gaps(
        predicted.classes,
        gaps,
        connected=names.number(options.connected),
        rest=names.number(options.rest),
        threshold=threshold,
        spur_px=options.spur_px,
    ).class_map


def count(variant: Variant | None, reference: Reference, options: Options) -> MembraneCount:
    """Counts of one image; without a variant, as if no membrane had been predicted.

    Raises:
        InputError: Shapes differ, or a class is not there.
    """
    names, connected = reference.names, reference.names.number(options.connected)
    if variant is None:
        nothing = np.full(reference.mask.shape, connected == 0, np.uint8)
        confusion = pixel.missed(reference.mask, classes=len(names.classes), ignore=names.ignore)
        return MembraneCount(
            confusion,
            _count_membranes(nothing, None, reference, options),
            measure_extent(nothing == connected, ignored=reference.ignored),
        )
    confusion = pixel.confusion(variant.values, reference.mask, classes=len(names.classes), ignore=names.ignore)
    own = variant.values if variant.source is None else variant.source.classes
    return MembraneCount(
        confusion,
        _count_membranes(variant.values, variant.source, reference, options),
        measure_extent(own == connected, ignored=reference.ignored),
    )


def rows(
    counts: Sequence[MembraneCount], names: ClassNames, options: Options, *, group: str = "", seed: int = 0
) -> list[Row]:
    """Rows of the classes' pixels, of the membranes and cells, and the change of the membrane's width by a repair."""
    scope = Scope(len(counts), sum(one.membranes.n_cells for one in counts), group, seed)
    width_px = mean_width_px(reduce(add, [one.membranes.extent for one in counts]))
    own_px = mean_width_px(reduce(add, [one.own_extent for one in counts]))
    change = 100 * (width_px / own_px - 1) if own_px else math.nan
    return [
        *pixel_rows([one.confusion for one in counts], class_names=names.classes, group=group, seed=seed),
        *membrane_rows([one.membranes for one in counts], group=group, seed=seed),
        scope.row("width change %", change, level="pixel", empty_case="NaN where the network has no membrane"),
    ]


def _count_membranes(
    values: np.ndarray, source: Predicted | None, reference: Reference, options: Options
) -> MembraneImage:
    connected = reference.names.number(options.connected)
    own = values if source is None else source.classes
    return count_membranes(
        values == connected,
        reference.mask == connected,
        network=own == connected,
        tolerance_px=options.tolerance_px,
        ignored=reference.ignored,
    )


def _median_cell_px(validation: Iterable[Predicted], options: Options) -> float:
    """Of the cells that the reference membranes enclose; 0 without any."""
    areas = [np.zeros(0, np.int64)]
    for predicted in validation:
        reference = predicted.reference
        connected = reference.names.number(options.connected)
        areas.append(np.bincount(cells(reference.mask == connected, ignored=reference.ignored).ravel())[1:])
    every = np.concatenate(areas)
    return float(np.median(every)) if every.size else 0.0
