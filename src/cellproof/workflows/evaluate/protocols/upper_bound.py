"""An upper bound, no result: objects as in stardist, but the predicted foreground takes its ids from the reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ....instances.upper_bound import upper_bound_labels
from ....metrics.protocols import ObjectImage, count_objects, stardist_rows
from ....metrics.rows import Row
from ..protocol import ClassNames, Column, NoOptions, Reference, Variant

VIEWS = False

MASKS = ("instances",)

MARK = "upper bound of "

COLUMNS = (
    Column(f"{MARK}AP (StarDist)", "0.5", "upper bound of AP 0.5", on_screen=True),
    Column(f"{MARK}AP (StarDist)", "mean 0.5…0.95", "upper bound of mean AP", on_screen=True),
    Column(f"{MARK}F1", "0.5", "upper bound of F1 0.5", on_screen=True),
    Column(f"{MARK}precision", "0.5", "upper bound of precision 0.5"),
    Column(f"{MARK}recall", "0.5", "upper bound of recall 0.5"),
    Column(f"{MARK}Dice", "foreground", "Dice"),
)

NOTES = (
    "Upper bound: each pixel of the predicted foreground takes the id of the reference object from which it is reached "
    "first, so that only the foreground is judged; no method that lacks the reference can be better on it.",
)


def count(variant: Variant | None, reference: Reference, options: NoOptions) -> ObjectImage:
    """Counts of one image; without a variant, as if nothing had been predicted.

    Raises:
        InputError: Shapes differ.
    """
    mask = reference.mask
    ids = np.where(reference.ignored, 0, mask)
    foreground = np.zeros(mask.shape, bool) if variant is None else np.asarray(variant.values > 0)
    ignored = reference.ignored if reference.ignored.any() else None
    return count_objects(upper_bound_labels(foreground, ids), mask, ignored=ignored)


def rows(
    counts: Sequence[ObjectImage], names: ClassNames, options: NoOptions, *, group: str = "", seed: int = 0
) -> list[Row]:
    """Rows of the summed counts, each named an upper bound."""
    return [replace(row, metric=MARK + row.metric) for row in stardist_rows(counts, group=group, seed=seed)]
