"""`cellproof inspect`: what a training would learn from, and what looks wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ._options import JsonOption, plural


def inspect_command(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder of images and masks, as for `cellproof train`.")],
    model: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="Also say what this model sees, beside the largest object.")
    ] = "",
    fields: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="With --model: draw its receptive fields on the first image, as two PNG."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look at training data: the same image twice, smoothed or broken masks, shifted pairs, empty masks.

    The same is done at the start of every training. Exit code 1 when a file cannot be used.
    """
    from ..checks import UsageError
    from ..io import format_json
    from ..workflows.collect import inspect_data

    found = inspect_data(data)
    if fields is not None and not model:
        raise UsageError("fields are of a model; name one", argument="model")
    seen = _seen(model, found, fields) if model else []
    splits = [record.split or "all" for record in found.records]
    if as_json:
        findings = [
            {"kind": one.kind, "images": one.names, "finding": one.text, "advice": one.advice} for one in found.findings
        ]
        typer.echo(
            format_json(
                {
                    "data": data,
                    "masks": found.description.masks,
                    "classes": found.description.classes,
                    "images": {split: splits.count(split) for split in dict.fromkeys(splits)},
                    "notes": found.notes,
                    "findings": findings,
                    "model": seen,
                }
            )
        )
    else:
        for sentence in found.notes:
            typer.echo(sentence)
        counted = ", ".join(f"{splits.count(split)} in {split}" for split in dict.fromkeys(splits))
        typer.echo(f"{plural(len(found.records), 'image')} ({counted}); masks: {found.description.masks}")
        for sentence in found.sentences:
            typer.echo(f"look at the data: {sentence}")
        if not found.findings:
            typer.echo("nothing looks wrong")
        for sentence in seen:
            typer.echo(sentence)
    if any(one.kind == "unusable" for one in found.findings):
        raise typer.Exit(1)


def _seen(name: str, found: Any, fields: Path | None) -> list[str]:
    """Sentences on what a model sees of these data, and where it is drawn."""
    from ..io import make_folder, read_image
    from ..io.png import write_png
    from ..workflows.predict import EngineChoice, load_model
    from ..workflows.train import draw_sight, what_it_sees

    model = load_model(name, EngineChoice(engine="torch"))
    sentences = what_it_sees(model, found.records, found.description)
    if fields is not None and found.records:
        sheets = draw_sight(model, read_image(found.records[0].image).pixels[0])
        for part, sheet in zip(("positions", "levels"), sheets, strict=True):
            path = make_folder(fields) / f"{part}.png"
            write_png(path, sheet)
            sentences.append(f"drawn on {found.records[0].name}: {path}")
    return sentences
