"""Glands as Sawicki et al. (2020) scored them: on binary masks of one size, objects made anew from their regions.

Objects are connected regions (8 neighbors) of both masks, so glands that touch are one object whatever the prediction
says. Each is compared with the region of the other mask with which it shares most pixels. Its distance is the Hausdorff
distance of both within the object's own bounding rectangle, and the diagonal of the rectangle where it has no partner;
what a partner has outside the rectangle has no say. All numbers are in pixels of the masks that are given; the paper
pads images to squares and resizes them to 512.

The challenge's own numbers, which are defined on glands and not on masks, are in `glas`.

References:
    The recipe ``sawicki2020`` names the paper; its public notebook has the definitions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ..checks import InputError, check_ndim, check_same_shape
from ._both_ways import BothWays, Side, best_partners
from .hausdorff import Outlined, hausdorff
from .objects import overlap
from .rows import Level, Row, Scope, mean_over_images

_NOTHING = "NaN where both masks are empty"

_EIGHT = np.ones((3, 3), bool)


@dataclass(frozen=True)
class MaskCounts:
    """Sums of one image, or of several.

    Attributes:
        tp: Pixels of both masks.
        fp: Of the prediction alone.
        fn: Of the reference alone.
        n_objects: Regions of the reference.
        shapes: F1 of regions (similarity) and distance in pixels, weighted by area, of both sides.
    """

    tp: int
    fp: int
    fn: int
    n_objects: int
    shapes: BothWays

    @property
    def flat(self) -> np.ndarray:
        """(10,) float64."""
        return np.concatenate([[self.tp, self.fp, self.fn, self.n_objects], self.shapes.flat])

    @classmethod
    def of_flat(cls, flat: np.ndarray) -> MaskCounts:
        """From `flat`."""
        tp, fp, fn, n_objects = (int(value) for value in flat[:4])
        return cls(tp, fp, fn, n_objects, BothWays.of_flat(flat[4:]))


def count_masks(prediction: np.ndarray, reference: np.ndarray) -> MaskCounts:
    """Count one image.

    Args:
        prediction: (H, W) bool.
        reference: The same, of the same shape.

    Raises:
        InputError: Shapes differ, or a mask is not boolean.

    Example:
        >>> counts = count_masks(np.array([[True, True, False, True]]), np.array([[True, True, False, False]]))
        >>> mask_f1(counts), round(object_f1(counts), 3), round(object_distance(counts), 3)
        (0.8, 0.833, 0.236)
    """
    check_ndim(2, prediction=prediction, reference=reference)
    check_same_shape(prediction=prediction, reference=reference)
    for name, mask in (("prediction", prediction), ("reference", reference)):
        if mask.dtype != bool:
            raise InputError(f"{name} has dtype {mask.dtype}, expected bool; compare labels with 0")
    tp = int((prediction & reference).sum())
    fp, fn = int(prediction.sum()) - tp, int(reference.sum()) - tp
    regions = [np.asarray(ndimage.label(mask, _EIGHT)[0]) for mask in (prediction, reference)]
    of_reference, of_prediction = best_partners(overlap(*regions))
    shapes = BothWays(_side(regions[1], regions[0], of_reference), _side(regions[0], regions[1], of_prediction))
    return MaskCounts(tp, fp, fn, len(of_reference), shapes)


def mask_f1(counts: MaskCounts) -> float:
    """F1 of pixels, which is Dice; NaN where both masks are empty.

    Example:
        >>> full = np.ones((2, 2), bool)
        >>> mask_f1(count_masks(full, full))
        1.0
    """
    total = 2 * counts.tp + counts.fp + counts.fn
    return 2 * counts.tp / total if total else math.nan


def object_f1(counts: MaskCounts) -> float:
    """Mean of both sides' F1, weighted by area; a side without objects is left out, NaN without any.

    Example:
        >>> full = np.ones((2, 2), bool)
        >>> object_f1(count_masks(full, full))
        1.0
    """
    return counts.shapes.similarity


def object_distance(counts: MaskCounts) -> float:
    """Mean of both sides' distances, weighted by area, in pixels; a side without objects is left out.

    Example:
        >>> full = np.ones((2, 2), bool)
        >>> object_distance(count_masks(full, full))
        0.0
    """
    return counts.shapes.distance


def mask_rows(images: Sequence[MaskCounts], *, group: str = "", seed: int = 0) -> list[Row]:
    """Rows of the counts of several images: pooled with a bootstrap interval, and as means over images.

    Example:
        >>> full = np.ones((2, 2), bool)
        >>> [(row.metric, row.value) for row in mask_rows([count_masks(full, full)])[:2]]
        [('F1 (Sawicki)', 1.0), ('F1 (Sawicki)', 1.0)]
    """
    scope = Scope(len(images), sum(image.n_objects for image in images), group, seed)
    flat = [image.flat for image in images]
    rows = []
    formulas: dict[str, Callable[[MaskCounts], float]] = {
        "F1 (Sawicki)": mask_f1,
        "object F1 (Sawicki)": object_f1,
        "Hausdorff (Sawicki)": object_distance,
    }
    for metric, formula in formulas.items():

        def of_sums(total: np.ndarray, formula: Callable[[MaskCounts], float] = formula) -> float:
            return formula(MaskCounts.of_flat(total))

        level: Level = "pixel" if formula is mask_f1 else "object"
        pooled = scope.row(metric, of_sums(np.sum(flat, axis=0)), level=level, empty_case=_NOTHING)
        rows.append(replace(pooled, interval=scope.interval(flat, of_sums)))
        rows.append(mean_over_images(pooled, [formula(image) for image in images]))
    return rows


def _side(own: np.ndarray, other: np.ndarray, partners: np.ndarray) -> Side:
    """Sums over the regions of one mask, numbered from 1."""
    total = Side()
    area_of_other = np.bincount(other.ravel())
    for number, (box, partner) in enumerate(zip(ndimage.find_objects(own), partners.tolist(), strict=True), start=1):
        region = own[box] == number
        area = int(region.sum())
        if partner < 0:
            total += Side(area, 0.0, area * math.hypot(*region.shape))
            continue
        match = other[box] == partner + 1
        f1 = 2 * int((region & match).sum()) / (area + int(area_of_other[partner + 1]))
        distance = hausdorff(Outlined(region.astype(np.uint8)), 1, Outlined(match.astype(np.uint8)), 1)
        total += Side(area, area * f1, area * distance)
    return total
