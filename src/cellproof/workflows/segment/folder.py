"""Many files become a folder of results that can be continued after any interruption."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ...checks import InputError, UsageError
from ...inference.container import memory_limit_bytes
from ...io import folder_lock, model_hash, read_header
from ...recipe import format_step
from ...refine import steps_of
from ...types import ModelHeader
from ..predict import find_model
from .file import SegmentOptions, check_options
from .job import Job, JobRequest
from .names import assign_names, find_inputs
from .outcomes import JobSummary, JobWatcher, nothing_done
from .record import STATE_FOLDER, Parameters, Record, clear_leftovers, given_path, open_state, read_records
from .summary import SUMMARIES

AMPLE_BYTES = 2 * 10**9
"""With a limit from this on windows are of their usual size: images of 2048 × 2048 pixels take 1.25 GB at most."""

BESIDE_WINDOWS_BYTES = 3 * 10**8
"""What other decodings and results of an image of 2048 × 2048 pixels take besides windows, measured and rounded up."""

_COMPARED = (
    "model_hash",
    "tta",
    "channels",
    "axes",
    "diameter_px",
    "min_area_px",
    "condition",
    "engine",
    "precision",
    "device",
    "steps",
    "promise",
)


def segment_files(
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    model: str | Path = "nuclei",
    options: SegmentOptions | None = None,
    overwrite: bool = False,
    watcher: JobWatcher | None = None,
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

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.fromarray(np.zeros((32, 40), np.uint8)).save(f"{folder}/empty.png")
        ...     summary = segment_files([f"{folder}/empty.png"], f"{folder}/results")
        ...     [outcome.state for outcome in summary.outcomes], summary.outcomes[0].record.count
        (['done'], 0)
    """
    options, watcher, out = options or SegmentOptions(), watcher or JobWatcher(), Path(out)
    model_path = find_model(model)
    header, digest = read_header(model_path), model_hash(model_path)
    check_options(options, header)
    found, missing = find_inputs(inputs, out=out, say=watcher.say)
    if not found:
        return nothing_done(out, missing, watcher)
    if not overwrite:
        _check_ours(out)
    options = _within_limit(options, watcher.say)
    with folder_lock(open_state(out) / "lock"):
        clear_leftovers(out)
        request = JobRequest(
            out=out,
            options=options,
            header=header,
            parameters=_parameters(header, digest, options),
            model_path=model_path,
            watcher=watcher,
            overwrite=overwrite,
        )
        records = read_records(out)
        _check_parameters(request, records, {given_path(one.path) for one in found})
        return Job(request, records).run_all(assign_names(found, records, out=out), missing, score=score)


def _within_limit(options: SegmentOptions, say: Callable[[str], None]) -> SegmentOptions:
    """Options that keep a job within the memory of its container, where that is little and none is asked for."""
    limit = memory_limit_bytes()
    if options.max_memory_bytes is not None or limit is None or limit >= AMPLE_BYTES:
        return options
    allowed = max(limit - BESIDE_WINDOWS_BYTES, limit // 2)
    say(
        f"this container or job may use {limit / 1e9:.1f} GB of memory, so windows are cut as for a maximum of "
        f"{allowed / 1e9:.1f} GB; give a maximum to decide otherwise"
    )
    return replace(options, max_memory_bytes=allowed)


def _check_ours(out: Path) -> None:
    """Refuse to replace tables and reports that somebody else wrote.

    Raises:
        InputError: Naming the file.
    """
    foreign = [name for name in SUMMARIES if (out / name).exists()]
    if foreign and not (out / STATE_FOLDER).exists():
        raise InputError(
            f"{out / foreign[0]}: is not a result of CellProof; give another folder, or overwrite to replace it",
            argument=("out", "overwrite"),
        )


def _parameters(header: ModelHeader, digest: str, options: SegmentOptions) -> Parameters:
    return Parameters(
        model=header.name,
        model_hash=digest,
        tta=options.tta,
        channels=options.channels,
        diameter_px=options.diameter_px,
        min_area_px=options.min_area_px,
        condition=options.condition,
        axes=None if options.axes is None else options.axes.upper(),
        engine=options.choice.engine,
        precision=options.choice.precision,
        device=options.choice.device,
        steps=tuple(map(format_step, steps_of(header, options.steps))),
        promise=None if options.promise is None else str(options.promise),
    )


def _check_parameters(request: JobRequest, records: Mapping[str, Record], given: set[str]) -> None:
    """Refuse to mix results of different parameters in one folder.

    Raises:
        UsageError: Naming the first parameter that differs and what it was.
    """
    for record in records.values():
        difference = _difference(record.parameters, request.parameters)
        if difference and not request.overwrite:
            raise UsageError(
                f"{request.out}: holds results with {difference}; give another folder, or overwrite to do all anew",
                argument=("out", "overwrite"),
            )
        if difference and record.source.path not in given:
            raise UsageError(
                f"{request.out}: holds results of {record.source.path}, which is not given now, with {difference}; "
                "give it too, or give another folder",
                argument="out",
            )


def _difference(before: Parameters, now: Parameters) -> str:
    for name in _COMPARED:
        was, asked = getattr(before, name), getattr(now, name)
        if was != asked and name == "model_hash":
            return f"model {before.model} ({was[:12]}), now {now.model} ({asked[:12]}) is asked for"
        if was != asked:
            return f"{name} {_said(was)}, now {_said(asked)} is asked for"
    return ""


def _said(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return "on" if value else "off"
    return "unset" if value is None else str(value)
