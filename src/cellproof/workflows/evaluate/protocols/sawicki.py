"""Glands as in Sawicki et al. (2020): binary masks in squares of 512 pixels, and their connected regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from ....data.square import Square
from ....metrics.rows import Row
from ....metrics.sawicki import MaskCounts, count_masks, mask_rows
from ..protocol import ClassNames, Column, Reference, Variant

MASKS = ("instances",)


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of the protocol.

    Attributes:
        side_px: Side of the squares; distances are in their pixels.
    """

    side_px: Annotated[int, Meta(ge=16)] = 512


COLUMNS = (
    Column("F1 (Sawicki)", "", "F1 of pixels", on_screen=True),
    Column("object F1 (Sawicki)", "", "object F1", on_screen=True),
    Column("Hausdorff (Sawicki)", "", "Hausdorff (px of 512)", high_is_good=False, on_screen=True),
)

NOTES = (
    "The paper's own variant, to compare with its table: masks are padded to squares and resized to 512 pixels, and "
    "objects are their connected regions, so glands that touch are one.",
)


def count(variant: Variant | None, reference: Reference, options: Options) -> MaskCounts:
    """Counts of one image; without a variant, as if nothing had been predicted.

    Raises:
        InputError: Shapes differ.
    """
    annotated = ~reference.ignored
    values = np.zeros_like(reference.mask) if variant is None else variant.values
    rows_, columns = reference.mask.shape
    square = Square((rows_, columns), options.side_px)
    prediction, true = (square.labels((labels > 0) & annotated) for labels in (values, reference.mask))
    return count_masks(prediction, true)


def rows(
    counts: Sequence[MaskCounts], names: ClassNames, options: Options, *, group: str = "", seed: int = 0
) -> list[Row]:
    """Rows of the summed counts."""
    return mask_rows(counts, group=group, seed=seed)
