"""One file, all its planes, becomes result files and the record that closes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ...checks import InputError
from ...io import read_image
from ...types import Image
from ..predict import EngineChoice, Model, Predictor, Timings
from .plane import segment_plane
from .record import EngineFacts, Parameters, Record, Seconds, Source, write_record
from .write import Plane, class_fractions, join_quality, most_doubtful, write_results


@dataclass(frozen=True)
class SegmentOptions:
    """How files are segmented.

    Attributes:
        choice: What the machine should do.
        tta: Whether to average over flips and quarter turns, at eight times the cost; None for small pictures only.
        channels: Channels to read, counted from 0; None for all.
        axes: One letter for each stored axis, in place of what the files say.
        max_memory_bytes: For the whole process; None for windows of a size that is quick.
    """

    choice: EngineChoice = field(default_factory=EngineChoice)
    tta: bool | None = None
    channels: tuple[int, ...] | None = None
    axes: str | None = None
    max_memory_bytes: int | None = None


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


def segment_file(
    task: FileTask,
    model: Model,
    out: Path,
    *,
    options: SegmentOptions,
    say: Callable[[str], None],
    progress: Callable[[Path, float], None],
) -> Record:
    """Read, segment and write one input; its record comes last.

    Args:
        task: The input.
        model: From `load_model`.
        out: Folder of results, prepared by `results.open_state`.
        options: How.
        say: Told what was guessed while reading.
        progress: Told the share that is done.

    Raises:
        InputError: The input cannot be used or its results cannot be written.
    """
    started = time.perf_counter()
    image = read_image(task.path, channels=options.channels, axes=options.axes)
    cut = Predictor.of_model(model).note(
        image.pixels.shape[2:], channels=image.pixels.shape[1], max_memory_bytes=options.max_memory_bytes
    )
    image = replace(image, notes=(*image.notes, cut)) if cut else image
    for note in image.notes:
        say(f"{task.path}: {note}")
    read = time.perf_counter()
    timings = Timings()
    planes = _segment_planes(
        model, image, options=options, timings=timings, progress=lambda share: progress(task.path, share)
    )
    segmented = time.perf_counter()
    outputs = write_results(out, task.name, image=image, planes=planes, header=model.header)
    seconds = Seconds(
        read=read - started,
        network=timings.network_s,
        instances=timings.instances_s,
        measure=segmented - read - timings.network_s - timings.instances_s,
        write=time.perf_counter() - segmented,
    )
    record = _record(model, task, image, planes, outputs=outputs, seconds=seconds)
    write_record(out, record)
    return record


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
                pixel_size_um=image.pixel_size_um,
                max_memory_bytes=options.max_memory_bytes,
                timings=timings,
                progress=in_image,
            )
        except InputError as error:
            where = f"{image.source}, plane {number}" if image.plane_axes else image.source
            raise InputError(f"{where}: {error}") from error
        planes.append(Plane(result.labels, result.classes, result.difficulty, result.objects, result.quality))
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
        notes = (*notes, f"{len(planes)} planes ({axes}); the pictures show plane {shown}, the most doubtful")
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
        mean_confidence=None if np.isnan(quality.mean_confidence) else quality.mean_confidence,
        expected_dice=None if np.isnan(quality.expected_dice) else quality.expected_dice,
        verdict=quality.verdict,
        why=quality.why,
        pixel_size_um=image.pixel_size_um,
        notes=notes,
        seconds=seconds,
        class_fractions=class_fractions(planes, model.header),
    )
