"""`cellproof models`: the models that come with the package, and what a model file says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..types import ModelHeader

_WIDTH_WITHOUT_TERMINAL = 100


def models_command(
    model: Annotated[
        str,
        typer.Argument(metavar="[NAME|FILE]", help="Show the card of this model; without it, list the shipped ones."),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """List the models that come with CellProof, or show the card of one."""
    from ..io import format_json, model_hash, read_header
    from ..workflows.predict import find_model, model_names

    if model:
        path = find_model(model)
        header = read_header(path)
        typer.echo(format_json(header) if as_json else "\n".join(card(header, path=path, digest=model_hash(path))))
        return
    headers = {name: read_header(find_model(name)) for name in model_names()}
    if as_json:
        typer.echo(format_json(headers))
    elif headers:
        show_table(headers)
    else:
        typer.echo("no models come with this installation; train one with `cellproof train`")


def show_table(headers: dict[str, ModelHeader]) -> None:
    """A line for each model on stdout."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("model", "what it segments", "classes", "pixel size", "trained on", "validation"):
        table.add_column(title, overflow="fold")
    for name, header in headers.items():
        table.add_row(
            name,
            header.description,
            ", ".join(header.classes),
            pixel_size(header),
            f"{header.training.data} ({header.training.license or 'license not stated'})",
            ", ".join(f"{metric} {value:.2f}" for metric, value in header.metrics.items() if "/" not in metric),
        )
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = max(console.width, _WIDTH_WITHOUT_TERMINAL)
    console.print(table)


def pixel_size(header: ModelHeader) -> str:
    """The pixel size of the training images, in words."""
    return "not stated" if header.pixel_size_um is None else f"{header.pixel_size_um:g} µm"


def card(header: ModelHeader, *, path: Path, digest: str) -> Iterator[str]:
    """All that a model file says of itself, line by line."""
    training = header.training
    yield f"{header.name}: {header.description}"
    yield f"file: {path}, {path.stat().st_size / 1e6:.1f} MB, SHA-256 {digest}"
    yield f"classes: {', '.join(header.classes)}"
    yield f"outputs: {', '.join(_outputs(header))}; objects by {_method(header)}"
    options = ", ".join(f"{name} {value}" for name, value in header.options.items())
    yield f"network: {header.architecture} ({options}), {header.members} in the file"
    yield f"reads {header.in_channels} channels at {header.scale:g} × the image's size; gray pictures are repeated"
    yield f"pixel size of the training images: {pixel_size(header)}"
    if header.statistics.object_diameter_px:
        low, middle, high = header.statistics.object_diameter_px
        yield f"diameter of the training objects: {low:g} to {high:g} px, median {middle:g} px, at that scale"
    yield f"trained on {training.images} images of {training.data or 'unnamed data'}"
    yield f"license of the data: {training.license or 'not stated'}"
    yield f"training: {training.steps} steps in {training.seconds:.0f} s, seed {training.seed}, by {training.cellproof}"
    yield "validation:"
    yield from (f"  {metric} {value:.3f}" for metric, value in header.metrics.items())
    if training.recipe:
        yield "recipe:"
        yield from (f"  {line}" for line in training.recipe.splitlines())


def _outputs(header: ModelHeader) -> Iterator[str]:
    heads = header.heads
    yield f"{heads.classes} classes"
    yield from heads.names


def _method(header: ModelHeader) -> str:
    return header.instance.method if header.heads.has_instances else "connected pixels of one class"
