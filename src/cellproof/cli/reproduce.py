"""`cellproof reproduce`: a paper's recipe on sets of images, trained, repaired and scored as in the paper."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..checks import UsageError
from ._options import DeviceOption
from ._progress import watching_training

if TYPE_CHECKING:
    from ..workflows.reproduce import Line, ReproduceRequest

_QUICK = "quick"


def reproduce_command(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A paper's recipe of `cellproof recipes`, or a file.")
    ],
    data: Annotated[
        Path, typer.Option("--data", metavar="DIR", help="Folder of sets by name; what is not there is simulated.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for everything; made if missing.")],
    quick: Annotated[bool, typer.Option("--quick", help="A small version, within 5 minutes on 2 cores.")] = False,
    profile: Annotated[
        str, typer.Option(metavar="NAME", help="How large: a profile of the recipe, such as laptop. Default: full.")
    ] = "",
    folds: Annotated[int | None, typer.Option(min=1, help="Folds to carry out of each set. Default: all.")] = None,
    sets: Annotated[list[str] | None, typer.Option("--only-set", metavar="SET", help="May be repeated.")] = None,
    networks: Annotated[
        list[str] | None, typer.Option("--only-network", metavar="NETWORK", help="May be repeated.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of every draw.")] = 0,
    device: DeviceOption = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Carry out a paper's recipe: train every network on every fold of every set, score, compare.

    The same command again goes on where it stopped. OUT gets tables.csv, report.html and the trained models.
    """
    from ..workflows.reproduce import ReproduceRequest, reproduce

    if quick and profile not in ("", _QUICK):
        raise UsageError(f"--quick and --profile {profile} contradict each other; give one of them")
    request = ReproduceRequest(
        recipe=recipe,
        data=data,
        out=out,
        profile=_QUICK if quick else profile or "full",
        folds=folds,
        sets=tuple(sets or ()),
        networks=tuple(networks or ()),
        seed=seed,
        device=device,
    )
    with watching_training(quiet=as_json) as watcher:
        lines = reproduce(request, watcher)
    if as_json:
        show_json(lines, request)
    else:
        show_lines(lines, request)


def show_lines(lines: Sequence[Line], request: ReproduceRequest) -> None:
    """What matters most, as a table, and where everything is."""
    from ..workflows.reproduce import screen

    typer.echo(screen(lines))
    typer.echo(f"tables: {request.out / 'tables.csv'}")
    typer.echo(f"report: {request.out / 'report.html'}")


def show_json(lines: Sequence[Line], request: ReproduceRequest) -> None:
    """Every line as one JSON document."""
    from ..io import format_json

    typer.echo(format_json({"out": request.out, "report": request.out / "report.html", "lines": list(lines)}))
