"""A model on an image: channels, scale, windows and views."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...data.samples import rescale_image
from ...difficulty.quality import expected_dice
from ...inference.activate import Maps
from ...inference.budget import window_pixels
from ...inference.predict import DEFAULT_MAX_PIXELS, predict
from ...types import ModelHeader
from .load import Model
from .objects import label_objects

LARGER_BY = 1.3
"""Objects up to this much above the 95th percentile of training are left at the model's scale."""

VIEWED_PIXELS = 400_000
"""Pictures up to this size are looked at in all eight orientations where nobody says otherwise: that takes about two
seconds on two cores at the most, and small pictures of small objects gain most by it."""

MOST_LOOKS = 3
"""Large objects may break to pieces at first sight, so that their size is known only after a second."""


@dataclass
class Timings:
    """Seconds spent in each part, added up over planes."""

    network_s: float = 0.0
    instances_s: float = 0.0
    rest_s: float = 0.0
    pixels: int = 0


@dataclass(frozen=True)
class View:
    """A picture as the model sees it at one scale; maps and labels are on the picture's own grid."""

    scale: float
    maps: Maps
    labels: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True)
class ImageRun:
    """What stays the same between looks at one picture."""

    model: Model
    image: np.ndarray
    tta: bool | None
    max_memory_bytes: int | None
    timings: Timings
    progress: Callable[[int, int], None] | None

    def look(self, scale: float) -> View:
        """Predict at a scale and make objects."""
        header, started = self.model.header, time.perf_counter()
        shape = self.image.shape[1:]
        scaled = rescale_image(self.image, scaled_shape(shape, scale)) if scale != 1.0 else self.image
        maps = predict(
            self.model.engines,
            scaled,
            heads=header.heads,
            stride_px=header.stride_px,
            halo_px=header.receptive_field_px,
            temperature=header.temperature,
            tta=scaled[0].size <= VIEWED_PIXELS if self.tta is None else self.tta,
            max_pixels=_max_pixels(self.model, scaled.shape, self.max_memory_bytes),
            progress=self.progress,
        )
        predicted = time.perf_counter()
        maps = rescale_maps(maps, shape)
        labels, classes = label_objects(maps, header)
        self.timings.network_s += predicted - started
        self.timings.instances_s += time.perf_counter() - predicted
        return View(scale, maps, labels, classes)


def at_known_size(run: ImageRun, first: View) -> View:
    """Look again at a smaller scale where objects are much larger than those of training, if that is surer."""
    view = first
    for _ in range(MOST_LOOKS - 1):
        factor = too_large_by(view.labels, run.model.header, scale=view.scale)
        if factor == 1.0:
            break
        view = run.look(view.scale / factor)
    if view is first:
        return first
    promised = [expected_dice(1 - v.maps.probabilities[0], v.labels > 0) for v in (first, view)]
    return view if promised[1] >= promised[0] else first


def picture_scale(header: ModelHeader, shape: Sequence[int]) -> float:
    """Scale at which a picture of this height and width is read, before its objects have been seen."""
    side = min(shape)
    if header.fit_side_px and side / 4 <= header.fit_side_px <= 4 * side:
        return header.fit_side_px / side
    return header.scale


def too_large_by(labels: np.ndarray, header: ModelHeader, *, scale: float) -> float:
    """How many times larger the objects are than those the network knows; 1 where they are not larger.

    Args:
        labels: (H, W) objects on the image's grid.
        header: Its statistics tell the diameters of the training objects, in the network's pixels.
        scale: At which the network saw the image.
    """
    areas = np.sort(np.bincount(labels.ravel())[1:])
    areas = areas[areas > 0]
    if not areas.size:
        return 1.0
    # The median pixel's object, not the median object: a large nucleus in pieces is mostly one large piece.
    median = areas[np.searchsorted(np.cumsum(areas), areas.sum() / 2)]
    diameter_px = scale * float(np.sqrt(4 * median / np.pi))
    middle_px, largest_px = header.statistics.object_diameter_px[1:]
    if diameter_px <= LARGER_BY * largest_px:
        return 1.0
    return diameter_px / float(np.sqrt(middle_px * largest_px))


def scaled_shape(shape: Sequence[int], scale: float) -> tuple[int, int]:
    """Height and width at a scale, at least one pixel each."""
    rows, columns = (max(1, round(length * scale)) for length in shape)
    return rows, columns


def rescale_maps(maps: Maps, shape: tuple[int, ...]) -> Maps:
    """Maps on the grid of the image; themselves where they are on it already."""
    if maps.probabilities.shape[1:] == tuple(shape):
        return maps
    rows, columns = shape

    def resize(stack: np.ndarray | None) -> np.ndarray | None:
        if stack is None:
            return None
        flat = stack.reshape(-1, *stack.shape[-2:])
        return rescale_image(flat, (rows, columns)).reshape(*stack.shape[:-2], rows, columns)

    probabilities = resize(maps.probabilities)
    assert probabilities is not None
    return Maps(probabilities, resize(maps.boundary), resize(maps.distance), resize(maps.flows))


def _max_pixels(model: Model, shape: tuple[int, ...], max_memory_bytes: int | None) -> int:
    if max_memory_bytes is None:
        return DEFAULT_MAX_PIXELS
    channels, height, width = shape
    return min(
        DEFAULT_MAX_PIXELS,
        window_pixels(
            max_memory_bytes,
            shape=(channels, height, width),
            heads=model.header.heads,
            bytes_per_pixel=model.engines[0].bytes_per_pixel,
        ),
    )
