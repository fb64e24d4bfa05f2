"""Many files become a folder of results that can be continued after any interruption."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ...checks import InputError, UsageError
from ...io import folder_lock, model_hash, read_header, write_text
from ...recipe import format_step
from ...refine import explain, steps_of
from ...types import ModelHeader
from ..predict import Model, find_model, load_model
from .file import FileTask, SegmentOptions, engine_facts, segment_file
from .names import Failure, assign_names, find_inputs, own_name
from .record import (
    STATE_FOLDER,
    Parameters,
    Record,
    claim,
    clear_leftovers,
    forget,
    identify,
    is_whole,
    open_state,
    read_records,
)
from .summary import SUMMARIES, Run, write_summaries

_log = logging.getLogger(__name__)

_COMPARED = ("model_hash", "tta", "channels", "axes", "engine", "precision", "device", "steps")


@dataclass(frozen=True)
class Outcome:
    """What became of one input.

    Attributes:
        path: The input as given.
        name: What the names of its results begin with.
        state: "done" now, "skipped" because it was complete, or "failed".
        record: Of the results; None when failed.
        reason: Why it failed, in one line.
    """

    path: Path
    name: str
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
        outcomes: One for each input, those that do not exist first; fewer after an interruption.
        run: What stands in ``run.json`` besides the inputs.
        problem: Why tables or report could not be written; empty if they were.
    """

    out: Path
    outcomes: tuple[Outcome, ...]
    run: Run
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
    overwrite: bool
    records: dict[str, Record]
    run: Run
    model: Model | None = None
    outcomes: list[Outcome] = field(default_factory=list)


def segment_files(
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    model: str | Path = "nuclei",
    options: SegmentOptions | None = None,
    overwrite: bool = False,
    watcher: Watcher | None = None,
    score: Callable[[], tuple[tuple[str, str], ...]] | None = None,
) -> JobSummary:
    """Segment files into a folder; what is complete there already is skipped.

    Args:
        inputs: Files, folders and patterns.
        out: Folder of the results, made where it is missing.
        model: A shipped model's name, a model file or the folder of a training run.
        options: How.
        overwrite: Whether to do everything anew.
        watcher: Told how it goes.
        score: Called when the results are there; gives names and values of measurements against a known truth,
            for the report.

    Returns:
        What became of each input. An input that cannot be used is one of the failed, and the others go on. Tables
        and report list this job's inputs in their order, then all others that are complete in the folder, by name.

    Raises:
        InputError: Before any input is looked at: there is none, no such model, a folder that cannot be written,
            that another process is writing, or that holds results of another model or other parameters.
    """
    options, watcher, out = options or SegmentOptions(), watcher or Watcher(), Path(out)
    model_path = find_model(model)
    header, digest = read_header(model_path), model_hash(model_path)
    paths, missing = find_inputs(inputs, out=out, say=watcher.say)
    if not overwrite:
        _check_ours(out)
    with folder_lock(open_state(out) / "lock"):
        clear_leftovers(out)
        job = _Job(
            out=out,
            options=options,
            header=header,
            parameters=_parameters(header, digest, options),
            model_path=model_path,
            watcher=watcher,
            overwrite=overwrite,
            records=read_records(out),
            run=Run(threads=options.choice.threads, max_memory_bytes=options.max_memory_bytes),
        )
        _check_parameters(job, {str(path.resolve()) for path in paths})
        return _run(job, assign_names(paths, job.records), missing, score=score)


def _check_ours(out: Path) -> None:
    """Refuse, naming the file, to replace tables and reports that somebody else wrote."""
    foreign = [name for name in SUMMARIES if (out / name).exists()]
    if foreign and not (out / STATE_FOLDER).exists():
        raise InputError(
            f"{out / foreign[0]}: is no result of CellProof; give another --out, or --overwrite to replace it"
        )


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
        steps=tuple(map(format_step, steps_of(header, options.steps))),
    )


def _check_parameters(job: _Job, given: set[str]) -> None:
    """Refuse to mix results of different parameters in one folder.

    Raises:
        UsageError: Naming the first parameter that differs and what it was.
    """
    for record in job.records.values():
        difference = _difference(record.parameters, job.parameters)
        if difference and not job.overwrite:
            raise UsageError(
                f"{job.out}: holds results with {difference}; give another --out, or --overwrite to do all anew"
            )
        if difference and record.source.path not in given:
            raise UsageError(
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
    if isinstance(value, bool):
        return "on" if value else "off"
    return "unset" if value is None else str(value)


def _run(
    job: _Job,
    names: Mapping[Path, str],
    missing: Sequence[Failure],
    *,
    score: Callable[[], tuple[tuple[str, str], ...]] | None,
) -> JobSummary:
    """Do what is not done, then write tables and report of everything."""
    job.watcher.begin(len(names) + len(missing))
    for path, name in names.items():
        if name != own_name(path):
            job.watcher.say(f"{path}: its results are named {name}_…, as {own_name(path)} is taken by another input")
    started = time.perf_counter()
    try:
        for failure in missing:
            _end(job, Outcome(failure.path, failure.name, "failed", reason=failure.reason))
        for path, name in names.items():
            _end(job, _do(job, path, name))
        if score is not None:
            job.run.scores = score()
    except KeyboardInterrupt:
        job.run.interrupted = True
    job.run.seconds = time.perf_counter() - started
    job.run.finished = datetime.now(UTC).isoformat(timespec="seconds")
    problem = ""
    try:
        _summarize(job)
    except InputError as error:
        problem = str(error)
    return JobSummary(job.out, tuple(job.outcomes), job.run, problem)


def _end(job: _Job, outcome: Outcome) -> None:
    job.outcomes.append(outcome)
    job.watcher.end(outcome)


def _summarize(job: _Job) -> None:
    """Tables and report of this job's inputs, then of the others that are complete in the folder."""
    rows: list[Record | Failure] = [
        outcome.record or Failure(outcome.path, outcome.name, outcome.reason) for outcome in job.outcomes
    ]
    here = {row.name for row in rows}
    others = [record for name, record in sorted(job.records.items()) if name not in here and is_whole(job.out, record)]
    write_summaries(job.out, [*rows, *others], run=job.run, header=job.header, parameters=job.parameters)


def _do(job: _Job, path: Path, name: str) -> Outcome:
    """Segment one input unless it is complete; whatever is wrong with it is its outcome."""
    try:
        source = identify(path)
    except InputError as error:
        return Outcome(path, name, "failed", reason=str(error))
    before = job.records.get(name)
    if before is not None and before.source.sha256 != source.sha256:
        job.watcher.say(f"{path}: has changed since it was segmented; it is done again")
    elif before is not None and not job.overwrite and is_whole(job.out, before):
        return Outcome(path, name, "skipped", before)
    model = _ready_model(job)
    task = FileTask(path, name, source, job.parameters)
    try:
        job.watcher.progress(path, 0.0)
        claim(job.out, name, overwrite=job.overwrite)
    except InputError as error:
        return Outcome(path, name, "failed", reason=str(error))
    try:
        forget(job.out, name)
        job.records.pop(name, None)
        record = segment_file(
            task, model, job.out, options=job.options, say=job.watcher.say, progress=job.watcher.progress
        )
    except KeyboardInterrupt:
        forget(job.out, name)
        raise
    # Whatever a single input does to us, the hundreds after it are still to be done.
    except Exception as error:
        return Outcome(path, name, "failed", reason=_clean_up(job, task, error))
    job.records[name] = record
    job.run.pixels += record.planes * record.height * record.width
    job.run.parts += record.seconds
    return Outcome(path, name, "done", record)


def _ready_model(job: _Job) -> Model:
    """The model with its engines, loaded when the first input needs it.

    Raises:
        InputError: The machine cannot do what was asked.
    """
    if job.model is None:
        started = time.perf_counter()
        job.model = load_model(job.model_path, job.options.choice)
        job.run.load_seconds = time.perf_counter() - started
        job.run.engine = engine_facts(job.model)
        job.watcher.say(f"model {job.header.name}; {job.run.engine.reason}")
        for sentence in explain(steps_of(job.header, job.options.steps), job.header.classes):
            job.watcher.say(sentence)
    return job.model


def _clean_up(job: _Job, task: FileTask, error: Exception) -> str:
    """Remove what an input that failed has left; returns the reason in one line."""
    try:
        forget(job.out, task.name)
    except InputError as second:
        _log.warning("%s", second)
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"{task.path}: memory ran out; give less with --max-memory, or cut the image"
    log = job.out / STATE_FOLDER / f"{task.name}.traceback.txt"
    try:
        write_text(log, "".join(traceback.format_exception(error)))
    except InputError as second:
        _log.warning("%s", second)
    what = " ".join(f"{type(error).__name__}: {error}".splitlines())[:200]
    return f"{task.path}: a fault of CellProof ({what}); please report it with {log}"
