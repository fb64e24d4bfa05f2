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
    as_json: JsonOption = False,
) -> None:
    """Look at training data: the same image twice, smoothed or broken masks, shifted pairs, empty masks.

    The same is done at the start of every training. Exit code 1 when a file cannot be used.
    """
    from ..io import format_json
    from ..workflows.collect import inspect_data

    found = inspect_data(data)
    seen = _seen(model, found) if model else []
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


def _seen(name: str, found: Any) -> list[str]:
    """Sentences on what a model sees of these data."""
    from ..workflows.predict import EngineChoice, load_model
    from ..workflows.train import describe_sight, largest_diameter_px, sight_of

    model = load_model(name, EngineChoice(engine="torch"))
    return describe_sight(model, sight_of(model), largest_diameter_px(found.records, found.description))
