"""Objects matched by IoU: AP, F1, PQ, precision and recall at 0.5…0.95, mistakes, foreground Dice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ....metrics.protocols import ObjectImage, count_objects, stardist_rows
from ....metrics.rows import Row
from ..protocol import ClassNames, Column, NoOptions, Reference, Variant

MASKS = ("instances",)

VIEWS = False

COLUMNS = (
    Column("AP (StarDist)", "0.5", "AP 0.5", on_screen=True),
    Column("AP (StarDist)", "0.75", "AP 0.75"),
    Column("AP (StarDist)", "mean 0.5…0.95", "mean AP", on_screen=True),
    Column("F1", "0.5", "F1 0.5", on_screen=True, expected="expected_f1"),
    Column("PQ", "0.5", "PQ 0.5"),
    Column("Dice", "foreground", "Dice", on_screen=True, expected="expected_dice"),
    Column("merges", "", high_is_good=False),
    Column("splits", "", high_is_good=False),
    Column("misses", "", high_is_good=False),
    Column("false objects", "", high_is_good=False),
)

NOTES = ("Objects are paired one to one by IoU; merges, splits, misses and false objects are sums over images.",)


def count(variant: Variant | None, reference: Reference, options: NoOptions) -> ObjectImage:
    """Counts of one image; without a variant, as if nothing had been predicted.

    Raises:
        InputError: Shapes differ.
    """
    values = np.zeros_like(reference.mask) if variant is None else variant.values
    ignored = reference.ignored if reference.ignored.any() else None
    return count_objects(values, reference.mask, ignored=ignored)


def rows(
    counts: Sequence[ObjectImage], names: ClassNames, options: NoOptions, *, group: str = "", seed: int = 0
) -> list[Row]:
    """Rows of the summed counts."""
    return stardist_rows(counts, group=group, seed=seed)
