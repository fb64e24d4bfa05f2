"""`cellproof segment`: images to label images, tables and a report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._options import (
    DeviceOption,
    EngineOption,
    JsonOption,
    ModelOption,
    OutOption,
    PrecisionOption,
    ThreadsOption,
    parse_channels,
    parse_diameter,
    parse_promise,
    plural,
    with_advice,
)
from ._progress import watching_job

if TYPE_CHECKING:
    from ..workflows.segment import JobSummary, Outcome


def segment_command(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT", help="Images, folders of images, or patterns.")],
    out: OutOption,
    model: ModelOption = "nuclei",
    device: DeviceOption = "auto",
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    tta: Annotated[
        bool | None,
        typer.Option(
            "--tta/--no-tta",
            help="Average over the eight flips and 90° rotations, eight times slower; or take the image as it came "
            "alone. Default: alone, and with three more views where the result is in doubt or the kind gains by it.",
            show_default=False,
        ),
    ] = None,
    channels: Annotated[
        str,
        typer.Option(
            metavar="DAPI|0,1",
            help="Channels to read, by name or counted from 0. Default: that of the nuclei, by its name.",
        ),
    ] = "",
    axes: Annotated[
        str, typer.Option(metavar="TCYX", help="What the stored axes are, where files do not say or say it wrongly.")
    ] = "",
    diameter: Annotated[
        str,
        typer.Option(
            metavar="PX|auto",
            help="Usual diameter of the objects in pixels, or auto to measure it; the image is enlarged or reduced to "
            "the objects' size in training. Default: the model's own scale.",
        ),
    ] = "",
    min_area: Annotated[
        int, typer.Option("--min-area", metavar="PX", min=0, help="Leave out smaller objects or connected pieces.")
    ] = 0,
    condition: Annotated[
        str, typer.Option(metavar="VALUE", help="What a conditioned model is told of the images, e.g. the cell type.")
    ] = "",
    max_memory: Annotated[
        str, typer.Option(metavar="4GB", help="For the whole process; large images are then cut into smaller tiles.")
    ] = "",
    step: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:key=value,...]",
            help="Repair class maps, as in reconnect:threshold=0.3; repeatable; none for no repair. "
            "Default: what the model names.",
            show_default=False,
        ),
    ] = None,
    promise: Annotated[
        str,
        typer.Option(
            metavar="FRACTION[,F1]",
            help="Accept so strictly that at most this fraction of accepted images has an F1 below 0.7, or below F1. "
            "Default: what the model says, usually 0.03.",
        ),
    ] = "",
    threads: ThreadsOption = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Do all inputs anew instead of skipping what is complete.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Segment images: labels, classes, difficulty and an overlay of each, tables of all, and a report.

    The same command again does only what is missing or has changed. Exit code 1 when an input failed.
    """
    from ..recipe import parse_step
    from ..training.allocator import keep_freed_memory
    from ..workflows.predict import EngineChoice
    from ..workflows.segment import SegmentOptions, memory_bytes, segment_files

    keep_freed_memory()  # the next window finds the memory of the last without page faults
    diameter_px: Any = parse_diameter(diameter)
    options = SegmentOptions(
        choice=EngineChoice(engine, precision, device, threads),
        tta="auto" if tta is None else tta,
        channels=parse_channels(channels),
        axes=axes or None,
        diameter_px=diameter_px,
        min_area_px=min_area,
        condition=condition,
        max_memory_bytes=memory_bytes(max_memory),
        steps=tuple(parse_step(text) for text in step if text != "none") if step else None,
        promise=parse_promise(promise),
    )
    with watching_job() as watcher:
        summary = segment_files(inputs, out, model=model, options=options, overwrite=overwrite, watcher=watcher)
    if as_json:
        show_json(summary)
    else:
        show_summary(summary)
    finish(summary)


def show_summary(summary: JobSummary) -> None:
    """Counts, speed, verdicts and where the results are, on stdout."""
    done, skipped, failed, left = (len(summary.of(state)) for state in ("done", "skipped", "failed", "left out"))
    objects = sum(outcome.record.count for outcome in summary.outcomes if outcome.record is not None)
    parts = [f"{done} segmented", f"{skipped} complete before" if skipped else "", f"{failed} failed" if failed else ""]
    parts.append(f"{left} left out" if left else "")
    typer.echo(f"{', '.join(filter(None, parts))}; {plural(objects, 'object')}")
    if done:
        run = summary.run
        typer.echo(
            f"{run.pixels / 1e6:.1f} megapixels in {run.working_seconds:.1f} s from file to file: "
            f"{run.megapixels_per_s:.2f} Mpixel/s (and {run.load_seconds:.1f} s to load the model)"
        )
    if not summary.written:
        return
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
                "report": summary.out / "report.html" if summary.written else None,
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
        reason = with_advice(outcome.reason, outcome.arguments)
        return {"input": outcome.path, "state": outcome.state, "reason": reason}
    return {
        "input": outcome.path,
        "state": outcome.state,
        "name": record.name,
        "planes": record.planes,
        "count": record.count,
        "mean_confidence": record.mean_confidence,
        "expected_dice": record.expected_dice,
        "scale": record.scale,
        "views": record.views,
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
