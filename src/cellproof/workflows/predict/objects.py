"""Predicted maps become labels and classes, at the scale at which the objects are of a known size."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ...difficulty.confidence import confidence, difficult_pixels
from ...difficulty.quality import expected_dice
from ...inference.activate import Maps
from ...inference.tta import EIGHT_VIEWS, FOUR_VIEWS, ONE_VIEW
from ...instances.components import label_components
from ...instances.decode import decode, object_classes
from ...refine import apply_steps
from ...types import InstanceOptions, ModelHeader, Prediction
from .evidence import Evidence, gather
from .load import Model
from .predictor import SCALES, Predictor

LARGER_BY = 1.3
"""Objects up to this much above the 95th percentile of training are left at the model's scale."""

NO_MISFIT = 0.1
"""Sizes within a tenth are as good as any."""

TOLERATED_LOSS = 0.1
"""Of expected Dice, where the user asked for a measured diameter: a larger scale alone makes edges less sure."""

MOST_PASSES = 3
"""Large objects may break to pieces at first, so that their size is known only after a second pass."""


@dataclass
class Timings:
    """Seconds spent in each part, added up over planes."""

    network_s: float = 0.0
    instances_s: float = 0.0
    rest_s: float = 0.0
    pixels: int = 0


@dataclass(frozen=True)
class Labeled:
    """An image as the model sees it at one scale; maps and labels are on the image's own grid.

    Attributes:
        scale: At which the networks saw it.
        maps: What they predict.
        labels: (H, W) int32.
        classes: (H, W) uint8.
        views: Ways to lay the image whose maps were averaged.
    """

    scale: float
    maps: Maps
    labels: np.ndarray
    classes: np.ndarray
    views: int = 1

    def evidence(self, image: np.ndarray, options: InstanceOptions) -> Evidence:
        """For and against the objects.

        Args:
            image: (C, H, W) normalized.
            options: How the objects were made.
        """
        return gather(self.maps, self.labels, image, options=options, scale=self.scale)

    def seen_again(
        self,
        model: Model,
        image: np.ndarray,
        *,
        min_area_px: int = 0,
        condition: str = "",
        max_memory_bytes: int | None = None,
        timings: Timings,
        progress: Callable[[int, int], None] | None = None,
    ) -> Labeled:
        """The same image by the mean of this one view and of three more, at the same scale.

        Args:
            model: That made this.
            image: (C, H, W) from `Predictor.prepare`.
            min_area_px: See `predict_objects`.
            condition: See `predict_objects`.
            max_memory_bytes: For the whole process, of which the maps of the first view take their part.
            timings: Added to.
            progress: See `Predictor.predict`.

        Returns:
            The new result; this one where memory does not hold two sets of maps.
        """
        predictor = Predictor.of_model(model)
        if max_memory_bytes is not None:
            max_memory_bytes -= sum(one.nbytes for one in (self.maps.probabilities, *self.maps.fields.values()))
            if not predictor.fits(image.shape, scale=self.scale, max_memory_bytes=max_memory_bytes):
                return self
        started = time.perf_counter()
        averaged = predictor.averages_views
        maps = predictor.predict(
            image,
            scale=self.scale,
            views=FOUR_VIEWS[1:] if averaged else FOUR_VIEWS,
            max_memory_bytes=max_memory_bytes,
            progress=progress,
            condition=condition,
        )
        if averaged:
            maps = _mean(self.maps, maps, weight=1 / len(FOUR_VIEWS))
        predicted = time.perf_counter()
        labels, classes = label_objects(maps, model.header, image=image, min_area_px=min_area_px)
        timings.network_s += predicted - started
        timings.instances_s += time.perf_counter() - predicted
        return Labeled(self.scale, maps, labels, classes, views=len(FOUR_VIEWS))


def predict_objects(
    model: Model,
    image: np.ndarray,
    *,
    tta: bool = False,
    diameter_px: float | Literal["auto"] | None = None,
    min_area_px: int = 0,
    condition: str = "",
    max_memory_bytes: int | None = None,
    timings: Timings,
    progress: Callable[[int, int], None] | None = None,
) -> Labeled:
    """Predict a prepared image and make objects of it.

    A model that says so is run again at a smaller scale where the objects are much larger than those of its
    training, and the result of the higher expected Dice is kept. For a measured diameter it is run again at any
    scale, and may lose a little expected Dice.

    Args:
        model: From `load_model`.
        image: (C, H, W) from `Predictor.prepare`.
        tta: Whether to average over the eight flips and quarter turns, at eight times the cost.
        diameter_px: Usual diameter of the objects in pixels of the image, which decides the scale: that at which
            they have the median diameter of the training objects, larger or smaller than the image. "auto" measures
            it on a first prediction at the model's scale. None for the model's scale.
        min_area_px: Smaller objects, or connected pieces of a class, are left out; class maps keep the pieces.
        condition: See `Predictor.predict`.
        max_memory_bytes: See `Predictor.predict`.
        timings: Added to.
        progress: See `Predictor.predict`.

    Raises:
        InputError: A diameter that does not fit the model or the image.

    Example:
        >>> from cellproof.workflows.predict import load_model
        >>> model = load_model("nuclei")
        >>> image = Predictor.of_model(model).prepare(np.zeros((1, 32, 40)))
        >>> predict_objects(model, image, timings=Timings()).labels.max()
        np.int32(0)
    """
    predictor, header, views = Predictor.of_model(model), model.header, EIGHT_VIEWS if tta else ONE_VIEW

    def at(scale: float) -> Labeled:
        started = time.perf_counter()
        maps = predictor.predict(
            image, scale=scale, views=views, max_memory_bytes=max_memory_bytes, progress=progress, condition=condition
        )
        predicted = time.perf_counter()
        labels, classes = label_objects(maps, header, image=image, min_area_px=min_area_px)
        timings.network_s += predicted - started
        timings.instances_s += time.perf_counter() - predicted
        return Labeled(scale, maps, labels, classes, views=len(views))

    if diameter_px is not None and diameter_px != "auto":
        return at(Predictor.scale_for(diameter_px, header))
    first = at(predictor.first_scale(image.shape[1:]))
    if (diameter_px is None and not header.fit_objects) or not header.statistics.object_diameter_px:
        return first
    misfit = too_large_by if diameter_px is None else off_by
    last = first
    for _ in range(MOST_PASSES - 1):
        factor = misfit(last.labels, header, scale=last.scale)
        if factor == 1.0:
            break
        last = at(last.scale / factor)
    if last is first:
        return first
    expected = [expected_dice(1 - one.maps.probabilities[0], one.labels > 0) for one in (first, last)]
    tolerated = 0.0 if diameter_px is None else TOLERATED_LOSS
    return last if expected[1] >= expected[0] - tolerated else first


def _mean(first: Maps, rest: Maps, *, weight: float) -> Maps:
    """Mean of two sets of maps, in the memory of the second; the first counts by its weight, the other by the rest."""
    pairs = [(first.probabilities, rest.probabilities)]
    pairs += [(first.fields[name], rest.fields[name]) for name in rest.fields]
    for one, other in pairs:
        other -= one
        other *= np.float32(1 - weight)
        other += one
    return replace(first, probabilities=rest.probabilities, fields=rest.fields)


def too_large_by(labels: np.ndarray, header: ModelHeader, *, scale: float) -> float:
    """How many times larger the objects are than those the network knows; 1 where they are not larger.

    Args:
        labels: (H, W) objects on the image's grid.
        header: Its statistics tell the diameters of the training objects, in the network's pixels.
        scale: At which the network saw the image.
    """
    diameter_px = scale * usual_diameter(labels)
    middle_px, largest_px = header.statistics.object_diameter_px[1:]
    if diameter_px <= LARGER_BY * largest_px:
        return 1.0
    return diameter_px / float(np.sqrt(middle_px * largest_px))


def off_by(labels: np.ndarray, header: ModelHeader, *, scale: float) -> float:
    """How many times larger the objects are than the median training object, below 1 where they are smaller.

    Differences below a tenth count as none, and a scale beyond `SCALES` is never led to; 1 without objects.

    Args:
        labels: (H, W) objects on the image's grid.
        header: Its statistics tell the diameters of the training objects, in the network's pixels.
        scale: At which the network saw the image.
    """
    diameter_px = scale * usual_diameter(labels)
    if not diameter_px:
        return 1.0
    goal = float(np.clip(scale * header.statistics.object_diameter_px[1] / diameter_px, *SCALES))
    return 1.0 if abs(np.log(goal / scale)) < NO_MISFIT else scale / goal


def usual_diameter(labels: np.ndarray) -> float:
    """Equivalent diameter, in pixels, of the object that the median object pixel lies in; 0 without objects.

    Not of the median object: a large nucleus in pieces is mostly one large piece.
    """
    areas = np.sort(np.bincount(labels.ravel())[1:])
    areas = areas[areas > 0]
    if not areas.size:
        return 0.0
    return float(np.sqrt(4 * areas[np.searchsorted(np.cumsum(areas), areas.sum() / 2)] / np.pi))


def class_map(maps: Maps, header: ModelHeader, image: np.ndarray | None = None) -> np.ndarray:
    """(H, W) uint8, the likeliest class of each pixel, repaired by the model's steps, which may look at the image."""
    likeliest: np.ndarray = maps.probabilities.argmax(axis=0).astype(np.uint8)
    if not header.steps:
        return likeliest
    difficult = difficult_pixels(confidence(maps.probabilities))
    prediction = Prediction(maps.probabilities, likeliest, header.classes, difficult, image=image)
    return apply_steps(prediction, header.steps).class_map


def label_objects(
    maps: Maps, header: ModelHeader, *, image: np.ndarray | None = None, min_area_px: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Labels (H, W) int32 and class map (H, W) uint8.

    With instance heads an object has one class, and the class map shows it in all its pixels. Without, each
    pixel takes its likeliest class, and the labels number the connected regions of every class but the first.

    Args:
        maps: Of the image.
        header: Of the model.
        image: (C, H, W) normalized; None where no step of the model looks at it.
        min_area_px: See `predict_objects`.

    Example:
        >>> from cellproof.types import Heads
        >>> header = ModelHeader("m", "unet", Heads(2), ("ground", "cell"), 1, 1, 1)
        >>> inside = np.array([[0.9, 0.1, 0.8]], np.float32)
        >>> labels, classes = label_objects(Maps(np.stack([1 - inside, inside])), header)
        >>> labels.tolist(), classes.tolist()
        ([[1, 0, 2]], [[1, 0, 1]])
    """
    if not header.heads.has_instances:
        classes = class_map(maps, header, image)
        return without_small(label_components(classes), min_area_px), classes
    labels = without_small(decode(maps.probabilities, maps.fields, options=header.instance), min_area_px)
    of_label = np.concatenate([[0], object_classes(labels, maps.probabilities)]).astype(np.uint8)
    return labels, of_label[labels]


def without_small(labels: np.ndarray, min_area_px: int) -> np.ndarray:
    """Labels (H, W) without objects of less than ``min_area_px`` pixels, numbered anew in the same order.

    Example:
        >>> without_small(np.array([[1, 0, 2, 2, 0, 3]]), 2).tolist()
        [[0, 0, 1, 1, 0, 0]]
    """
    areas = np.bincount(labels.ravel())
    if min_area_px <= 1 or areas.size < 2:
        return labels
    kept = areas >= min_area_px
    kept[0] = False
    numbers: np.ndarray = np.where(kept, np.cumsum(kept), 0).astype(labels.dtype)
    return np.asarray(numbers[labels])
