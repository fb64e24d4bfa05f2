"""Scores of membranes: what is counted in an image, and the rows that the counts of many images become."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from functools import reduce
from operator import add
from typing import TypeVar

import numpy as np

from . import objects, partition, topology, walls, width
from .betti_matching import betti_matching_errors
from .gaps import Gaps, count_gaps, share_closed, share_false
from .objects import Mistakes
from .partition import Partition
from .rows import Level, Row, Scope, mean_over_images
from .topology import Betti, Centerlines
from .walls import AddedLines, Walls
from .width import Extent

_Counts = TypeVar("_Counts", Gaps, Walls, AddedLines, Centerlines, Partition, Extent)

_OLD = "(old definition)"
"""Said of scores that filling cells with membrane improves; kept to compare with earlier tables."""

_UNDEFINED = "NaN where the ratio is 0/0"
_NO_MEMBRANE = "NaN where prediction and reference have no membrane, 0 where one of them has none"
_NO_CELLS = "NaN where the reference has no cell"
_NOTHING_UNDEFINED = "a count, always defined"


@dataclass(frozen=True)
class MembraneImage:
    """Counts of one image with membranes.

    Attributes:
        walls: Walls closed and cells harmed by the prediction, against the network.
        added_lines: Centerline that the prediction adds to the network's.
        gaps: Of the network's membranes; closed and falsely closed by the prediction.
        centerlines: Skeletons in each other's masks.
        betti_errors: Absolute errors of the Betti numbers.
        betti_matching: Pieces and holes without a partner at the same place.
        partition: Pairs and bits of the enclosed cells.
        mistakes: Merged, split, missed and false cells.
        extent: Area and length of the prediction.
        reference_extent: Of the reference.
        n_cells: Cells that the reference encloses.
    """

    walls: Walls
    added_lines: AddedLines
    gaps: Gaps
    centerlines: Centerlines
    betti_errors: Betti
    betti_matching: Betti
    partition: Partition
    mistakes: Mistakes
    extent: Extent
    reference_extent: Extent
    n_cells: int


def count_membranes(
    prediction: np.ndarray,
    reference: np.ndarray,
    *,
    network: np.ndarray,
    tolerance_px: float,
    ignored: np.ndarray | None = None,
) -> MembraneImage:
    """Count everything that `membrane_rows` wants to know of one image.

    Args:
        prediction: (H, W) boolean, membrane to be scored.
        reference: Boolean mask of the same shape.
        network: The network's membrane, of which the prediction may be a repair; else the prediction again.
        tolerance_px: How far membranes may lie apart and still be the same, for added centerline and for gaps.
        ignored: Boolean mask of pixels without annotation.

    Raises:
        InputError: For different shapes, a mask that is not boolean, or a negative tolerance.
    """
    gaps = count_gaps(network, prediction, reference, tolerance_px=tolerance_px, ignored=ignored)
    added = walls.count_added_lines(network, prediction, reference, tolerance_px=tolerance_px, ignored=ignored)
    cells = objects.overlap(topology.cells(prediction, ignored=ignored), topology.cells(reference, ignored=ignored))
    return MembraneImage(
        walls=walls.count_walls(network, prediction, reference, ignored=ignored),
        added_lines=added,
        gaps=gaps,
        centerlines=topology.count_centerlines(prediction, reference, ignored=ignored),
        betti_errors=topology.betti_errors(prediction, reference, ignored=ignored),
        betti_matching=betti_matching_errors(prediction, reference, ignored=ignored),
        partition=partition.count_partition(cells),
        mistakes=objects.count_mistakes(cells),
        extent=width.measure_extent(prediction, ignored=ignored),
        reference_extent=width.measure_extent(reference, ignored=ignored),
        n_cells=len(cells.reference_ids),
    )


def membrane_rows(images: Sequence[MembraneImage], *, group: str = "", seed: int = 0) -> list[Row]:
    """Rows of membrane scores, those first that flooding with membrane cannot win.

    The headline is walls closed, cells harmed and added centerline, then adapted Rand error, variation of information
    and Betti matching error; clDice, Betti errors and width follow. Last come the gaps, "old definition": cells that
    are filled with membrane close gaps there and are no false closings, so that it does not tell repair from harm.

    Args:
        images: Counts of each image, at least one.
        group: Name of the group, copied into the rows.
        seed: Of the bootstrap.

    Returns:
        Rows; pooled fractions, clDice, Rand error and variations carry a bootstrap interval. Counts are sums over the
        images; the Betti errors are sums of absolute errors, so that images cannot cancel each other.
    """
    scope = Scope(len(images), sum(image.n_cells for image in images), group, seed)
    return [
        *_wall_rows(images, scope),
        *_cell_rows(images, scope),
        *_line_rows(images, scope),
        *_gap_rows(images, scope),
    ]


def _wall_rows(images: Sequence[MembraneImage], scope: Scope) -> list[Row]:
    counts, lines = [image.walls for image in images], [image.added_lines for image in images]
    total = reduce(add, counts)
    unmatched = reduce(add, [image.betti_matching for image in images])
    named = {
        "walls": total.walls,
        "walls open in the network": total.open_walls,
        "walls closed": total.closed,
        "walls opened": total.opened,
        "cells harmed": total.harmed,
    }
    return [
        _pooled("fraction of open walls closed", counts, walls.fraction_closed, scope=scope, level="object"),
        _pooled("fraction of cells harmed", counts, walls.fraction_harmed, scope=scope, level="object"),
        _pooled("added centerline precision", lines, walls.added_precision, scope=scope),
        _pooled("missing centerline recovered", lines, walls.missing_recovered, scope=scope),
        *_count_rows(named, scope),
        *_count_rows(
            {"Betti-0 matching error": unmatched.components, "Betti-1 matching error": unmatched.holes}, scope
        ),
    ]


def _gap_rows(images: Sequence[MembraneImage], scope: Scope) -> list[Row]:
    gaps = [image.gaps for image in images]
    total = reduce(add, gaps)
    named = {
        f"gaps {_OLD}": total.gaps,
        f"gaps closed {_OLD}": total.closed,
        f"false closings {_OLD}": total.falsely_closed,
        f"displaced stretches {_OLD}": total.displaced,
    }
    return [
        *_count_rows(named, scope),
        _pooled(f"fraction of gaps closed {_OLD}", gaps, share_closed, scope=scope, level="object"),
        _pooled(f"fraction of closings false {_OLD}", gaps, share_false, scope=scope, level="object"),
    ]


def _line_rows(images: Sequence[MembraneImage], scope: Scope) -> list[Row]:
    lines = [image.centerlines for image in images]
    extents = {"prediction": [image.extent for image in images], "reference": [i.reference_extent for i in images]}
    errors = reduce(add, [image.betti_errors for image in images])
    return [
        *_both("clDice", lines, topology.cl_dice, scope=scope, empty_case=_NO_MEMBRANE),
        _pooled("topology precision", lines, topology.topology_precision, scope=scope),
        _pooled("topology sensitivity", lines, topology.topology_sensitivity, scope=scope),
        *_count_rows({"Betti-0 error": errors.components, "Betti-1 error": errors.holes}, scope),
        *(
            replace(
                _pooled("mean width px", extent, width.mean_width_px, scope=scope),
                class_or_threshold=of,
            )
            for of, extent in extents.items()
        ),
    ]


def _cell_rows(images: Sequence[MembraneImage], scope: Scope) -> list[Row]:
    partitions = [image.partition for image in images]
    mistakes = reduce(add, [image.mistakes for image in images])
    return [
        *_both("adapted Rand error", partitions, partition.adapted_rand_error, scope=scope, empty_case=_NO_CELLS),
        _pooled("Rand precision", partitions, partition.rand_precision, scope=scope, empty_case=_NO_CELLS),
        _pooled("Rand recall", partitions, partition.rand_recall, scope=scope, empty_case=_NO_CELLS),
        *_both("VI split", partitions, partition.variation_split, scope=scope, empty_case=_NO_CELLS),
        *_both("VI merge", partitions, partition.variation_merge, scope=scope, empty_case=_NO_CELLS),
        *_count_rows({"merged cells": mistakes.merges, "split cells": mistakes.splits}, scope),
    ]


def _count_rows(named: dict[str, int], scope: Scope) -> list[Row]:
    return [scope.row(metric, count, level="object", empty_case=_NOTHING_UNDEFINED) for metric, count in named.items()]


def _pooled(
    metric: str,
    counts: Sequence[_Counts],
    formula: Callable[[_Counts], float],
    *,
    scope: Scope,
    empty_case: str = _UNDEFINED,
    level: Level = "pixel",
) -> Row:
    """The formula on summed counts, with a bootstrap interval."""
    kind = type(counts[0])
    row = scope.row(metric, formula(reduce(add, counts)), level=level, empty_case=empty_case)
    flat = [np.array(astuple(count)) for count in counts]
    return replace(row, interval=scope.interval(flat, lambda total: formula(kind(*total))))


def _both(
    metric: str, counts: Sequence[_Counts], formula: Callable[[_Counts], float], *, scope: Scope, empty_case: str
) -> list[Row]:
    """The pooled row, and the mean over images."""
    pooled = _pooled(metric, counts, formula, scope=scope, empty_case=empty_case)
    return [pooled, mean_over_images(pooled, [formula(count) for count in counts])]
