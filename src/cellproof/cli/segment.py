"""`cellproof segment`: images to label images, tables and a report."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..checks import UsageError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from ..workflows.segment import JobSummary, Outcome, Watcher

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


class EngineOption(StrEnum):
    """What runs the network."""

    auto = "auto"
    torch = "torch"
    openvino = "openvino"


class PrecisionOption(StrEnum):
    """In which arithmetic."""

    auto = "auto"
    f32 = "f32"
    bf16 = "bf16"


class DeviceOption(StrEnum):
    """Where."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


def segment_command(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT", help="Images, folders of images, or patterns.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the results; made if missing.")],
    model: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="A model of `cellproof models`, a model file, or a training run.")
    ] = "nuclei",
    device: Annotated[DeviceOption, typer.Option(help="Where the network runs.")] = DeviceOption.auto,
    engine: Annotated[EngineOption, typer.Option(help="What runs it; auto takes the fastest.")] = EngineOption.auto,
    precision: Annotated[PrecisionOption, typer.Option(help="Arithmetic of the network.")] = PrecisionOption.auto,
    tta: Annotated[
        bool | None,
        typer.Option(
            "--tta/--no-tta",
            help="Average over flips and quarter turns; eight times slower. Default: for small pictures.",
            show_default=False,
        ),
    ] = None,
    channels: Annotated[
        str, typer.Option(metavar="0,1", help="Channels to read, counted from 0, in this order. Default: all.")
    ] = "",
    axes: Annotated[
        str, typer.Option(metavar="TCYX", help="What the stored axes are, where files do not say or say it wrongly.")
    ] = "",
    max_memory: Annotated[
        str, typer.Option(metavar="4GB", help="For the whole process; large images are then cut into smaller tiles.")
    ] = "",
    step: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:key=value,...]",
            help="Repair class maps, as in reconnect:threshold=0.3; repeatable. Default: what the model names.",
            show_default=False,
        ),
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads on the processor. Default: all cores.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Do all inputs anew instead of skipping what is complete.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Segment images: labels, classes, difficulty and an overlay of each, tables of all, and a report.

    The same command again does only what is missing or has changed. Exit code 1 when an input failed.
    """
    from ..recipe import parse_step
    from ..training.allocator import keep_freed_memory
    from ..workflows.predict import EngineChoice
    from ..workflows.segment import SegmentOptions, segment_files

    keep_freed_memory()  # the next window finds the memory of the last without page faults
    options = SegmentOptions(
        choice=EngineChoice(engine.value, precision.value, device.value, threads),
        tta=tta,
        channels=parse_channels(channels),
        axes=axes or None,
        max_memory_bytes=parse_memory(max_memory),
        steps=tuple(map(parse_step, step)) if step else None,
    )
    with watching() as watcher:
        summary = segment_files(inputs, out, model=model, options=options, overwrite=overwrite, watcher=watcher)
    if as_json:
        show_json(summary)
    else:
        show_summary(summary)
    finish(summary)


def parse_channels(text: str) -> tuple[int, ...] | None:
    """Channels as ``0,1``; None for an empty text.

    Raises:
        UsageError: Anything else.
    """
    if not text:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--channels {text!r}; wanted numbers counted from 0, as in --channels 0,2") from None


def parse_memory(text: str) -> int | None:
    """Bytes of ``4GB``, ``500 MB``, ``2GiB``; None for an empty text.

    Raises:
        UsageError: Anything else.
    """
    if not text:
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    unit = _UNITS.get(found[2].upper()) if found else None
    if found is None or unit is None:
        raise UsageError(f"--max-memory {text!r}; wanted a number and a unit, as in --max-memory 4GB")
    return int(float(found[1]) * unit)


@dataclass
class _Display:
    """Progress on stderr: a bar on a terminal, and a line for each input everywhere."""

    console: Console
    bar: Progress
    task: TaskID
    inputs: int = 0
    ended: int = 0

    def begin(self, inputs: int) -> None:
        self.inputs = inputs
        self.bar.update(self.task, total=inputs)

    def progress(self, path: Path, share: float) -> None:
        self.bar.update(self.task, description=path.name, completed=self.ended + share)

    def end(self, outcome: Outcome) -> None:
        self.ended += 1
        self.bar.update(self.task, completed=self.ended)
        self.say(f"[{self.ended}/{self.inputs}] {describe(outcome)}")

    def say(self, sentence: str) -> None:
        self.console.print(" ".join(sentence.splitlines()))  # a file's name may hold line feeds


@contextmanager
def watching() -> Iterator[Watcher]:
    """Show progress on stderr while a job runs."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from ..workflows.segment import Watcher

    console = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        display = _Display(console, bar, bar.add_task("reading", total=None))
        yield Watcher(say=display.say, begin=display.begin, progress=display.progress, end=display.end)


def describe(outcome: Outcome) -> str:
    """One line on what became of an input."""
    record = outcome.record
    if record is None:
        return f"failed: {outcome.reason}"
    if outcome.state == "skipped":
        return f"{outcome.path}: complete already, skipped"
    return f"{outcome.path}: {record.count} objects, {record.verdict} ({record.seconds.total:.1f} s)"


def show_summary(summary: JobSummary) -> None:
    """Counts, speed, verdicts and where the results are, on stdout."""
    done, skipped, failed = (len(summary.of(state)) for state in ("done", "skipped", "failed"))
    objects = sum(outcome.record.count for outcome in summary.outcomes if outcome.record is not None)
    parts = [f"{done} segmented", f"{skipped} complete before" if skipped else "", f"{failed} failed" if failed else ""]
    typer.echo(f"{', '.join(filter(None, parts))}; {objects} objects")
    if done:
        run = summary.run
        typer.echo(
            f"{run.pixels / 1e6:.1f} megapixels in {run.parts.total:.1f} s from file to file: "
            f"{run.megapixels_per_s:.2f} Mpixel/s (and {run.load_seconds:.1f} s to load the model)"
        )
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in summary.verdicts.items())
    typer.echo(f"verdicts: {verdicts}")
    if not summary.problem:
        typer.echo(f"report: {summary.out / 'report.html'}")


def show_json(summary: JobSummary) -> None:
    """The whole summary as one JSON document on stdout."""
    from ..io import format_json

    run = summary.run
    typer.echo(
        format_json(
            {
                "out": summary.out,
                "report": summary.out / "report.html",
                "done": len(summary.of("done")),
                "skipped": len(summary.of("skipped")),
                "failed": len(summary.of("failed")),
                "interrupted": run.interrupted,
                "problem": summary.problem or None,
                "verdicts": summary.verdicts,
                "engine": run.engine,
                "seconds": run.seconds,
                "seconds_of_parts": run.parts,
                "load_seconds": run.load_seconds,
                "megapixels": run.pixels / 1e6,
                "megapixels_per_s": run.megapixels_per_s,
                "scores": dict(run.scores),
                "images": [_json_image(outcome) for outcome in summary.outcomes],
            }
        )
    )


def _json_image(outcome: Outcome) -> dict[str, object]:
    record = outcome.record
    if record is None:
        return {"input": outcome.path, "state": outcome.state, "reason": outcome.reason}
    return {
        "input": outcome.path,
        "state": outcome.state,
        "name": record.name,
        "planes": record.planes,
        "count": record.count,
        "mean_confidence": record.mean_confidence,
        "expected_dice": record.expected_dice,
        "verdict": record.verdict,
        "why": record.why,
        "seconds": record.seconds.total,
        "files": [name for name in record.outputs if "/" not in name],
    }


def finish(summary: JobSummary) -> None:
    """Leave with the code that says how it went.

    Raises:
        typer.Exit: 130 after Ctrl-C, 1 when an input failed or a table could not be written.
    """
    if summary.problem:
        typer.echo(f"cellproof: error: {summary.problem}", err=True)
    if summary.run.interrupted:
        typer.echo("cellproof: interrupted; what is complete is kept, and the same command does the rest", err=True)
        raise typer.Exit(130)
    if summary.problem or summary.of("failed"):
        raise typer.Exit(1)
