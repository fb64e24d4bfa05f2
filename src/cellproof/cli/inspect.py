"""`cellproof inspect`: what a training would learn from, and what looks wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._options import JsonOption, plural


def inspect_command(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder of images and masks, as for `cellproof train`.")],
    as_json: JsonOption = False,
) -> None:
    """Look at training data: the same image twice, smoothed or broken masks, shifted pairs, empty masks.

    The same is done at the start of every training. Exit code 1 when a file cannot be used.
    """
    from ..io import format_json
    from ..workflows.collect import inspect_data

    found = inspect_data(data)
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
    if any(one.kind == "unusable" for one in found.findings):
        raise typer.Exit(1)
