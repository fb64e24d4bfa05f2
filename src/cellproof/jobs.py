"""Wiring: many files become a folder of results that can be continued after any interruption."""

from __future__ import annotations

import logging
import os
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from .checks import InputError
from .io import find_images, model_hash, read_header, read_image, write_text
from .pipeline import EngineChoice, Model, Timings, find_model, load_model, segment_plane
from .results import (
    ENDINGS,
    STATE_FOLDER,
    EngineFacts,
    Parameters,
    Plane,
    Record,
    Seconds,
    Source,
    clear_leftovers,
    forget,
    identify,
    is_whole,
    join_quality,
    most_doubtful,
    open_state,
    read_records,
    write_record,
    write_results,
)
from .summaries import Failure, Run, write_summaries
from .types import Image, ModelHeader

try:
    import fcntl
except ImportError:  # Windows has no advisory locks of this kind
    fcntl = None  # type: ignore[assignment]

_log = logging.getLogger(__name__)

_COMPARED = ("model_hash", "tta", "channels", "axes", "engine", "precision", "device")


@dataclass(frozen=True)
class SegmentOptions:
    """How files are segmented.

    Attributes:
        choice: What the machine should do.
        tta: Whether to average over flips and quarter turns, at eight times the cost.
        channels: Channels to read, counted from 0; None for all.
        axes: One letter for each stored axis, in place of what the files say.
        max_memory_bytes: For the whole process; None for windows of a size that is quick.
    """

    choice: EngineChoice = EngineChoice()
    tta: bool = False
    channels: tuple[int, ...] | None = None
    axes: str | None = None
    max_memory_bytes: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one input.

    Attributes:
        path: The input as given.
        state: "done" now, "skipped" because it was complete, or "failed".
        record: Of the results; None when failed.
        reason: Why it failed, in one line.
    """

    path: Path
    state: Literal["done", "skipped", "failed"]
    record: Record | None = None
    reason: str = ""


@dataclass(frozen=True)
class Watcher:
    """Where a job tells how it goes; every call returns soon.

    Attributes:
        say: A sentence for the user.
        begin: The number of inputs, once it is known.
        progress: The input in work, and the share of it that is done.
        end: What became of one input.
    """

    say: Callable[[str], None] = lambda sentence: None
    begin: Callable[[int], None] = lambda inputs: None
    progress: Callable[[Path, float], None] = lambda path, share: None
    end: Callable[[Outcome], None] = lambda outcome: None


@dataclass(frozen=True)
class JobSummary:
    """What a job did.

    Attributes:
        out: Folder of the results.
        outcomes: One for each input, in their order; fewer after an interruption.
        run: What stands in ``run.json`` besides the inputs.
        interrupted: Whether Ctrl-C ended it early.
        problem: Why tables or report could not be written; empty if they were.
    """

    out: Path
    outcomes: tuple[Outcome, ...]
    run: Run
    interrupted: bool = False
    problem: str = ""

    def of(self, state: Literal["done", "skipped", "failed"]) -> list[Outcome]:
        """Outcomes of one kind."""
        return [outcome for outcome in self.outcomes if outcome.state == state]

    @property
    def verdicts(self) -> Mapping[str, int]:
        """Number of this job's images with each verdict."""
        found = [outcome.record.verdict for outcome in self.outcomes if outcome.record is not None]
        return {verdict: found.count(verdict) for verdict in ("accept", "review", "reject")}


@dataclass
class _Job:
    """A job in work."""

    out: Path
    options: SegmentOptions
    header: ModelHeader
    parameters: Parameters
    model_path: Path
    watcher: Watcher
    records: dict[str, Record]
    overwrite: bool
    model: Model | None = None
    run: Run = field(default_factory=Run)


def segment_files(
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    model: str | Path = "nuclei",
    options: SegmentOptions | None = None,
    overwrite: bool = False,
    watcher: Watcher | None = None,
) -> JobSummary:
    """Segment files into a folder; what is complete there already is skipped.

    Args:
        inputs: Files, folders and patterns.
        out: Folder of the results, made where it is missing.
        model: A shipped model's name, a model file or the folder of a training run.
        options: How.
        overwrite: Whether to do everything anew.
        watcher: Told how it goes.

    Returns:
        What became of each input. An input that cannot be used is one of the failed, and the others go on. Tables
        and report speak of this job's inputs and then of all others that are complete in the folder.

    Raises:
        InputError: Before anything is written: no input at all, no model, a folder that cannot be written, that
            another process is writing, or that holds results of another model or other parameters.
    """
    options, watcher, out = options or SegmentOptions(), watcher or Watcher(), Path(out)
    model_path = find_model(model)
    header = read_header(model_path)
    paths, missing = _expand(inputs, out, watcher)
    open_state(out)
    with _lock(out):
        clear_leftovers(out)
        job = _Job(
            out=out,
            options=options,
            header=header,
            parameters=_parameters(header, model_hash(model_path), options),
            model_path=model_path,
            watcher=watcher,
            records=read_records(out),
            overwrite=overwrite,
        )
        names = assign_names(paths, job.records)
        _check_parameters(job, {str(path.resolve()) for path in paths})
        for path, name in names.items():
            if name != _stem(path):
                watcher.say(f"{path}: its results are named {name}_…, as {_stem(path)} is taken by another input")
        return _run(job, names, missing)


def assign_names(paths: Sequence[Path], records: Mapping[str, Record]) -> dict[Path, str]:
    """What the names of each input's results begin with: its own name without ending.

    The first of several inputs with one name keeps it; others put their folder or their ending to it. An input
    that has results keeps their name, and takes none from inputs that still exist elsewhere.

    Args:
        paths: Inputs.
        records: What is finished, by name.
    """
    owners = {record.source.path: record.name for record in records.values()}
    given = {str(path.resolve()) for path in paths}
    taken = {
        record.name.casefold(): Path(record.source.path)
        for record in records.values()
        if record.source.path in given or Path(record.source.path).exists()
    }
    names: dict[Path, str] = {}
    for path in paths:
        name = owners.get(str(path.resolve())) or next(c for c in _candidates(path, taken) if c.casefold() not in taken)
        names[path] = name
        taken[name.casefold()] = path
    return names


def _candidates(path: Path, taken: Mapping[str, Path]) -> Iterator[str]:
    stem = _stem(path)
    yield stem
    there = taken.get(stem.casefold(), path)
    if there.resolve().parent == path.resolve().parent:
        yield f"{stem}_{path.suffix.lstrip('.').lower()}"
    else:
        yield f"{path.resolve().parent.name}_{stem}"
    number = 2
    while True:
        yield f"{stem}_{number}"
        number += 1


def _stem(path: Path) -> str:
    return path.stem.removesuffix(".ome")


def _expand(inputs: Sequence[str | Path], out: Path, watcher: Watcher) -> tuple[list[Path], list[Outcome]]:
    """Files that the inputs stand for, each once, and the inputs that stand for none.

    Raises:
        InputError: None stands for any.
    """
    found: dict[Path, Path] = {}
    missing: list[Outcome] = []
    for given in inputs:
        try:
            paths = find_images([given])
        except InputError as error:
            missing.append(Outcome(Path(given), "failed", reason=str(error)))
            continue
        for path in paths:
            found.setdefault(path.resolve(), path)
    if not found:
        raise InputError(missing[0].reason if missing else "no input; give files, folders or patterns")
    paths = _without_results(list(found.values()), out, watcher)
    return paths, missing


def _without_results(paths: list[Path], out: Path, watcher: Watcher) -> list[Path]:
    """Leave out results that lie among the inputs, as with ``--out .``."""
    stems = {_stem(path) for path in paths}
    kept = []
    for path in paths:
        base = next((path.name.removesuffix(ending) for ending in ENDINGS if path.name.endswith(ending)), "")
        if base and base in stems and path.resolve().parent == out.resolve():
            watcher.say(f"{path}: left out, as it is a result of {base}")
        else:
            kept.append(path)
    return kept


def _parameters(header: ModelHeader, digest: str, options: SegmentOptions) -> Parameters:
    return Parameters(
        model=header.name,
        model_hash=digest,
        tta=options.tta,
        channels=options.channels,
        axes=None if options.axes is None else options.axes.upper(),
        engine=options.choice.engine,
        precision=options.choice.precision,
        device=options.choice.device,
    )


def _check_parameters(job: _Job, given: set[str]) -> None:
    """Refuse to mix results of different parameters in one folder.

    Raises:
        InputError: Naming the first parameter that differs and what it was.
    """
    for record in job.records.values():
        difference = _difference(record.parameters, job.parameters)
        if difference and not job.overwrite:
            raise InputError(
                f"{job.out}: holds results with {difference}; give another --out, or --overwrite to do all anew"
            )
        if difference and record.source.path not in given:
            raise InputError(
                f"{job.out}: holds results of {record.source.path}, which is not given now, with {difference}; "
                "give it too, or give another --out"
            )


def _difference(before: Parameters, now: Parameters) -> str:
    for name in _COMPARED:
        was, wanted = getattr(before, name), getattr(now, name)
        if was != wanted and name == "model_hash":
            return f"model {before.model} ({was[:12]}), now {now.model} ({wanted[:12]}) is asked for"
        if was != wanted:
            return f"{name} {_said(was)}, now {_said(wanted)} is asked for"
    return ""


def _said(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return {None: "unset", True: "on", False: "off"}.get(value, str(value))  # type: ignore[call-overload, no-any-return]


@contextmanager
def _lock(out: Path) -> Iterator[None]:
    """Keep a second process out of the folder, where the file system can.

    Raises:
        InputError: Another process is in it.
    """
    path = out / STATE_FOLDER / "lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another folder") from error
    try:
        if fcntl is not None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InputError(
                    f"{out}: another cellproof is writing there; wait for it or give another --out"
                ) from error
            except OSError as error:
                _log.info("%s cannot be locked (%s)", path, error)
        yield
    finally:
        os.close(descriptor)


def _run(job: _Job, names: Mapping[Path, str], missing: Sequence[Outcome]) -> JobSummary:
    """Do what is not done, then write tables and report of everything."""
    job.watcher.begin(len(names) + len(missing))
    outcomes: list[Outcome] = []
    for outcome in missing:
        outcomes.append(outcome)
        job.watcher.end(outcome)
    started, interrupted = time.perf_counter(), False
    try:
        for path, name in names.items():
            outcomes.append(_do(job, path, name))
            job.watcher.end(outcomes[-1])
    except KeyboardInterrupt:
        interrupted = True
    job.run.seconds = time.perf_counter() - started
    job.run.finished = _now()
    job.run.interrupted = interrupted
    problem = ""
    try:
        _summarise(job, outcomes)
    except InputError as error:
        problem = str(error)
    return JobSummary(job.out, tuple(outcomes), job.run, interrupted, problem)


def _summarise(job: _Job, outcomes: Sequence[Outcome]) -> None:
    """Tables and report of this job's inputs, then of the others that are complete in the folder."""
    rows: list[Record | Failure] = [outcome.record or Failure(outcome.path, outcome.reason) for outcome in outcomes]
    here = {row.name for row in rows if isinstance(row, Record)}
    others = [record for name, record in sorted(job.records.items()) if name not in here and is_whole(job.out, record)]
    write_summaries(job.out, [*rows, *others], run=job.run, header=job.header, parameters=job.parameters)


def _do(job: _Job, path: Path, name: str) -> Outcome:
    """Segment one input unless it is complete; whatever is wrong with it is its own outcome."""
    try:
        source = identify(path)
        before = job.records.get(name)
        if (
            before is not None
            and not job.overwrite
            and before.source.sha256 == source.sha256
            and is_whole(job.out, before)
        ):
            return Outcome(path, "skipped", before)
        if before is not None and before.source.sha256 != source.sha256:
            job.watcher.say(f"{path}: has changed since it was segmented; it is done again")
    except InputError as error:
        return Outcome(path, "failed", reason=str(error))
    model = _ready_model(job)
    try:
        forget(job.out, name)
        job.records.pop(name, None)
        job.watcher.progress(path, 0.0)
        record = _segment_file(job, model, path, name=name, source=source)
    except KeyboardInterrupt:
        forget(job.out, name)
        raise
    except Exception as error:
        return _failed(job, path, name, error)
    job.records[name] = record
    return Outcome(path, "done", record)


def _failed(job: _Job, path: Path, name: str, error: Exception) -> Outcome:
    """Clean up after an input that failed, whatever the reason, so that the others can go on."""
    try:
        forget(job.out, name)
        if not isinstance(error, InputError | MemoryError):
            log = job.out / STATE_FOLDER / f"{name}.traceback.txt"
            write_text(log, "".join(traceback.format_exception(error)))
            return Outcome(
                path,
                "failed",
                reason=f"{path}: a fault of CellProof ({type(error).__name__}); please report it with {log}",
            )
    except InputError as second:
        _log.warning("%s", second)
    if isinstance(error, MemoryError):
        return Outcome(path, "failed", reason=f"{path}: memory ran out; give --max-memory or cut the image")
    reason = " ".join(str(error).splitlines())
    return Outcome(
        path, "failed", reason=reason if str(path) in reason or str(job.out) in reason else f"{path}: {reason}"
    )


def _ready_model(job: _Job) -> Model:
    """The model with its engines, loaded when the first input needs it."""
    if job.model is None:
        started = time.perf_counter()
        job.model = load_model(job.model_path, job.options.choice)
        engine = job.model.engines[0]
        job.run.load_seconds = time.perf_counter() - started
        job.run.engine = EngineFacts(engine.name, engine.precision, engine.device, engine.reason)
        job.watcher.say(f"model {job.header.name}; {engine.reason}")
    return job.model


def _segment_file(job: _Job, model: Model, path: Path, *, name: str, source: Source) -> Record:
    """Read, segment and write one input; its record comes last.

    Raises:
        InputError: The input cannot be used or its results not be written.
    """
    started = time.perf_counter()
    image = read_image(path, channels=job.options.channels, axes=job.options.axes)
    for note in image.notes:
        job.watcher.say(f"{path}: {note}")
    read = time.perf_counter()
    timings = Timings()
    planes = _segment_planes(job, model, image, timings=timings, path=path)
    segmented = time.perf_counter()
    outputs = write_results(job.out, name, image=image, planes=planes, header=job.header)
    written = time.perf_counter()
    record = _record(
        job,
        image,
        planes,
        name=name,
        source=source,
        outputs=outputs,
        seconds=Seconds(
            read=read - started,
            network=timings.network_s,
            instances=timings.instances_s,
            measure=segmented - read - timings.network_s - timings.instances_s,
            write=written - segmented,
        ),
    )
    write_record(job.out, record)
    job.run.pixels += timings.pixels
    job.run.busy_seconds += record.seconds.total
    return record


def _segment_planes(job: _Job, model: Model, image: Image, *, timings: Timings, path: Path) -> list[Plane]:
    planes = []
    for number, pixels in enumerate(image.pixels):

        def progress(done: int, runs: int, number: int = number) -> None:
            job.watcher.progress(path, (number + done / runs) / len(image.pixels))

        try:
            result = segment_plane(
                model,
                pixels,
                tta=job.options.tta,
                pixel_size_um=image.pixel_size_um,
                max_memory_bytes=job.options.max_memory_bytes,
                timings=timings,
                progress=progress,
            )
        except InputError as error:
            where = f"{path}, plane {number}" if image.plane_axes else str(path)
            raise InputError(f"{where}: {error}") from error
        planes.append(Plane(result.labels, result.classes, result.difficulty, result.objects, result.quality))
    return planes


def _record(
    job: _Job,
    image: Image,
    planes: Sequence[Plane],
    *,
    name: str,
    source: Source,
    outputs: Mapping[str, int],
    seconds: Seconds,
) -> Record:
    quality = join_quality(planes)
    notes = image.notes
    if len(planes) > 1:
        axes = ", ".join(f"{axis} {length}" for axis, length in zip(image.plane_axes, image.plane_shape, strict=True))
        notes = (
            *notes,
            f"{len(planes)} planes ({axes}); the overlay shows plane {most_doubtful(planes)}, the most doubtful",
        )
    assert job.run.engine is not None
    return Record(
        name=name,
        source=source,
        parameters=job.parameters,
        engine=job.run.engine,
        outputs=outputs,
        height=image.pixels.shape[2],
        width=image.pixels.shape[3],
        planes=len(planes),
        count=quality.count,
        mean_confidence=quality.mean_confidence,
        expected_dice=None if np.isnan(quality.expected_dice) else quality.expected_dice,
        verdict=quality.verdict,
        why=quality.why,
        pixel_size_um=image.pixel_size_um,
        notes=notes,
        seconds=seconds,
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
