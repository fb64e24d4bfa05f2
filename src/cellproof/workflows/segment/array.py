"""`cellproof.segment`: one image, in memory or in a file, to everything that is found in it."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ...checks import InputError, UsageError
from ...io import read_image
from ...recipe import parse_step
from ...types import Image, ModelHeader, Promise, Step
from ..predict import EngineChoice, Predictor, find_model
from ..predict import Model as LoadedModel
from ..predict import load_model as load
from .channels import with_model_channels
from .plane import segment_plane
from .result import Segmentation, join_planes
from .trust import promised

if TYPE_CHECKING:
    from ...inference.engine import Device, EngineName, Precision

_log = logging.getLogger(__name__)

MOST_CHANNELS = 4
"""An axis longer than this is not taken for channels without being told."""

_COLORS = 3

LEAST_MEMORY_BYTES = 1_000_000
"""Less than this is a number without its unit."""

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}

Diameter = float | Literal["auto"] | None


def segment(
    image: np.ndarray | str | Path,
    model: str | Path | LoadedModel = "nuclei",
    *,
    axes: str | None = None,
    channels: int | str | Sequence[int | str] | None = None,
    diameter_px: Diameter = None,
    tta: bool | Literal["auto"] = "auto",
    steps: Sequence[str | Step] | None = (),
    condition: str = "",
    promise: float | tuple[float, float] | None = None,
    device: Device = "auto",
    engine: EngineName = "auto",
    precision: Precision = "auto",
    threads: int | None = None,
    max_memory: str | int | None = None,
) -> Segmentation:
    """Segment one image: labels, classes, difficulty, measurements and a verdict.

    Args:
        image: Raw intensities of any real type, (H, W), (H, W, C) or (C, H, W) with at most four channels, or of
            any shape that `axes` names; or the path of an image file. (H, W, 3) is a color image, several channels
            in front of rows and columns are not: choose one with `channels`, or all of them for a color image. The
            alpha of (H, W, 4) is left out, and logged, where the model reads three channels.
        model: Name of a shipped model, a model file, the folder of a training run, or what `load_model` returned.
            The last two models that were named stay loaded.
        axes: One letter for each axis: ``Y`` rows, ``X`` columns, ``C`` channels, any other letter planes, each of
            which is segmented by itself. None leaves it to the shape or the file.
        channels: Channels to read, one or several, counted from 0 or by name where the file names them, in the order
            the model expects; None leaves it to their names.
        diameter_px: Usual diameter of the objects in pixels; the image is then predicted at the scale that brings
            them to the median diameter of the training objects. "auto" measures it on a first prediction. None
            uses the scale of the model.
        tta: Whether to average over the eight flips and 90° rotations, at eight times the cost; "auto" is one view, and
            the mean of four where what that one finds is in doubt or the image is of a kind that gains by them.
        steps: Refine steps to apply to the class map, in this order, as ``"reconnect:threshold=0.3"`` or `Step`;
            empty for those that the model's file names, None for none at all.
        condition: What the model is told of the image, one of its header's ``conditions``; "" for unknown.
        promise: Largest fraction of accepted images whose F1 at IoU 0.5 may lie below 0.7, or below the second of two
            numbers; None for what the model's file says.
        device: "auto", "cpu", "cuda" or "mps".
        engine: "auto", "torch" or "openvino"; auto takes the fastest.
        precision: Arithmetic of the network: "auto", "f32", "bf16" or "int8".
        threads: Processor threads; None for all cores.
        max_memory: For the whole process, in bytes or as ``"4GB"``; None for windows of a size that is quick.

    Returns:
        Labels and maps of the image's shape without its channels; all background where nothing was found.

    Raises:
        InputError: NaN, no pixels, several images, ambiguous axes, channels that the model does not read, a file
            that cannot be read, or no such model.

    Example:
        >>> import numpy as np
        >>> import cellproof
        >>> rows, columns = np.mgrid[:96, :96]
        >>> image = np.exp(-((rows % 48 - 24) ** 2 + (columns % 48 - 24) ** 2) / 80)  # four bright spots
        >>> result = cellproof.segment(image, "nuclei", threads=1)
        >>> result.labels.shape, result.quality.count
        ((96, 96), 4)
        >>> stack = cellproof.segment(np.stack([image, image]), "nuclei", axes="ZYX", threads=1)
        >>> stack.labels.shape, stack.quality.count
        ((2, 96, 96), 8)
    """
    if tta not in (True, False, "auto"):
        raise UsageError(f"tta is {tta!r}; expected True, False or 'auto'", argument="tta")
    chosen = () if steps is None else tuple(map(parse_step, steps)) or None
    loaded = _loaded(model, EngineChoice(engine, precision, device, threads)).with_steps(chosen)
    loaded = replace(loaded, header=promised(loaded.header, _promise(promise)))
    if diameter_px is not None:
        Predictor.scale_for(diameter_px, loaded.header)
    allowed = memory_bytes(max_memory)
    if isinstance(channels, int | str):
        channels = (channels,)
    read, order = _read(image, axes=axes, channels=channels, header=loaded.header)
    planes = [
        segment_plane(
            loaded,
            pixels,
            tta=tta,
            diameter_px=diameter_px,
            condition=condition,
            pixel_size_um=read.spacing.pixel_side_um,
            max_memory_bytes=allowed,
        )
        for pixels in read.pixels
    ]
    return join_planes(planes, image=read, header=loaded.header, order=order)


def _promise(promise: float | tuple[float, float] | None) -> Promise | None:
    if promise is None:
        return None
    return Promise(*promise) if isinstance(promise, tuple) else Promise(promise)


def memory_bytes(memory: str | int | None) -> int | None:
    """Bytes of an amount such as ``"4GB"``, ``"500 MB"`` or ``2 * 10**9``; None for None and an empty text.

    Raises:
        UsageError: No amount, an unknown unit, or so little that a unit must be missing.

    Example:
        >>> memory_bytes("1.5GiB")
        1610612736
    """
    if memory is None or memory == "":
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(memory))
    unit = _UNITS.get(found[2].upper()) if found else None
    if found is None or unit is None:
        raise UsageError(
            f"max_memory is {memory!r}; expected a number and a unit, for example 4GB", argument="max_memory"
        )
    amount = int(float(found[1]) * unit)
    if amount < LEAST_MEMORY_BYTES:
        raise UsageError(
            f"max_memory {memory} means {amount} bytes, too little for any image; for gigabytes write {found[1]}GB",
            argument="max_memory",
        )
    return amount


def _loaded(model: str | Path | LoadedModel, choice: EngineChoice) -> LoadedModel:
    """The model itself where it is loaded, else from the two that were named last."""
    if not isinstance(model, LoadedModel):
        path = find_model(model)
        return _load(path, path.stat().st_mtime_ns, choice)
    if choice != EngineChoice():
        raise UsageError(
            "the model is loaded already, with an engine of its own; give device, engine, precision and threads to "
            "load_model instead",
            argument=("device", "engine", "precision", "threads"),
        )
    return model


@lru_cache(maxsize=2)
def _load(path: Path, modified_ns: int, choice: EngineChoice) -> LoadedModel:
    return load(path, choice)


def _read(
    image: object, *, axes: str | None, channels: Sequence[int | str] | None, header: ModelHeader
) -> tuple[Image, str]:
    """The image with its axes in order, and the order of its axes in the result (planes, Y and X)."""
    if isinstance(image, str | Path):
        read = read_image(image, channels=channels, axes=axes)
        read = with_model_channels(read, header, asked=channels is not None)
        return read, f"{read.plane_axes}YX"
    if isinstance(image, list | tuple):
        raise InputError(
            f"image is a {type(image).__name__} of {len(image)}; give one image, or call segment for each: several "
            "would be taken for the channels or planes of one",
            argument="image",
        )
    array = np.asarray(image)
    letters = _axes_of(array.shape) if axes is None else _named_axes(array.shape, axes)
    read = _arranged(array, letters)
    if channels is not None:
        read = _with_channels(read, channels)
    elif letters.endswith("C") and read.pixels.shape[1] == 4 and header.in_channels == 3:
        _log.warning("the fourth of four channels is taken for alpha and left out")
        read = _with_channels(read, range(3))
    # Red, green and blue lie side by side in every library; an axis of channels before Y and X is a microscope's.
    read = replace(read, color=letters.endswith("C") and read.pixels.shape[1] == _COLORS)
    return with_model_channels(read, header, asked=channels is not None), letters.replace("C", "")


def _axes_of(shape: tuple[int, ...]) -> str:
    """Axes of an array whose shape leaves no doubt.

    Raises:
        InputError: It leaves one.
    """
    if len(shape) == 2:
        return "YX"
    fitting = [letters for letters in ("CYX", "YXC") if len(shape) == 3 and shape[letters.index("C")] <= MOST_CHANNELS]
    if len(fitting) == 1:
        return fitting[0]
    raise InputError(
        f"cannot tell the axes of an image of shape {shape}; name them, for example axes='CYX' or 'YXC' for channels, "
        "'ZYX' for a stack, whose planes are segmented one by one",
        argument="axes",
    )


def _named_axes(shape: tuple[int, ...], axes: str) -> str:
    """The letters in upper case.

    Raises:
        InputError: They do not name each axis of the shape once, Y and X among them.
    """
    letters = axes.upper().replace("S", "C")
    if len(letters) != len(shape) or len(set(letters)) < len(letters) or not set("YX") <= set(letters):
        raise InputError(
            f"axes {axes!r} do not fit an image of shape {shape}; expected one letter for each of its {len(shape)} "
            "axes, Y (rows) and X (columns) among them, C for channels, any other for planes",
            argument="axes",
        )
    return letters


def _arranged(array: np.ndarray, letters: str) -> Image:
    """(P, C, H, W) of an array with named axes."""
    planes = "".join(letter for letter in letters if letter not in "CYX")
    stored = array if "C" in letters else array[None]
    named = letters if "C" in letters else f"C{letters}"
    ordered = np.transpose(stored, [named.index(letter) for letter in f"{planes}CYX"])
    count, shape = len(planes), ordered.shape
    return Image(
        pixels=ordered.reshape(-1, *shape[count:]) if count else ordered[None],
        plane_axes=planes,
        plane_shape=shape[:count],
        channel_names=tuple(f"channel {number}" for number in range(shape[count])),
    )


def _with_channels(image: Image, channels: Sequence[int | str]) -> Image:
    """The image with some of its channels.

    Raises:
        InputError: One of them is not there.
    """
    there = image.pixels.shape[1]
    wrong = [channel for channel in channels if not isinstance(channel, int | np.integer) or not 0 <= channel < there]
    if wrong or not len(channels):
        raise InputError(
            f"channels {list(channels)} asked for; the image has {there}, counted from 0: choose among 0 to "
            f"{there - 1} (an array has no names of channels)",
            argument="channels",
        )
    numbers = [int(channel) for channel in channels]
    names = tuple(image.channel_names[number] for number in numbers)
    return replace(image, pixels=image.pixels[:, numbers], channel_names=names)
