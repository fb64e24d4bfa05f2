"""The GlaS challenge's three numbers: F1 of glands, object Dice, object Hausdorff.

A predicted gland is a hit when it covers at least half of the reference gland with which it shares most pixels; a
reference gland is hit once at most. Object Dice and object Hausdorff compare every object, of either side, with the
object of the other side with which it shares most pixels, and weigh by area. An object without such a partner has Dice
0, and is as far as the nearest object, by Hausdorff distance, of the other side; where that side is empty, as far
as the image is long from corner to corner. All are sums over objects, so they are pooled over the images of a set.

References:
    Sirinukunwattana, Snead, Rajpoot (2015). A stochastic polygons model for glandular structures in colon histology
    images. IEEE TMI 34(11), 2366-2378. doi:10.1109/TMI.2015.2433900 (object Dice and object Hausdorff).
    Sirinukunwattana et al. (2017). Gland segmentation in colon histology images: the GlaS challenge contest. Medical
    Image Analysis 35, 489-502. doi:10.1016/j.media.2016.08.008 (section 6, evaluation).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..checks import check_same_shape
from ._both_ways import BothWays, Side, best_partners
from .hausdorff import Outlined, hausdorff, nearest
from .objects import Overlap, overlap, without_ignored
from .rows import Row, Scope, mean_over_images

_NOTHING = "NaN where prediction and reference have no object at all"

_NO_PARTNER = (
    "an object without a partner has Dice 0 and its distance to the nearest object of the other side, or the image's "
    "diagonal where that is empty; NaN without any object"
)


@dataclass(frozen=True)
class GlandCounts:
    """Sums of one image, or of several.

    Attributes:
        tp: Reference glands that are hit.
        fp: Predicted glands that hit none.
        fn: Reference glands that are not hit.
        shapes: Dice (similarity) and Hausdorff distance in pixels, weighted by area, of both sides.
    """

    tp: int
    fp: int
    fn: int
    shapes: BothWays

    def __add__(self, other: GlandCounts) -> GlandCounts:
        """Sums over the images of both."""
        return GlandCounts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.shapes + other.shapes)

    @property
    def flat(self) -> np.ndarray:
        """(9,) float64."""
        return np.concatenate([[self.tp, self.fp, self.fn], self.shapes.flat])

    @classmethod
    def of_flat(cls, flat: np.ndarray) -> GlandCounts:
        """From `flat`."""
        return cls(int(flat[0]), int(flat[1]), int(flat[2]), BothWays.of_flat(flat[3:]))


def count_glands(prediction: np.ndarray, reference: np.ndarray, *, ignored: np.ndarray | None = None) -> GlandCounts:
    """Count one image.

    Args:
        prediction: (H, W) object ids, 0 background.
        reference: The same, of the same shape.
        ignored: (H, W) bool, pixels without annotation, treated as `objects` states.

    Raises:
        InputError: Shapes differ, or an image holds no object ids.

    Example:
        >>> merged = count_glands(np.array([[1, 1, 1, 1, 1]]), np.array([[1, 1, 0, 2, 2]]))
        >>> merged.tp, merged.fp, merged.fn
        (1, 0, 1)
        >>> round(object_dice(merged), 3)
        0.571
    """
    check_same_shape(prediction=prediction, reference=reference)
    if ignored is not None:
        prediction, reference = without_ignored(prediction, reference, ignored=ignored)
    shared = overlap(prediction, reference)
    partners = best_partners(shared)
    tp = _hits(shared, partners[1])
    images = Outlined(reference), Outlined(prediction)
    shapes = BothWays(
        _side(images[0], images[1], shared.reference_ids, shared.prediction_ids, partners[0]),
        _side(images[1], images[0], shared.prediction_ids, shared.reference_ids, partners[1]),
    )
    return GlandCounts(tp, len(shared.prediction_ids) - tp, len(shared.reference_ids) - tp, shapes)


def f1(counts: GlandCounts) -> float:
    """F1 of glands, in [0, 1]; NaN without any.

    Example:
        >>> labels = np.array([[1, 1, 0, 2]])
        >>> f1(count_glands(labels, labels))
        1.0
    """
    total = 2 * counts.tp + counts.fp + counts.fn
    return 2 * counts.tp / total if total else math.nan


def object_dice(counts: GlandCounts) -> float:
    """Object Dice, in [0, 1]; NaN without any object.

    Example:
        >>> labels = np.array([[1, 1, 0, 2]])
        >>> object_dice(count_glands(labels, labels))
        1.0
    """
    return counts.shapes.similarity


def object_hausdorff(counts: GlandCounts) -> float:
    """Object Hausdorff distance, in pixels; NaN without any object.

    Example:
        >>> labels = np.array([[1, 1, 0, 2]])
        >>> object_hausdorff(count_glands(labels, labels))
        0.0
    """
    return counts.shapes.distance


def gland_rows(images: Sequence[GlandCounts], *, group: str = "", seed: int = 0) -> list[Row]:
    """Rows of the counts of several images: pooled with a bootstrap interval, and as means over images.

    Example:
        >>> labels = np.array([[1, 1, 0, 2]])
        >>> [(row.metric, row.value) for row in gland_rows([count_glands(labels, labels)])[:2]]
        [('F1 (GlaS)', 1.0), ('F1 (GlaS)', 1.0)]
    """
    scope = Scope(len(images), sum(image.tp + image.fn for image in images), group, seed)
    formulas: dict[str, tuple[Callable[[GlandCounts], float], str]] = {
        "F1 (GlaS)": (f1, _NOTHING),
        "object Dice": (object_dice, _NO_PARTNER),
        "object Hausdorff": (object_hausdorff, _NO_PARTNER),
    }
    rows = []
    flat = [image.flat for image in images]
    for metric, (formula, empty_case) in formulas.items():

        def of_sums(total: np.ndarray, formula: Callable[[GlandCounts], float] = formula) -> float:
            return formula(GlandCounts.of_flat(total))

        pooled = scope.row(metric, of_sums(np.sum(flat, axis=0)), level="object", empty_case=empty_case)
        rows.append(replace(pooled, interval=scope.interval(flat, of_sums)))
        rows.append(mean_over_images(pooled, [formula(image) for image in images]))
    total = GlandCounts.of_flat(np.sum(flat, axis=0))
    named = {"false glands": total.fp, "missed glands": total.fn}
    return rows + [scope.row(metric, count, level="object", empty_case="a count") for metric, count in named.items()]


def _hits(shared: Overlap, partners: np.ndarray) -> int:
    """Reference glands of which the predicted gland that shares most pixels with them covers half or more."""
    hit = set()
    shared_px = {tuple(pair): px for pair, px in zip(shared.pairs.tolist(), shared.shared_px.tolist(), strict=True)}
    for place, partner in enumerate(partners.tolist()):
        if partner >= 0 and 2 * shared_px[partner, place] >= shared.reference_areas_px[partner]:
            hit.add(partner)
    return len(hit)


def _side(own: Outlined, other: Outlined, own_ids: np.ndarray, other_ids: np.ndarray, partners: np.ndarray) -> Side:
    """Sums over the objects of one side."""
    diagonal = math.hypot(*own.labels.shape)
    total = Side()
    for number, partner in zip(own_ids.tolist(), partners.tolist(), strict=True):
        area = len(own.pixels(number))
        if partner < 0:
            distance = min(nearest(own, number, other), diagonal)
            total += Side(area, 0.0, area * distance)
            continue
        partner_id = int(other_ids[partner])
        pixels = own.pixels(number)
        common = int((other.labels[pixels[:, 0], pixels[:, 1]] == partner_id).sum())
        dice = 2 * common / (area + len(other.pixels(partner_id)))
        total += Side(area, area * dice, area * hausdorff(own, number, other, partner_id))
    return total
