"""Wiring 2: one plane becomes labels, classes, difficulty, a table and a verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .checks import InputError
from .data.normalisation import fit_channels, normalise
from .data.samples import rescale_image
from .difficulty.confidence import confidence, difficulty_from_confidence
from .difficulty.drift import drift_notes
from .difficulty.quality import assess
from .inference.activate import Maps
from .inference.budget import window_pixels
from .inference.engine import Device, Engine, EngineName, Precision, choose_engines
from .inference.predict import DEFAULT_MAX_PIXELS, predict
from .instances.components import label_components
from .instances.decode import decode, object_classes
from .instances.measure import measure
from .io import model_hash, read_header, read_model
from .types import ModelHeader, Segmentation

if TYPE_CHECKING:
    from torch import nn


LOOK_SCALE = 0.25
LOOKED_AT_PX = 2048
LARGER_BY = 1.3
"""Objects up to this much above the 95th percentile of training are left at full scale."""


@dataclass(frozen=True)
class EngineChoice:
    """What the user asked of the machine."""

    engine: EngineName = "auto"
    precision: Precision = "auto"
    device: Device = "auto"
    threads: int | None = None


@dataclass(frozen=True)
class Model:
    """A model file, ready to run.

    Attributes:
        header: All that the file says.
        hash: SHA-256 of the file.
        engines: One a member.
        path: Of the file.
    """

    header: ModelHeader
    hash: str
    engines: tuple[Engine, ...]
    path: Path


@dataclass
class Timings:
    """Seconds spent in each part, added up over planes."""

    network_s: float = 0.0
    instances_s: float = 0.0
    rest_s: float = 0.0
    pixels: int = 0


def model_names() -> list[str]:
    """Models that come with the package."""
    folder = files("cellproof") / "weights"
    if not folder.is_dir():
        return []
    return sorted(item.name.removesuffix(".safetensors") for item in folder.iterdir() if item.name.endswith(".safetensors"))


def find_model(name_or_file: str | Path) -> Path:
    """File of a model of the package, or the file given.

    Raises:
        InputError: There is neither.
    """
    if str(name_or_file) in model_names():
        return Path(str(files("cellproof") / "weights" / f"{name_or_file}.safetensors"))
    path = Path(name_or_file)
    if path.is_dir() and (path / "model.safetensors").is_file():
        return path / "model.safetensors"
    if not path.is_file():
        raise InputError(
            f"no model {str(name_or_file)!r}: neither a file nor one of the package's ({', '.join(model_names()) or 'none'})"
        )
    return path


def load_model(name_or_file: str | Path, choice: EngineChoice | None = None) -> Model:
    """A model and the engines that run it.

    Args:
        name_or_file: A shipped model's name, a ``.safetensors`` file or the folder of a training run.
        choice: What the machine should do; None for the fastest there is.

    Raises:
        InputError: No such model, a file that is none of ours, or a machine that cannot do what was asked.
    """
    path = find_model(name_or_file)
    header, digest = read_header(path), model_hash(path)
    wanted = choice or EngineChoice()
    engines = choose_engines(
        lambda: build_members(path),
        example_shape=(header.in_channels, 16 * header.stride_px, 16 * header.stride_px),
        engine=wanted.engine,
        precision=wanted.precision,
        device=wanted.device,
        threads=wanted.threads,
        cache_key=digest,
    )
    return Model(header, digest, engines, path)


def build_members(path: Path) -> list[nn.Module]:
    """The networks of a model file, in evaluation mode.

    Raises:
        InputError: Weights and architecture do not fit.
    """
    import torch

    header, tensors = read_model(path)
    members = []
    for number in range(header.members):
        prefix = f"member{number}."
        state = {
            name.removeprefix(prefix): torch.from_numpy(tensor)
            for name, tensor in tensors.items()
            if name.startswith(prefix)
        }
        module = _build(path, header, {name: tuple(tensor.shape) for name, tensor in state.items()})
        module.load_state_dict(state)
        members.append(module.eval())
    return members


def _build(path: Path, header: ModelHeader, shapes: Mapping[str, tuple[int, ...]]) -> nn.Module:
    """The architecture that a file names, after its weights were found to fit it.

    The names and numbers come from a file that somebody may have been sent: only architectures of the package
    are built, and only after one without memory had weights of the same shapes.
    """
    import torch

    from .models import load, names

    if header.architecture not in names():
        raise InputError(
            f"{path}: the architecture {header.architecture!r} is none of the package's ({', '.join(names())}), "
            "and code that a model file names is never run; update CellProof or train the model anew"
        )
    channels = {"in_channels": header.in_channels, "out_channels": header.heads.channels}
    try:
        with torch.device("meta"):
            skeleton = load(header.architecture, **channels, **header.options)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{path}: {header.architecture} cannot be built as the file says ({reason}); train the model anew"
        ) from error
    wanted = {name: tuple(tensor.shape) for name, tensor in skeleton.state_dict().items()}
    for name in sorted(wanted.keys() | shapes.keys()):
        if wanted.get(name) != shapes.get(name):
            raise InputError(
                f"{path}: the weights do not fit {header.architecture}: {name} has shape {shapes.get(name, 'none')}, "
                f"wanted {wanted.get(name, 'none')}; copy the file again or train the model anew"
            )
    if header.stride_px != skeleton.stride:
        raise InputError(
            f"{path}: stride_px is {header.stride_px}, {header.architecture} has {skeleton.stride}; "
            "train the model anew"
        )
    return load(header.architecture, **channels, **header.options)


def segment_plane(
    model: Model,
    pixels: np.ndarray,
    *,
    tta: bool = False,
    pixel_size_um: float | None = None,
    max_memory_bytes: int | None = None,
    timings: Timings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Segmentation:
    """Segment one plane.

    Args:
        model: From `load_model`.
        pixels: (C, H, W), any real dtype, raw intensities.
        tta: Whether to average over flips and quarter turns, at eight times the cost.
        pixel_size_um: Adds areas in µm² to the table.
        max_memory_bytes: For the whole process; None for windows of a size that is quick.
        timings: Filled in where given.
        progress: Called with (runs done, runs in all) of the network.

    Raises:
        InputError: NaN, no pixels, or channels that the model does not read.
    """
    timings = timings if timings is not None else Timings()
    started = time.perf_counter()
    header = model.header
    image = fit_channels(normalise(pixels, header.normalisation), header.in_channels)
    scale = working_scale(model, image)
    scaled = rescale_image(image, scaled_shape(image.shape[1:], scale)) if scale != 1.0 else image
    ready = time.perf_counter()
    maps = predict(
        model.engines,
        scaled,
        heads=header.heads,
        stride_px=header.stride_px,
        halo_px=header.receptive_field_px,
        temperature=header.temperature,
        tta=tta,
        max_pixels=_max_pixels(model, scaled.shape, max_memory_bytes),
        progress=progress,
    )
    predicted = time.perf_counter()
    maps = rescale_maps(maps, image.shape[1:])
    labels, classes = label_objects(maps, header)
    separated = time.perf_counter()
    result = _describe(model, pixels, image, maps, labels, classes, scale=scale, pixel_size_um=pixel_size_um)
    timings.network_s += predicted - ready
    timings.instances_s += separated - predicted
    timings.rest_s += time.perf_counter() - separated + ready - started
    timings.pixels += labels.size
    return result


def working_scale(model: Model, image: np.ndarray) -> float:
    """Scale at which the network reads a picture: the model's own, or what its `fit_…` options ask for.

    Args:
        model: Its header names the scale.
        image: (C, H, W) normalised.
    """
    header = model.header
    side = min(image.shape[1:])
    if header.fit_side_px and side / 4 <= header.fit_side_px <= 4 * side:
        return header.fit_side_px / side
    if not header.fit_objects or not header.statistics.object_diameter_px:
        return header.scale
    return header.scale * _shrinking(model, image)


def _shrinking(model: Model, image: np.ndarray) -> float:
    """Factor that brings much larger objects to the size that the network knows; 1 where they are not larger.

    The size is measured at a quarter of the scale in the middle of the picture: there a network sees large
    objects whole that it would break to pieces at full scale, and looking takes a sixteenth of the time.
    """
    header = model.header
    known_px, largest_px = header.statistics.object_diameter_px[1:]
    middle = image[:, *(_middle(length) for length in image.shape[1:])]
    scale = header.scale * LOOK_SCALE
    maps = predict(
        model.engines,
        rescale_image(middle, scaled_shape(middle.shape[1:], scale)),
        heads=header.heads,
        stride_px=header.stride_px,
        halo_px=header.receptive_field_px,
        temperature=header.temperature,
    )
    areas = np.bincount(label_objects(maps, header)[0].ravel())[1:].astype(float)
    if not areas.size:
        return 1.0
    # Weighted by area, so that specks of noise do not outvote the objects.
    order = np.argsort(areas)
    median = areas[order][np.searchsorted(np.cumsum(areas[order]), areas.sum() / 2)]
    diameter_px = np.sqrt(4 * median / np.pi) / LOOK_SCALE
    if diameter_px <= LARGER_BY * largest_px:
        return 1.0
    return float(np.clip(np.sqrt(known_px * largest_px) / diameter_px, 0.1, 1.0))


def _middle(length: int) -> slice:
    start = max(0, (length - LOOKED_AT_PX) // 2)
    return slice(start, start + LOOKED_AT_PX)


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


def label_objects(maps: Maps, header: ModelHeader) -> tuple[np.ndarray, np.ndarray]:
    """Labels (H, W) int32 and class map (H, W) uint8.

    With instance heads an object has one class, and the class map shows it in all its pixels. Without, each
    pixel takes its likeliest class, and the labels number the connected regions of every class but the first.
    """
    if not header.heads.has_instances:
        classes = maps.probabilities.argmax(axis=0).astype(np.uint8)
        return label_components(classes), classes
    labels = decode(
        maps.probabilities, boundary=maps.boundary, distance=maps.distance, flows=maps.flows, options=header.instance
    )
    of_label = np.concatenate([[0], object_classes(labels, maps.probabilities)]).astype(np.uint8)
    return labels, of_label[labels]


def _describe(
    model: Model,
    pixels: np.ndarray,
    image: np.ndarray,
    maps: Maps,
    labels: np.ndarray,
    classes: np.ndarray,
    *,
    scale: float,
    pixel_size_um: float | None,
) -> Segmentation:
    """Difficulty, table and verdict of a labelled plane."""
    header = model.header
    sure = confidence(maps.probabilities)
    first = np.zeros(int(labels.max(initial=0)) + 1, np.uint8)
    first[labels.ravel()] = classes.ravel()
    objects: Mapping[str, np.ndarray] = measure(
        labels, intensity=pixels, classes=first[1:], confidence=sure, pixel_size_um=pixel_size_um
    )
    diameters = objects["equivalent_diameter_area"] * scale
    drift = drift_notes(
        image.mean(axis=(1, 2)).tolist(),
        header.statistics,
        diameters_px=diameters if header.heads.has_instances else None,
    )
    return Segmentation(
        labels=labels,
        classes=classes,
        probabilities=maps.probabilities,
        difficulty=difficulty_from_confidence(sure, classes=header.heads.classes),
        objects=objects,
        quality=assess(maps.probabilities, labels, drift=drift),
    )


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
