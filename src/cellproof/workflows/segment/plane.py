"""One plane becomes labels, classes, difficulty, a table and a verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from ...difficulty.confidence import confidence, confidence_in, difficulty_from_confidence
from ...instances.measure import measure
from ...types import Segmentation
from ..predict import Labeled, Model, Predictor, Timings, predict_objects
from .trust import judge_plane

Tta = bool | Literal["auto"]


def segment_plane(
    model: Model,
    pixels: np.ndarray,
    *,
    tta: Tta = "auto",
    diameter_px: float | Literal["auto"] | None = None,
    min_area_px: int = 0,
    condition: str = "",
    pixel_size_um: float | None = None,
    max_memory_bytes: int | None = None,
    timings: Timings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Segmentation:
    """Segment one plane.

    Args:
        model: From `load_model`.
        pixels: (C, H, W), any real dtype, raw intensities.
        tta: Whether to average over the eight flips and 90° rotations, at eight times the cost; "auto" is one view,
            and the mean of four where what that one finds is in doubt or the image is of a kind that gains by them.
        diameter_px: See `predict_objects`.
        min_area_px: See `predict_objects`.
        condition: What the network is told of the image; "" for unknown.
        pixel_size_um: Adds areas in µm² to the table.
        max_memory_bytes: For the whole process; None for windows of a size that is quick.
        timings: Filled in where given.
        progress: Called with (runs done, runs in all) of the network.

    Raises:
        InputError: NaN, no pixels, or channels that the model does not read.

    Example:
        >>> from cellproof.workflows.predict import load_model
        >>> segment_plane(load_model("nuclei"), np.zeros((1, 32, 40))).quality.count
        0
    """
    timings = timings if timings is not None else Timings()
    started = time.perf_counter()
    image = Predictor.of_model(model).prepare(pixels)
    timings.rest_s += time.perf_counter() - started
    view = predict_objects(
        model,
        image,
        tta=tta is True,
        diameter_px=diameter_px,
        min_area_px=min_area_px,
        condition=condition,
        max_memory_bytes=max_memory_bytes,
        timings=timings,
        progress=progress,
    )
    result = _describe(model, pixels, image, view, pixel_size_um=pixel_size_um, timings=timings)
    if tta == "auto" and result.quality.asks_views:
        again = view.seen_again(
            model,
            image,
            min_area_px=min_area_px,
            condition=condition,
            max_memory_bytes=max_memory_bytes,
            timings=timings,
            progress=progress,
        )
        if again is not view:
            del view, result  # the maps of one view, 16 bytes a pixel, before evidence needs as much again
            result = _describe(model, pixels, image, again, pixel_size_um=pixel_size_um, timings=timings)
    timings.pixels += result.labels.size
    return result


def _describe(
    model: Model,
    pixels: np.ndarray,
    image: np.ndarray,
    view: Labeled,
    *,
    pixel_size_um: float | None,
    timings: Timings,
) -> Segmentation:
    """Difficulty, table and verdict of a labeled plane."""
    started = time.perf_counter()
    header, labels, probabilities = model.header, view.labels, view.maps.probabilities
    # A repair gives pixels classes that are not their likeliest: the difficulty is that of what they were given.
    is_repaired = bool(header.steps) and not header.heads.has_instances
    sure = confidence_in(probabilities, view.classes) if is_repaired else confidence(probabilities)
    first = np.zeros(int(labels.max(initial=0)) + 1, np.uint8)
    first[labels.ravel()] = view.classes.ravel()
    objects: Mapping[str, np.ndarray] = measure(
        labels, intensity=pixels, classes=first[1:], confidence=sure, pixel_size_um=pixel_size_um
    )
    quality, right = judge_plane(header, image, view, sure=sure, diameters_px=objects["equivalent_diameter_area"])
    if right is not None:
        objects = {**objects, "p_right": right}
    difficulty = difficulty_from_confidence(sure, classes=header.heads.classes)
    timings.rest_s += time.perf_counter() - started
    return Segmentation(
        labels=labels,
        classes=view.classes,
        probabilities=probabilities,
        difficulty=difficulty,
        objects=objects,
        quality=quality,
        scale=view.scale,
        views=view.views,
    )
