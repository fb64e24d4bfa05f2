"""`cellproof reproduce`: a paper's study on sets of images, trained and scored as in the paper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..checks import UsageError
from ._options import DeviceOption, JsonOption, SeedOption
from ._progress import watching_training

if TYPE_CHECKING:
    from ..workflows.reproduce import ReproduceRequest, Results

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
    entries: Annotated[
        list[str] | None,
        typer.Option("--only-entry", "--only-network", metavar="ENTRY", help="Row of the tables; may be repeated."),
    ] = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Carry out a paper's study: train and score every entry on every fold of every set, and compare.

    The same command again resumes where it stopped; commands for single sets, entries or folds add up. OUT gets
    tables.csv, report.html, and under runs/ the scores and trained models.
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
        entries=tuple(entries or ()),
        seed=seed,
        device=device,
    )
    with watching_training(quiet=as_json) as watcher:
        results = reproduce(request, watcher)
    if as_json:
        show_json(results, request)
    else:
        show_results(results, request)


def show_results(results: Results, request: ReproduceRequest) -> None:
    """What matters most, as tables, and where everything is."""
    from ..workflows.reproduce import screen

    typer.echo(screen(results.lines, results.columns))
    if results.missing:
        typer.echo(f"{results.missing} scores of the study are not there yet")
    typer.echo(f"tables: {request.out / 'tables.csv'}")
    typer.echo(f"report: {request.out / 'report.html'}")


def show_json(results: Results, request: ReproduceRequest) -> None:
    """Every line as one JSON document."""
    from ..io import format_json

    report = request.out / "report.html"
    typer.echo(format_json({"out": request.out, "report": report, "missing": results.missing, "lines": results.lines}))
