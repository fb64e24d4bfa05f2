"""`cellproof models`: the models that come with the package, and what a model file says of itself."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..checks import InputError, UsageError
from ._options import JsonOption

if TYPE_CHECKING:
    from ..types import ModelHeader

_METRICS = {
    "map": "mean AP over IoU 0.5 to 0.95",
    "ap50": "AP at IoU 0.5",
    "ap75": "AP at IoU 0.75",
    "ap90": "AP at IoU 0.9",
    "dice": "Dice of the foreground",
    "mean_iou": "mean IoU",
    "mean_dice": "mean Dice",
    "accuracy": "fraction of pixels with the right class",
}

_HEADLINES = ("ap50", "ap75", "mean_iou")

_WIDTH_WITHOUT_TERMINAL = 100


def models_command(
    model: Annotated[
        str,
        typer.Argument(metavar="[NAME|FILE]", help="Show the card of this model; without it, list the shipped ones."),
    ] = "",
    recipe: Annotated[bool, typer.Option("--recipe", help="Show the recipe that the model was trained with.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the models that come with CellProof, or show the card of one."""
    from ..io import format_json, model_hash, read_header
    from ..workflows.predict import find_model, model_names

    if model:
        try:
            path = find_model(model)
        except InputError as error:
            raise type(error)(str(error)) from error  # without the advice to use --model, which is of other commands
        header = read_header(path)
        if as_json:
            typer.echo(format_json(header))
        elif recipe:
            typer.echo(header.training.recipe.rstrip() or "the file does not say")
        else:
            typer.echo("\n".join(card(header, model=model, path=path, digest=model_hash(path))))
        return
    if recipe:
        raise UsageError("--recipe needs the name of a model, as in cellproof models nuclei --recipe")
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
            ", ".join(
                f"{metric_words(metric, header)} {value:.2f}"
                for metric, value in header.metrics.items()
                if metric in _HEADLINES
            ),
        )
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = max(console.width, _WIDTH_WITHOUT_TERMINAL)
    console.print(table)


def pixel_size(header: ModelHeader) -> str:
    """The pixel size of the training images, in words."""
    return "not stated" if header.pixel_size_um is None else f"{header.pixel_size_um:g} µm"


def card(header: ModelHeader, *, model: str, path: Path, digest: str) -> Iterator[str]:
    """All that a model file says of itself, line by line."""
    training = header.training
    yield f"{header.name}: {header.description}"
    yield f"file: {path}, {path.stat().st_size / 1e6:.1f} MB, SHA-256 {digest}"
    yield f"classes: {', '.join(header.classes)}"
    yield f"outputs: {', '.join(_outputs(header))}; objects by {method_words(header)}"
    for number, part in enumerate(header.parts, start=1):
        yield f"part {number}: {part.name}, {part.architecture}, {part.members} in the file"
    options = ", ".join(f"{name} {value}" for name, value in header.options.items())
    yield f"network: {header.architecture} ({options}), {header.members} in the file"
    yield f"reads {header.in_channels} channels at {header.scale:g} × the image's size; gray images are repeated"
    yield f"pixel size of the training images: {pixel_size(header)}"
    if header.statistics.object_diameter_px:
        low, middle, high = header.statistics.object_diameter_px
        yield f"diameter of the training objects: {low:g} to {high:g} px, median {middle:g} px, at that scale"
    yield f"trained on {training.images} images of {training.data or 'unnamed data'}"
    yield f"license of the data: {training.license or 'not stated'}"
    yield f"training: {training.steps} steps in {training.seconds:.0f} s, seed {training.seed}, by {training.cellproof}"
    yield "validation:"
    yield from (f"  {metric_words(metric, header)}: {value:.3f}" for metric, value in header.metrics.items())
    if training.recipe:
        yield f"recipe: cellproof models {shlex.quote(model)} --recipe"


def metric_words(name: str, header: ModelHeader) -> str:
    """A metric of a header for a person: ``ap50`` is the AP at IoU 0.5, ``iou_1`` the IoU of class 1."""
    group, slash, metric = name.rpartition("/")
    if metric.startswith("iou_"):
        number = int(metric.removeprefix("iou_"))
        words = f"IoU of {header.classes[number]}" if number < len(header.classes) else metric
    else:
        words = _METRICS.get(metric, metric)
    return f"{group}: {words}" if slash else words


def _outputs(header: ModelHeader) -> Iterator[str]:
    heads = header.heads
    yield f"{heads.classes} classes"
    yield from heads.names


def method_words(header: ModelHeader) -> str:
    """How a model makes objects, in words."""
    return header.instance.method if header.heads.has_instances else "connected pixels of one class"
