"""Protocols: what is counted in an image, and the rows that the counts of many images become.

An image is counted on its own (`count_objects`, or `pixel.confusion`), so that images can be read one by one and the
same counts be summed over any group of images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from functools import reduce
from operator import add
from statistics import fmean

import numpy as np

from ..checks import check_same_shape
from ..types import IGNORE
from . import objects, pixel
from .objects import THRESHOLDS, Mistakes, ObjectCounts
from .pixel import Confusion
from .rows import Background, Row, Scope, mean_over_images

_ObjectFormula = Callable[[ObjectCounts], float]
_PixelFormula = Callable[[Confusion], np.ndarray]

_UNDEFINED = "NaN where the ratio is 0/0"
_NO_OBJECTS = "NaN where prediction and reference have no object at all"
_CLASS_LEFT_OUT = "a class that prediction and reference lack is left out; one that a single side has enters, 0/0 as 0"
_NOTHING_UNDEFINED = "a count, always defined"


@dataclass(frozen=True, eq=False)
class ObjectImage:
    """Counts of one image with label images.

    Attributes:
        matches: Counts at each of `THRESHOLDS`.
        mistakes: Merges, splits, misses, false objects.
        foreground: Confusion of background (0) and any object (1).
    """

    matches: tuple[ObjectCounts, ...]
    mistakes: Mistakes
    foreground: Confusion

    @property
    def n_objects(self) -> int:
        """Reference objects in the image."""
        return self.matches[0].tp + self.matches[0].fn


def count_objects(prediction: np.ndarray, reference: np.ndarray, *, ignored: np.ndarray | None = None) -> ObjectImage:
    """Count everything that the ``stardist`` protocol wants to know of one image.

    Args:
        prediction: (H, W) label image, 0 is background.
        reference: Label image of the same shape.
        ignored: Boolean mask of pixels without annotation, treated as `objects` states.

    Raises:
        InputError: For different shapes, fractions or negative ids.

    Example:
        >>> labels = np.zeros((12, 12), int)
        >>> labels[1:5, 1:5], labels[7:11, 7:11] = 1, 2
        >>> count_objects(labels, labels).n_objects
        2
    """
    overlap = objects.overlap(prediction, reference, ignored=ignored)
    return ObjectImage(
        matches=tuple(objects.count_matches(overlap, threshold) for threshold in THRESHOLDS),
        mistakes=objects.count_mistakes(overlap),
        foreground=foreground_confusion(prediction, reference, ignored=ignored),
    )


def foreground_confusion(
    prediction: np.ndarray, reference: np.ndarray, *, ignored: np.ndarray | None = None
) -> Confusion:
    """Confusion of background (class 0) and labeled pixels (class 1) of two label images.

    Args:
        prediction: Label image, 0 is background.
        reference: Label image of the same shape.
        ignored: Boolean mask of pixels that are left out.

    Raises:
        InputError: For different shapes.

    Example:
        >>> labels = np.zeros((12, 12), int)
        >>> labels[1:5, 1:5], labels[7:11, 7:11] = 1, 2
        >>> foreground_confusion(labels, labels).counts.tolist()
        [[112, 0], [0, 32]]
    """
    check_same_shape(prediction=prediction, reference=reference)
    foreground = (reference > 0).astype(np.uint8)
    if ignored is not None:
        foreground[ignored] = IGNORE
    return pixel.confusion((prediction > 0).astype(np.uint8), foreground, classes=2)


def stardist_rows(images: Sequence[ObjectImage], *, group: str = "", seed: int = 0) -> list[Row]:
    """Rows of the ``stardist`` protocol: AP, F1, PQ, precision, recall at every threshold, mistakes, foreground Dice.

    Pooled and by-image numbers are those of ``stardist.matching.matching_dataset``, except where a ratio is 0/0:
    StarDist says 0 there; here it is NaN, and the image is left out of a mean over images.

    Args:
        images: Counts of each image, at least one.
        group: Name of the group, copied into the rows.
        seed: Of the bootstrap.

    Returns:
        Rows; the pooled AP and Dice carry a bootstrap interval.

    Example:
        >>> labels = np.zeros((12, 12), int)
        >>> labels[1:5, 1:5], labels[7:11, 7:11] = 1, 2
        >>> rows = stardist_rows([count_objects(labels, labels)])
        >>> rows[0].metric, rows[0].class_or_threshold, rows[0].value
        ('AP (StarDist)', '0.5', 1.0)
    """
    scope = Scope(len(images), sum(image.n_objects for image in images), group, seed)
    rows = [row for place in range(len(THRESHOLDS)) for row in _threshold_rows(images, place, scope)]
    rows += _mean_ap_rows(images, scope)
    rows += _mistake_rows(images, scope)
    return rows + _foreground_rows([image.foreground for image in images], scope)


def pixel_rows(
    images: Sequence[Confusion],
    *,
    class_names: Sequence[str],
    n_objects: int | None = None,
    group: str = "",
    seed: int = 0,
) -> list[Row]:
    """Rows of the ``pixel`` protocol: IoU, Dice, precision and recall of each class and their means, and accuracy.

    Args:
        images: Confusion of each image, at least one.
        class_names: Name of each class; one called "background" is background, and means are given with and
            without it.
        n_objects: Reference objects, where the classes come from label images.
        group: Name of the group, copied into the rows.
        seed: Of the bootstrap.

    Returns:
        Rows; the pooled means over classes carry a bootstrap interval. On pixels F1 is Dice and has no row.

    Example:
        >>> labels = np.zeros((12, 12), int)
        >>> labels[1:5, 1:5], labels[7:11, 7:11] = 1, 2
        >>> rows = pixel_rows([foreground_confusion(labels, labels)], class_names=("background", "cell"))
        >>> rows[0].metric, rows[0].class_or_threshold, float(rows[0].value)
        ('IoU', 'background', 1.0)
    """
    scope = Scope(len(images), n_objects, group, seed)
    rows = []
    for metric, formula in (("IoU", pixel.iou), ("Dice", pixel.dice)):
        rows += _class_rows(images, metric, formula, scope=scope, class_names=class_names)
        rows += _class_rows_over_images(images, metric, formula, scope=scope, class_names=class_names)
        rows += _class_mean_rows(images, metric, formula, scope=scope, class_names=class_names)
    for metric, formula in (("precision", pixel.precision), ("recall", pixel.recall)):
        rows += _class_rows(images, metric, formula, scope=scope, class_names=class_names)
        rows += _class_mean_rows(images, metric, formula, scope=scope, class_names=class_names)
    value = pixel.accuracy(reduce(add, images))
    background: Background = "included" if "background" in class_names else "no background class"
    accuracy = scope.row("accuracy", value, level="pixel", background=background, empty_case=_UNDEFINED)
    return [*rows, accuracy, mean_over_images(accuracy, [pixel.accuracy(image) for image in images])]


def _threshold_rows(images: Sequence[ObjectImage], place: int, scope: Scope) -> list[Row]:
    matches = [image.matches[place] for image in images]
    pooled = reduce(add, matches)

    def row(metric: str, formula: _ObjectFormula, empty_case: str) -> Row:
        of = str(THRESHOLDS[place])
        return scope.row(metric, formula(pooled), level="object", of=of, empty_case=empty_case)

    counts = [np.array(astuple(match)) for match in matches]
    interval = scope.interval(counts, lambda total: objects.average_precision(ObjectCounts(*total)))
    rows = [replace(row("AP (StarDist)", objects.average_precision, _NO_OBJECTS), interval=interval)]
    rows += [row("F1", objects.f1, _NO_OBJECTS), row("PQ", objects.panoptic_quality, _NO_OBJECTS)]
    formulas: tuple[_ObjectFormula, ...] = (objects.average_precision, objects.f1, objects.panoptic_quality)
    rows += [
        mean_over_images(pooled_row, [formula(match) for match in matches])
        for pooled_row, formula in zip(rows, formulas, strict=True)
    ]
    return [
        *rows,
        row("precision", objects.precision, _UNDEFINED),
        row("recall", objects.recall, _UNDEFINED),
        row("mean matched IoU", objects.mean_matched_iou, _UNDEFINED),
    ]


def _mean_ap_rows(images: Sequence[ObjectImage], scope: Scope) -> list[Row]:
    """Mean of AP over all thresholds."""

    def mean_ap(flat: np.ndarray) -> float:
        return fmean(objects.average_precision(ObjectCounts(*counts)) for counts in flat.reshape(len(THRESHOLDS), -1))

    counts = [np.array([astuple(match) for match in image.matches]).ravel() for image in images]
    of = f"mean {THRESHOLDS[0]}…{THRESHOLDS[-1]}"
    pooled = scope.row("AP (StarDist)", mean_ap(np.sum(counts, axis=0)), level="object", of=of, empty_case=_NO_OBJECTS)
    by_image = mean_over_images(pooled, [mean_ap(image) for image in counts])
    return [replace(pooled, interval=scope.interval(counts, mean_ap)), by_image]


def _mistake_rows(images: Sequence[ObjectImage], scope: Scope) -> list[Row]:
    total = reduce(add, [image.mistakes for image in images])
    named = {"merges": total.merges, "splits": total.splits, "misses": total.misses, "false objects": total.false}
    return [scope.row(metric, count, level="object", empty_case=_NOTHING_UNDEFINED) for metric, count in named.items()]


def _foreground_rows(images: Sequence[Confusion], scope: Scope) -> list[Row]:
    def foreground_dice(counts: Confusion) -> float:
        return float(pixel.dice(counts)[1])

    pooled = scope.row(
        "Dice", foreground_dice(reduce(add, images)), level="pixel", of="foreground", empty_case=_UNDEFINED
    )
    interval = scope.interval([_flat(image) for image in images], lambda flat: foreground_dice(_unflat(flat, 2)))
    return [replace(pooled, interval=interval), mean_over_images(pooled, [foreground_dice(image) for image in images])]


def _class_rows(
    images: Sequence[Confusion], metric: str, formula: _PixelFormula, *, scope: Scope, class_names: Sequence[str]
) -> list[Row]:
    return [
        scope.row(
            metric,
            float(value),
            level="pixel",
            of=name,
            background=_background(name, class_names),
            empty_case=_UNDEFINED,
        )
        for name, value in zip(class_names, formula(reduce(add, images)), strict=True)
    ]


def _class_rows_over_images(
    images: Sequence[Confusion], metric: str, formula: _PixelFormula, *, scope: Scope, class_names: Sequence[str]
) -> list[Row]:
    values = np.stack([formula(image) for image in images])
    rows = _class_rows(images, metric, formula, scope=scope, class_names=class_names)
    return [mean_over_images(row, column.tolist()) for row, column in zip(rows, values.T, strict=True)]


def _class_mean_rows(
    images: Sequence[Confusion], metric: str, formula: _PixelFormula, *, scope: Scope, class_names: Sequence[str]
) -> list[Row]:
    """Mean over all classes, and over all but the background where there is one."""
    has_background = "background" in class_names
    backgrounds: list[tuple[Background, int | None]] = [("included" if has_background else "no background class", None)]
    if has_background:
        backgrounds.append(("excluded", list(class_names).index("background")))
    counts = [_flat(image) for image in images]
    rows = []
    for background, without_class in backgrounds:

        def mean(flat: np.ndarray, without_class: int | None = without_class) -> float:
            pooled = _unflat(flat, len(class_names))
            return pixel.mean_over_classes(pooled, formula, without_class=without_class)

        row = scope.row(
            metric,
            mean(np.sum(counts, axis=0)),
            level="pixel",
            of="mean",
            background=background,
            empty_case=_CLASS_LEFT_OUT,
        )
        rows.append(replace(row, interval=scope.interval(counts, mean)))
        rows.append(mean_over_images(row, [mean(one) for one in counts]))
    return rows


def _background(name: str, class_names: Sequence[str]) -> Background:
    if "background" not in class_names:
        return "no background class"
    return "included" if name == "background" else "excluded"


def _flat(counts: Confusion) -> np.ndarray:
    return np.concatenate([counts.counts.ravel(), counts.unpredicted])


def _unflat(flat: np.ndarray, classes: int) -> Confusion:
    return Confusion(flat[: classes * classes].reshape(classes, classes), flat[classes * classes :])
