"""`cellproof.segment`, a picture in memory to everything that is found in it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from ...checks import InputError
from ...recipe import parse_step
from ...types import Segmentation, Step
from ..predict import EngineChoice, Model, find_model, load_model
from .plane import segment_plane

_log = logging.getLogger(__name__)

_MOST_CHANNELS = 4
"""An axis longer than this is not taken for channels without being told."""


def segment(
    image: np.ndarray,
    model: str | Path | Model = "nuclei",
    *,
    tta: bool | None = None,
    channel_axis: int | None = None,
    pixel_size_um: float | None = None,
    max_memory_bytes: int | None = None,
    steps: Sequence[str | Step] | None = None,
    choice: EngineChoice | None = None,
) -> Segmentation:
    """Segment a picture.

    Args:
        image: (H, W), (H, W, C) or (C, H, W) with at most four channels; raw intensities of any real type. The alpha
            of (H, W, 4) is left out, and logged, where the model reads three channels.
        model: A shipped model's name, a model file, the folder of a training run, or what `load_model` gave. The
            last two models that were named stay loaded.
        tta: Whether to average over flips and quarter turns, at eight times the cost; None for small pictures only.
        channel_axis: Axis of the channels, where the shape leaves a doubt.
        pixel_size_um: Edge of a pixel; adds areas in µm² to the objects.
        max_memory_bytes: For the whole process; None for windows of a size that is quick.
        steps: Repairs of the class map, as ``"reconnect:threshold=0.3"`` or `Step`; None for those that the model's
            file names.
        choice: What the machine should do, None for the fastest there is; not with a model that is loaded already.

    Raises:
        InputError: NaN, no pixels, axes that leave a doubt, channels that the model does not read, or no such model.
    """
    if isinstance(model, Model):
        if choice is not None:
            raise InputError("choice is given with a model that is loaded already; give it to load_model instead")
        loaded = model
    else:
        path = find_model(model)
        loaded = _load(path, path.stat().st_mtime_ns, choice)
    loaded = loaded.with_steps(None if steps is None else tuple(map(parse_step, steps)))
    pixels = _without_alpha(channels_first(np.asarray(image), channel_axis), image, loaded)
    return segment_plane(loaded, pixels, tta=tta, pixel_size_um=pixel_size_um, max_memory_bytes=max_memory_bytes)


@lru_cache(maxsize=2)
def _load(path: Path, modified_ns: int, choice: EngineChoice | None) -> Model:
    return load_model(path, choice)


def channels_first(image: np.ndarray, channel_axis: int | None = None) -> np.ndarray:
    """(C, H, W) of a picture.

    Raises:
        InputError: Where it leaves a doubt what the axes are, or has too few or many.
    """
    if image.ndim not in (2, 3) or (channel_axis is not None and not -image.ndim <= channel_axis < image.ndim == 3):
        raise InputError(
            f"image has shape {image.shape} and channel_axis is {channel_axis}; wanted (H, W), or (H, W, C) or "
            "(C, H, W) with channel_axis -1 or 0; segment the planes of a stack one by one"
        )
    if image.ndim == 2:
        return image[None]
    if channel_axis is None:
        fitting = [axis for axis in (0, -1) if image.shape[axis] <= _MOST_CHANNELS]
        if len(fitting) != 1:
            raise InputError(
                f"cannot tell the channels of an image of shape {image.shape}; say channel_axis=0 for (C, H, W) or -1 "
                "for (H, W, C), or segment the planes of a stack one by one"
            )
        channel_axis = fitting[0]
    return np.moveaxis(image, channel_axis, 0)


def _without_alpha(pixels: np.ndarray, image: np.ndarray, model: Model) -> np.ndarray:
    is_rgba = np.ndim(image) == 3 and np.shape(image)[-1] == len(pixels) == 4
    if not is_rgba or model.header.in_channels != 3:
        return pixels
    _log.warning("the fourth of four channels is taken for alpha and left out")
    return pixels[:3]
