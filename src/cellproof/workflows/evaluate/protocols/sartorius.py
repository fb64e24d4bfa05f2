"""Instances as the Sartorius competition scored them, and as COCO does: mAP over IoU 0.5…0.95."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ....metrics import coco, sartorius
from ....metrics.objects import Overlap, overlap
from ....metrics.rows import Row, Scope, mean_over_images
from ..protocol import ClassNames, Column, NoOptions, Reference, Variant

MASKS = ("instances",)

OVER = "mean 0.5…0.95"

COLUMNS = (
    Column("mAP (Sartorius)", OVER, "mAP (Sartorius)", on_screen=True),
    Column("precision (Sartorius)", "0.5", "TP/(TP+FP+FN) > 0.5"),
    Column("AP (COCO)", OVER, "AP (COCO)", on_screen=True),
    Column("AP (COCO)", "0.5", "AP 0.5 (COCO)"),
)

NOTES = (
    "mAP (Sartorius) is the mean over images of the mean over thresholds of TP / (TP + FP + FN), a pair being right "
    "above the threshold.",
    "AP (COCO) ranks objects of all images by their mean foreground probability, at most "
    f"{coco.MOST_DETECTIONS} an image; without probabilities all are alike.",
)

_NOTHING = "an image without any object on either side is left out"


@dataclass(frozen=True)
class InstanceCount:
    """What one image adds.

    Attributes:
        precisions: TP / (TP + FP + FN) at each threshold; NaN without objects.
        ranked: For COCO's average precision.
    """

    precisions: tuple[float, ...]
    ranked: coco.RankedImage


def count(variant: Variant | None, reference: Reference, options: NoOptions) -> InstanceCount:
    """Counts of one image; without a variant, as if nothing had been predicted.

    Raises:
        InputError: Shapes differ.
    """
    values = np.zeros_like(reference.mask) if variant is None else variant.values
    ignored = reference.ignored if reference.ignored.any() else None
    found = overlap(values, reference.mask, ignored=ignored)
    precisions = tuple(sartorius.precision_at(found, threshold) for threshold in sartorius.THRESHOLDS)
    return InstanceCount(precisions, coco.rank(found, _scores(variant, values, found)))


def rows(
    counts: Sequence[InstanceCount], names: ClassNames, options: NoOptions, *, group: str = "", seed: int = 0
) -> list[Row]:
    """Rows of all images.

    The competition's score is a mean over images by definition; its rows are called pooled too, so that tables show it.
    """
    n_objects = sum(one.ranked.n_reference for one in counts)
    scope = Scope(len(counts), n_objects, group, seed)
    precisions = np.array([one.precisions for one in counts])
    made: list[Row] = []
    for metric, of, values in (
        ("mAP (Sartorius)", OVER, precisions.mean(axis=1).tolist()),
        ("precision (Sartorius)", str(sartorius.THRESHOLDS[0]), precisions[:, 0].tolist()),
    ):
        row = scope.row(metric, sartorius.mean_score(values), level="object", of=of, empty_case=_NOTHING)
        made += [row, mean_over_images(row, values)]
    found = coco.average_precision([one.ranked for one in counts])
    empty = "NaN where the reference has no object"
    made.append(scope.row("AP (COCO)", float(found.mean()), level="object", of=OVER, empty_case=empty))
    made.append(scope.row("AP (COCO)", float(found[0]), level="object", of="0.5", empty_case=empty))
    return made


def _scores(variant: Variant | None, values: np.ndarray, found: Overlap) -> np.ndarray:
    """Mean foreground probability of each predicted object."""
    if variant is None or variant.source is None:
        return np.ones(len(found.prediction_ids))
    objects, areas = np.unique(values, return_counts=True)
    total = np.bincount(np.searchsorted(objects, values).ravel(), 1 - variant.source.probabilities[0].ravel())
    # Objects that lie in pixels without annotation were dropped.
    kept = np.searchsorted(objects, found.prediction_ids)
    return np.asarray(total[kept] / areas[kept])
