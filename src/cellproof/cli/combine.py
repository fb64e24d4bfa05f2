"""`cellproof combine`: several models become one model file."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from ._options import JsonOption
from .models import method_words


def combine_command(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="Names, files or training runs; at least two.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The new file, ending in .safetensors.")],
    name: Annotated[str, typer.Option(metavar="NAME", help="Of the new model. Default: the names of its parts.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Combine models of the same classes, whose class probabilities are averaged.

    Objects are made as by the first, so give the one first whose objects are best. One of the models may be a detector,
    which then proposes objects that the others shape.
    """
    from ..io import format_json
    from ..workflows.predict import Model

    header = Model.combine(models, out, name=name)
    if as_json:
        typer.echo(format_json(header))
        return
    counts = f"{len(header.parts)} models, {header.members} networks"
    typer.echo(f"{header.name}: {counts}; objects by {method_words(header)}")
    typer.echo(f"next: cellproof segment IMAGES --model {shlex.quote(str(out))} --out RESULTS")
