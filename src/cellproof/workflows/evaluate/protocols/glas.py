"""Glands as in the GlaS challenge: F1 of glands that are half covered, object Dice, object Hausdorff."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ....metrics.glas import GlandCounts, count_glands, gland_rows
from ....metrics.rows import Row
from ..protocol import ClassNames, Column, NoOptions, Reference, Variant

MASKS = ("instances",)

COLUMNS = (
    Column("F1 (GlaS)", "", "F1", on_screen=True),
    Column("object Dice", "", on_screen=True),
    Column("object Hausdorff", "", "object Hausdorff (px)", high_is_good=False, on_screen=True),
    Column("false glands", "", high_is_good=False),
    Column("missed glands", "", high_is_good=False),
)

NOTES = (
    "A predicted gland is a hit when it covers at least half of the reference gland that it shares most pixels with.",
    "Object Dice and object Hausdorff weigh every object of either side by its area, at the images' own size.",
)


def count(variant: Variant | None, reference: Reference, options: NoOptions) -> GlandCounts:
    """Counts of one image; without a variant, as if nothing had been predicted.

    Raises:
        InputError: Shapes differ.
    """
    values = np.zeros_like(reference.mask) if variant is None else variant.values
    ignored = reference.ignored if reference.ignored.any() else None
    return count_glands(values, reference.mask, ignored=ignored)


def rows(
    counts: Sequence[GlandCounts], names: ClassNames, options: NoOptions, *, group: str = "", seed: int = 0
) -> list[Row]:
    """Rows of the summed counts."""
    return gland_rows(counts, group=group, seed=seed)
