"""IoU, Dice, precision and recall of each class of pixels; objects are one foreground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ....metrics import pixel
from ....metrics.pixel import Confusion
from ....metrics.protocols import foreground_confusion, pixel_rows
from ....metrics.rows import Row
from ..protocol import ClassNames, Column, NoOptions, Reference, Variant

MASKS = ("semantic", "instances")

VIEWS = False

COLUMNS = (
    Column("IoU", "mean", on_screen=True),
    Column("IoU", None, on_screen=True, expected="expected_iou_{of}"),
    Column("Dice", "mean"),
    Column("Dice", None),
    Column("precision", None),
    Column("recall", None),
    Column("accuracy", ""),
)

NOTES = ("IoU, Dice, precision and recall are of pixels, pooled over images.",)


@dataclass(frozen=True)
class PixelCount:
    """Counts of one image.

    Attributes:
        confusion: Pixels of each pair of classes.
        n_objects: Reference objects; None where masks hold classes.
    """

    confusion: Confusion
    n_objects: int | None


def count(variant: Variant | None, reference: Reference, options: NoOptions) -> PixelCount:
    """Confusion of one image; without a variant, as if nothing had been predicted.

    Raises:
        InputError: Shapes differ, or a value is no class.
    """
    mask, names = reference.mask, reference.names
    if names.has_objects:
        values = np.zeros_like(mask) if variant is None else variant.values
        n_objects = len(np.setdiff1d(np.unique(mask[~reference.ignored]), [0]))
        return PixelCount(foreground_confusion(values, mask, ignored=reference.ignored), n_objects)
    if variant is None:
        return PixelCount(pixel.missed(mask, classes=len(names.classes), ignore=names.ignore), None)
    confusion = pixel.confusion(variant.values, mask, classes=len(names.classes), ignore=names.ignore)
    return PixelCount(confusion, None)


def rows(
    counts: Sequence[PixelCount], names: ClassNames, options: NoOptions, *, group: str = "", seed: int = 0
) -> list[Row]:
    """Rows of the summed confusions."""
    n_objects = sum(one.n_objects or 0 for one in counts) if names.has_objects else None
    confusions = [one.confusion for one in counts]
    return pixel_rows(confusions, class_names=class_names(names), n_objects=n_objects, group=group, seed=seed)


def class_names(names: ClassNames) -> tuple[str, ...]:
    """Names of the classes of pixels; all objects are one foreground."""
    if not names.has_objects:
        return names.classes
    return ("background", names.classes[0] if len(names.classes) == 1 else "foreground")
