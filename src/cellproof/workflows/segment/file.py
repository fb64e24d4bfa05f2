"""One file, all its planes, becomes result files and the record that closes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from ...checks import InputError
from ...data.normalization import with_condition
from ...io import read_image
from ...refine import steps_of
from ...types import Image, ModelHeader, Promise, Step
from ..predict import EngineChoice, Model, Predictor, Timings
from .channels import with_model_channels
from .plane import Tta, segment_plane
from .record import ChannelFacts, EngineFacts, Parameters, PlaneFacts, Record, Seconds, Source, write_record
from .trust import promised
from .write import Plane, class_fractions, join_quality, most_doubtful, write_results


@dataclass(frozen=True)
class SegmentOptions:
    """How files are segmented.

    Attributes:
        choice: What the machine should do.
        tta: See `segment_plane`.
        channels: Channels to read, by number counted from 0 or by name; None where their names shall decide.
        axes: One letter for each stored axis, in place of what the files say.
        diameter_px: Usual diameter of the objects, "auto" to measure it; None for the model's own scale.
        min_area_px: Smaller objects or connected pieces are left out; 0 for none.
        condition: What the network is told of the images; "" for unknown.
        max_memory_bytes: For the whole process; None for windows of a size that is quick.
        steps: Refine steps on class maps, in place of those that the model's file names; None for these.
        promise: What accepted images shall keep; None for what the model's file says.
    """

    choice: EngineChoice = field(default_factory=EngineChoice)
    tta: Tta = "auto"
    channels: tuple[int | str, ...] | None = None
    axes: str | None = None
    diameter_px: float | Literal["auto"] | None = None
    min_area_px: int = 0
    condition: str = ""
    max_memory_bytes: int | None = None
    steps: tuple[Step, ...] | None = None
    promise: Promise | None = None


@dataclass(frozen=True)
class FileTask:
    """One input on its way.

    Attributes:
        path: As the user gave it.
        name: What the names of its results begin with.
        source: Its identity.
        parameters: What is asked for, for the record.
    """

    path: Path
    name: str
    source: Source
    parameters: Parameters


def check_options(options: SegmentOptions, header: ModelHeader) -> None:
    """Refuse before anything is written what no input can have with this model.

    Raises:
        UsageError: A diameter for a model that knows no size of objects, or one out of range.
        InputError: A condition that the model does not know; no such refine step or option, or one that the
            model's classes do not allow; or a promise that the model cannot keep.
    """
    steps_of(header, options.steps)
    promised(header, options.promise)
    with_condition(np.zeros((1, 1, 1), np.float32), header.conditions, options.condition)
    if options.diameter_px is not None:
        Predictor.scale_for(options.diameter_px, header)


def read_input(task: FileTask, options: SegmentOptions, header: ModelHeader, say: Callable[[str], None]) -> Image:
    """Read an input with the channels that the model is given.

    Args:
        task: The input.
        options: How.
        header: Of the model.
        say: Called with each guess that was made.

    Raises:
        InputError: It cannot be read.
    """
    image = read_image(task.path, channels=options.channels, axes=options.axes, position=task.source.position)
    image = with_model_channels(image, header, asked=options.channels is not None)
    for note in image.notes:
        say(f"{task.path}: {note}")
    return image


def segment_file(
    task: FileTask,
    image: Image,
    model: Model,
    out: Path,
    *,
    options: SegmentOptions,
    read_s: float,
    say: Callable[[str], None],
    progress: Callable[[Path, float], None],
) -> Callable[[], Record]:
    """Segment one input.

    Args:
        task: The input.
        image: What was read of it.
        model: From `load_model`.
        out: Folder of results, prepared by `open_state`.
        options: How.
        read_s: Seconds that reading took.
        say: Called with what a person must know of how the image is cut.
        progress: Called with the fraction that is done.

    Returns:
        What writes the results, their record last, in any thread; it raises `InputError` where it cannot. It holds the
        image and its maps but no probabilities.

    Raises:
        InputError: The input cannot be used.
    """
    model = model.with_steps(options.steps)
    model = replace(model, header=promised(model.header, options.promise))
    started = time.perf_counter()
    cut = Predictor.of_model(model).note(
        image.pixels.shape[2:], channels=image.pixels.shape[1], max_memory_bytes=options.max_memory_bytes
    )
    if cut:
        image = replace(image, notes=(*image.notes, cut))
        say(f"{task.path}: {cut}")
    timings = Timings()
    planes = _segment_planes(
        model, image, options=options, timings=timings, progress=lambda share: progress(task.path, share)
    )
    measured = time.perf_counter() - started - timings.network_s - timings.instances_s

    def write() -> Record:
        began = time.perf_counter()
        outputs = write_results(out, task.name, image=image, planes=planes, header=model.header)
        seconds = Seconds(
            read=read_s,
            network=timings.network_s,
            instances=timings.instances_s,
            measure=measured,
            write=time.perf_counter() - began,
        )
        record = _record(model, task, image, planes, outputs=outputs, seconds=seconds)
        write_record(out, record)
        return record

    return write


def engine_facts(model: Model) -> EngineFacts:
    """What runs a model, and why that."""
    engine = model.engines[0]
    return EngineFacts(engine.name, engine.precision, engine.device, engine.reason)


def _segment_planes(
    model: Model, image: Image, *, options: SegmentOptions, timings: Timings, progress: Callable[[float], None]
) -> list[Plane]:
    planes = []
    for number, pixels in enumerate(image.pixels):

        def in_image(done: int, runs: int, number: int = number) -> None:
            progress((number + done / runs) / len(image.pixels))

        try:
            result = segment_plane(
                model,
                pixels,
                tta=options.tta,
                diameter_px=options.diameter_px,
                min_area_px=options.min_area_px,
                condition=options.condition,
                pixel_size_um=image.spacing.pixel_side_um,
                max_memory_bytes=options.max_memory_bytes,
                timings=timings,
                progress=in_image,
            )
        except InputError as error:
            where = f"{image.source}, plane {number}" if image.plane_axes else image.source
            raise error.within(where) from error
        planes.append(Plane.of(result))
    return planes


def _record(
    model: Model,
    task: FileTask,
    image: Image,
    planes: Sequence[Plane],
    *,
    outputs: Mapping[str, int],
    seconds: Seconds,
) -> Record:
    quality = join_quality([plane.quality for plane in planes])
    notes = image.notes
    if len(planes) > 1:
        axes = ", ".join(f"{axis} {length}" for axis, length in zip(image.plane_axes, image.plane_shape, strict=True))
        shown = most_doubtful([plane.quality for plane in planes])
        notes = (*notes, f"{len(planes)} planes ({axes}); the images show plane {shown}, the most doubtful")
    return Record(
        name=task.name,
        source=task.source,
        parameters=task.parameters,
        engine=engine_facts(model),
        outputs=outputs,
        height=image.pixels.shape[2],
        width=image.pixels.shape[3],
        planes=len(planes),
        count=quality.count,
        mean_confidence=_known(quality.mean_confidence),
        expected_dice=_known(quality.expected_dice),
        verdict=quality.verdict,
        why=quality.why,
        pixel_size_um=image.pixel_size_um,
        notes=notes,
        seconds=seconds,
        class_fractions=class_fractions(planes, model.header),
        scale=min(plane.scale for plane in planes),
        expected_f1=_known(quality.expected_f1),
        expected_count=_known(quality.expected_count),
        expected_count_sd=_known(quality.expected_count_sd),
        plane_facts=tuple(_plane_facts(plane, place, image) for place, plane in enumerate(planes)),
        channel_facts=tuple(_channel_facts(image.pixels[:, channel]) for channel in range(image.pixels.shape[1])),
        views=max(plane.views for plane in planes),
        expected_iou=dict(zip(model.header.classes, map(_known, quality.expected_iou), strict=False)),
    )


def _plane_facts(plane: Plane, place: int, image: Image) -> PlaneFacts:
    quality = plane.quality
    indices = np.unravel_index(place, image.plane_shape) if image.plane_axes else ()
    return PlaneFacts(
        place=", ".join(f"{axis} {index}" for axis, index in zip(image.plane_axes, indices, strict=True)),
        count=quality.count,
        mean_confidence=_known(quality.mean_confidence),
        expected_dice=_known(quality.expected_dice),
        expected_f1=_known(quality.expected_f1),
        expected_count=_known(quality.expected_count),
        expected_count_sd=_known(quality.expected_count_sd),
        verdict=quality.verdict,
        why=quality.why,
        views=plane.views,
    )


def _channel_facts(pixels: np.ndarray) -> ChannelFacts:
    # In float64, for sums of millions of float32 lose digits; plane by plane, for a stack in float64 may not fit.
    means = np.array([plane.mean(dtype=np.float64) for plane in pixels])
    variances = np.array([plane.var(dtype=np.float64) for plane in pixels])
    std = np.sqrt(variances.mean() + means.var())
    return ChannelFacts(float(means.mean()), float(pixels.min()), float(pixels.max()), float(std))


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
