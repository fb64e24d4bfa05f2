"""Outlines: Dice near the reference's edges, fraction of outlines within a tolerance, and 95 % Hausdorff distance."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from ....metrics import objects, pixel
from ....metrics.boundary import CANNY_BAND_PX, canny_band, distance_band, object_outlines, outlines
from ....metrics.pixel import Confusion
from ....metrics.rows import Row, Scope, mean_over_images
from ....types import IGNORE
from ..protocol import ClassNames, Column, Reference, Variant
from .pixel import class_names

VIEWS = False

MASKS = ("semantic", "instances")

Positive = Annotated[float, Meta(gt=0)]

CANNY = f"Canny {CANNY_BAND_PX}×{CANNY_BAND_PX}"


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is near.

    Attributes:
        tolerance: Distance up to which an outline counts as met, in the unit of the pixels' size.
        band: Distance up to which pixels are near an edge, in that unit.
        row_size: Height of a pixel.
        column_size: Width of a pixel.
    """

    tolerance: Positive = 2.0
    band: Positive = 3.0
    row_size: Positive = 1.0
    column_size: Positive = 1.0

    @property
    def spacing(self) -> tuple[float, float]:
        """Height and width of a pixel."""
        return self.row_size, self.column_size


COLUMNS = (
    Column("surface Dice", None, on_screen=True),
    Column("boundary Dice", None, on_screen=True),
    Column("median HD95", None, high_is_good=False, on_screen=True),
    Column("mean HD95 of matched", None, high_is_good=False),
    Column("missed outlines", None, high_is_good=False),
    Column("false outlines", None, high_is_good=False),
)

NOTES = (
    "Objects are matched at IoU 0.5. The whole outline of an object without partner, missed or false, lies beyond "
    "every tolerance, and its Hausdorff distance is infinite: it enters the median. "
    "Means are of matched objects alone.",
    f"Boundary Dice is of the pixels near the reference's edges: {CANNY}, a square around each Canny edge; or a band "
    "of a distance to either side.",
)

_MISSED = "infinite for an object without partner, so infinite where that is half of them; NaN without any"


@dataclass(frozen=True)
class EdgeCount:
    """Counts of one image and one class.

    Attributes:
        bands: Confusion of other (0) and this class (1) in the Canny band, then in the band of a distance.
        met: Length of both outlines within the tolerance.
        length: Of both outlines.
        hausdorff: HD95 of each object, infinite for those without a partner; for classes, of the image's region.
        missed: Reference objects (regions) without partner.
        false: Predicted ones.
        n_objects: Reference objects.
    """

    bands: tuple[Confusion, Confusion]
    met: float
    length: float
    hausdorff: tuple[float, ...]
    missed: int
    false: int
    n_objects: int


def count(variant: Variant | None, reference: Reference, options: Options) -> dict[int, EdgeCount]:
    """Counts of one image, class → counts; without a variant, as if nothing had been predicted.

    Raises:
        InputError: Shapes differ.
    """
    mask, ignored = reference.mask, reference.ignored
    if reference.names.has_objects:
        values = np.zeros_like(mask) if variant is None else variant.values
        return {1: _of_objects(values, mask, ignored, options)}
    values = np.full_like(mask, IGNORE) if variant is None else variant.values
    numbers = range(1, len(reference.names.classes))
    return {number: _of_class(values == number, mask == number, ignored, options) for number in numbers}


def _of_objects(values: np.ndarray, mask: np.ndarray, ignored: np.ndarray, options: Options) -> EdgeCount:
    overlap = objects.overlap(values, mask, ignored=ignored if ignored.any() else None)
    kept = np.where(ignored, 0, mask)
    found = object_outlines(values, kept, overlap, spacing=options.spacing, ignored=ignored)
    n_objects = len(overlap.reference_ids)
    missed = sum(not one.prediction_lengths.size for one in found[:n_objects])
    return EdgeCount(
        _bands(values > 0, kept > 0, ignored, options),
        sum(one.length_within(options.tolerance) for one in found),
        sum(one.length for one in found),
        tuple(one.hausdorff() for one in found),
        missed,
        len(found) - n_objects,
        n_objects,
    )


def _of_class(values: np.ndarray, mask: np.ndarray, ignored: np.ndarray, options: Options) -> EdgeCount:
    values, mask = values & ~ignored, mask & ~ignored
    found = outlines(values, mask, spacing=options.spacing, ignored=ignored)
    distance = found.hausdorff()
    return EdgeCount(
        _bands(values, mask, ignored, options),
        found.length_within(options.tolerance),
        found.length,
        () if math.isnan(distance) else (distance,),
        int(mask.any() and not values.any()),
        int(values.any() and not mask.any()),
        int(mask.any()),
    )


def _bands(values: np.ndarray, mask: np.ndarray, ignored: np.ndarray, options: Options) -> tuple[Confusion, Confusion]:
    def within(band: np.ndarray) -> Confusion:
        truth = np.where(band & ~ignored, mask, IGNORE).astype(np.uint8)
        return pixel.confusion(values.astype(np.uint8), truth, classes=2)

    return within(canny_band(mask)), within(distance_band(mask, distance=options.band, spacing=options.spacing))


def rows(
    counts: Sequence[dict[int, EdgeCount]], names: ClassNames, options: Options, *, group: str = "", seed: int = 0
) -> list[Row]:
    """Rows of the summed counts, class by class."""
    found: list[Row] = []
    for number in counts[0]:
        own = [one[number] for one in counts]
        n_objects = sum(one.n_objects for one in own) if names.has_objects else None
        name = "" if len(counts[0]) == 1 else f"{class_names(names)[number]}, "
        found += _class_rows(own, Scope(len(counts), n_objects, group, seed), options, name)
    return found


def _class_rows(counts: Sequence[EdgeCount], scope: Scope, options: Options, name: str) -> Iterator[Row]:
    def surface(flat: np.ndarray) -> float:
        return float(flat[0] / flat[1]) if flat[1] else math.nan

    def dice(flat: np.ndarray) -> float:
        return float(pixel.dice(Confusion(flat[:4].astype(np.int64).reshape(2, 2), flat[4:].astype(np.int64)))[1])

    lengths = [np.array([one.met, one.length]) for one in counts]
    near = f"{name}within {options.tolerance:g}"
    yield from _ratio_rows("surface Dice", near, lengths, surface, scope)
    for place, band in enumerate((CANNY, f"within {options.band:g}")):
        flat = [np.append(one.bands[place].counts.ravel(), one.bands[place].unpredicted) for one in counts]
        yield from _ratio_rows("boundary Dice", name + band, flat, dice, scope)
    distances = np.array(reduce(add, [one.hausdorff for one in counts]))
    finite = distances[np.isfinite(distances)]
    of = name.removesuffix(", ")
    median = float(np.median(distances)) if distances.size else math.nan
    mean = float(finite.mean()) if finite.size else math.nan
    yield scope.row("median HD95", median, level="object", of=of, empty_case=_MISSED)
    yield scope.row("mean HD95 of matched", mean, level="object", of=of, empty_case="NaN where none is matched")
    for metric, value in (("missed outlines", "missed"), ("false outlines", "false")):
        total = sum(getattr(one, value) for one in counts)
        yield scope.row(metric, total, level="object", of=of, empty_case="a count, always defined")


def _ratio_rows(
    metric: str, of: str, flat: Sequence[np.ndarray], formula: Callable[[np.ndarray], float], scope: Scope
) -> Iterator[Row]:
    """The pooled ratio with its interval, and its mean over images."""
    row = scope.row(metric, formula(np.sum(flat, axis=0)), level="pixel", of=of, empty_case="NaN without any outline")
    yield replace(row, interval=scope.interval(flat, formula))
    yield mean_over_images(row, [formula(one) for one in flat])
