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
from .data.normalization import fit_channels, normalize
from .data.samples import rescale_image
from .difficulty.confidence import confidence, difficulty_from_confidence
from .difficulty.drift import drift_notes
from .difficulty.quality import assess, expected_dice
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


LARGER_BY = 1.3
"""Objects up to this much above the 95th percentile of training are left at the model's scale."""

VIEWED_PIXELS = 400_000
"""Pictures up to this size are looked at in all eight orientations where nobody says otherwise: that takes about two
seconds on two cores at the most, and small pictures of small objects gain most by it."""

MOST_LOOKS = 3
"""Large objects may break to pieces at first sight, so that their size is known only after a second."""


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
    names = [item.name for item in folder.iterdir()]
    return sorted(name.removesuffix(".safetensors") for name in names if name.endswith(".safetensors"))


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
            f"no model {str(name_or_file)!r}: neither a file nor one of the package's "
            f"({', '.join(model_names()) or 'none'})"
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
    tta: bool | None = None,
    pixel_size_um: float | None = None,
    max_memory_bytes: int | None = None,
    timings: Timings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Segmentation:
    """Segment one plane.

    Args:
        model: From `load_model`.
        pixels: (C, H, W), any real dtype, raw intensities.
        tta: Whether to average over flips and quarter turns, at eight times the cost; None for pictures of up to
            `VIEWED_PIXELS` on the network's grid.
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
    image = fit_channels(normalize(pixels, header.normalization), header.in_channels)
    timings.rest_s += time.perf_counter() - started
    run = _Run(model, image, tta=tta, max_memory_bytes=max_memory_bytes, timings=timings, progress=progress)
    view = run.look(picture_scale(header, image.shape[1:]))
    if header.fit_objects and header.statistics.object_diameter_px:
        view = _at_known_size(run, view)
    described = time.perf_counter()
    result = _describe(model, pixels, image, view, pixel_size_um=pixel_size_um)
    timings.rest_s += time.perf_counter() - described
    timings.pixels += result.labels.size
    return result


@dataclass(frozen=True)
class _View:
    """A picture as the model sees it at one scale; maps and labels are on the picture's own grid."""

    scale: float
    maps: Maps
    labels: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True)
class _Run:
    """What stays the same between looks at one picture."""

    model: Model
    image: np.ndarray
    tta: bool | None
    max_memory_bytes: int | None
    timings: Timings
    progress: Callable[[int, int], None] | None

    def look(self, scale: float) -> _View:
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
        return _View(scale, maps, labels, classes)


def _at_known_size(run: _Run, first: _View) -> _View:
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
    model: Model, pixels: np.ndarray, image: np.ndarray, view: _View, *, pixel_size_um: float | None
) -> Segmentation:
    """Difficulty, table and verdict of a labeled plane."""
    header, labels = model.header, view.labels
    sure = confidence(view.maps.probabilities)
    first = np.zeros(int(labels.max(initial=0)) + 1, np.uint8)
    first[labels.ravel()] = view.classes.ravel()
    objects: Mapping[str, np.ndarray] = measure(
        labels, intensity=pixels, classes=first[1:], confidence=sure, pixel_size_um=pixel_size_um
    )
    drift = drift_notes(
        image.mean(axis=(1, 2)).tolist(),
        header.statistics,
        diameters_px=objects["equivalent_diameter_area"] * view.scale if header.heads.has_instances else None,
    )
    return Segmentation(
        labels=labels,
        classes=view.classes,
        probabilities=view.maps.probabilities,
        difficulty=difficulty_from_confidence(sure, classes=header.heads.classes),
        objects=objects,
        quality=assess(view.maps.probabilities, labels, sure=sure, drift=drift),
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
