"""`cellproof simulate`: images with exact truth, to train on, to test with and to learn the commands."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..simulate import names

if TYPE_CHECKING:
    from ..workflows.collect import Plan, Simulation

_KNOWN_KINDS = ("nuclei", "histology")
"""Kinds that the shipped model was trained for."""


class QualityOption(StrEnum):
    """How good the images are."""

    good = "good"
    low = "low"


def simulate_command(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"{', '.join(names())}.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the data set; new, empty or ours.")
    ],
    count: Annotated[int, typer.Option(min=1, help="Images wanted; what is there already is kept.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Random seed; image k depends on it and k alone.")] = 0,
    size: Annotated[int, typer.Option(min=64, help="Rows and columns of an image.")] = 512,
    quality: Annotated[QualityOption, typer.Option(help="low: blurred, grainy and unevenly lit.")] = QualityOption.good,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Simulate annotated images: a folder that `cellproof train` reads as it is.

    liver: cells with red membranes and green nuclei. honeycomb: a gray monolayer. nuclei: fluorescent. histology:
    H&E. phase_contrast: unstained cells of three types, named in attributes.csv. Liver and honeycomb come with class
    maps in masks/ and ids of the cells in cells/, the others with ids.
    """
    from ..workflows.collect import Plan, simulate_files

    plan = Plan(kind=kind, seed=seed, size=size, quality=quality.value)
    with watching() as progress:
        simulation = simulate_files(plan, out, count=count, progress=progress)
    if as_json:
        show_json(plan, simulation)
    else:
        show_simulation(plan, simulation)


@contextmanager
def watching() -> Iterator[Callable[[int, int], None]]:
    """Show a bar on stderr where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("drawing", total=None)
        yield lambda done, wanted: bar.update(task, completed=done, total=wanted)


def show_simulation(plan: Plan, simulation: Simulation) -> None:
    """What was made, where it is, and what to type next."""
    from ..simulate import load

    kind = load(plan.kind)

    made, kept = len(simulation.made), len(simulation.kept)
    before = f", {kept} there before" if kept else ""
    typer.echo(f"{made} image{'' if made == 1 else 's'} of {plan.kind} made, {plan.size} × {plan.size} px{before}")
    masks = ", ".join(f"{value} {name}" for value, name in enumerate(kind.classes))
    typer.echo(f"images: {simulation.out / 'images'}")
    if kind.has_cells:
        typer.echo(f"truth: {simulation.out / 'masks'} ({masks}) and {simulation.out / 'cells'} (ids)")
    else:
        typer.echo(f"truth: {simulation.out / 'masks'} (ids)")
    typer.echo(f"next: {next_command(plan, simulation)}")


def show_json(plan: Plan, simulation: Simulation) -> None:
    """The same as one JSON document."""
    from ..io import format_json

    typer.echo(
        format_json(
            {
                "out": simulation.out,
                "plan": plan,
                "made": simulation.made,
                "kept": simulation.kept,
                "next": next_command(plan, simulation),
            }
        )
    )


def next_command(plan: Plan, simulation: Simulation) -> str:
    """A training run where there are images enough for one, or a segmentation where the shipped model knows their kind.

    A single image of another kind would be shown to a model of nuclei, so more of them are suggested instead.
    """
    out = shlex.quote(str(simulation.out))
    if len(simulation.made) + len(simulation.kept) >= 2:
        return f"cellproof train {out} --out RUN"
    if plan.kind in _KNOWN_KINDS:
        return f"cellproof segment {shlex.quote(str(simulation.out / 'images'))} --out RESULTS"
    return f"cellproof simulate {plan.kind} --out {out} --count 20, then cellproof train {out} --out RUN"
