"""`cellproof import`: a data set in a foreign format becomes a folder to train on."""  # noqa: N999

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from .simulate import watching


def import_command(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Folder of the set; of coco the JSON.")],
    format: Annotated[str, typer.Option("--as", metavar="FORMAT", help="sartorius, coco, dsb2018 or glas.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DATA", help="Folder of the data set; new or empty.")],
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Of coco: folder of the images, if not that of the JSON.")
    ] = None,
    skip: Annotated[bool, typer.Option("--skip", help="Leave out images whose annotation cannot be used.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Import a data set: images, label images, a table and a dataset.toml.

    sartorius: train.csv and train/. dsb2018: stage1_train/. coco: instance annotations as polygons or runs.
    glas: train_1.bmp with train_1_anno.bmp, testA_1.bmp …, and Grade.csv.
    """
    from ..io import format_json
    from ..workflows.convert import import_set

    with watching() as progress:
        imported = import_set(source, out, format=format, images=images, skip=skip, progress=progress)
    if as_json:
        typer.echo(format_json({"out": out, "imported": imported}))
        return
    for reason in imported.skipped:
        typer.echo(f"left out: {reason}", err=True)
    typer.echo(f"{imported.images} images with {imported.objects} objects imported, {len(imported.skipped)} left out")
    if imported.overlapping_px:
        typer.echo(f"{imported.overlapping_px} pixels belong to several objects; the smallest of them has each")
    typer.echo(f"next: cellproof train {shlex.quote(str(out))} --out RUN")
