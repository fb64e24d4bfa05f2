"""How well measures of difficulty rank wrong pixels: AUROC of each, pooled over annotated pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from ....checks import InputError
from ....difficulty.measures import DifficultyMaps, difficulty_maps
from ....metrics.rank_counts import RankCounts, auroc_of_counts, count_ranks
from ....metrics.rows import Row, Scope
from ..protocol import ClassNames, Column, NoOptions, Predicted, Reference, Variant

MASKS = ("semantic", "instances")

NEEDS_SOURCE = True

COLUMNS = (Column("AUROC", None, on_screen=False),)

NOTES = (
    "AUROC of difficulty: the chance that a wrong pixel is marked as more difficult than a right one; 0.5 is chance.",
)

TWO_VALUED = "difficult (f < mean)"


@dataclass(frozen=True)
class DifficultyCount:
    """Ranks of one image: measure → counts."""

    measures: dict[str, RankCounts]


def count(variant: Variant | None, reference: Reference, options: NoOptions) -> DifficultyCount:
    """Ranks of wrong and right pixels by each measure.

    Raises:
        InputError: There are no probabilities to score.
    """
    if variant is None or variant.source is None:
        raise InputError("difficulty is scored where models are run (reproduce); files hold no probabilities")
    source = variant.source
    truth = (reference.mask > 0).astype(np.uint8) if reference.names.has_objects else reference.mask
    said = (source.classes > 0).astype(np.uint8) if reference.names.has_objects else source.classes
    annotated = ~reference.ignored
    wrong = (said != truth)[annotated]
    maps = difficulty_of(source)
    measures = [*maps.named(), (TWO_VALUED, maps.difficult.astype(np.float32))]
    return DifficultyCount({name: count_ranks(np.clip(values[annotated], 0, 1), wrong) for name, values in measures})


def rows(
    counts: Sequence[DifficultyCount], names: ClassNames, options: NoOptions, *, group: str = "", seed: int = 0
) -> list[Row]:
    """One row per measure."""
    scope = Scope(len(counts), None, group, seed)
    return [
        scope.row(
            "AUROC",
            auroc_of_counts(reduce(add, [one.measures[measure] for one in counts])),
            level="pixel",
            of=measure,
            background="included",
            empty_case="NaN where no pixel is wrong, or all are",
        )
        for measure in counts[0].measures
    ]


def difficulty_of(predicted: Predicted) -> DifficultyMaps:
    """All measures of an image's difficulty; nothing of the reference enters."""
    return difficulty_maps(predicted.probabilities, tta=predicted.tta, ensemble=predicted.ensemble)
