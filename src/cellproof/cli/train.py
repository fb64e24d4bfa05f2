"""`cellproof train`: annotated images to a model, with a plan that says why and a page that shows how it goes."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._options import DeviceOption, SeedOption, parse_time
from ._progress import watching_training
from .models import metric_words

if TYPE_CHECKING:
    from ..types import ModelHeader


def train_command(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="Folder of images/ and masks/, or these under train/ and val/, or a.tif with a_masks.tif.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="RUN", help="Folder of the run; made if missing.")],
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE", help="A recipe of `cellproof recipes`, or a file. Default: planned from DATA."
        ),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Start weights: a model, run or file, or an encoder: imagenet, resnet18.",
        ),
    ] = None,
    time: Annotated[
        str,
        typer.Option(metavar="20min", help="Time for everything, as 90s, 20min or 1.5h. Default: the recipe's steps."),
    ] = "",
    folds: Annotated[
        int | None, typer.Option(min=1, help="Cross-validation folds; the model is the ensemble of all.")
    ] = None,
    seed: SeedOption = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe, as training.steps=2000; may be repeated."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the training run in RUN.")] = False,
    device: DeviceOption = "auto",
) -> None:
    """Train a model on annotated images. Without a recipe, the training is planned from them, and why is said.

    Ctrl-C leaves the best model so far, and --resume goes on.
    """
    from ..workflows.train import TrainRequest, run_training

    request = TrainRequest(
        data=data,
        out=out,
        recipe=recipe,
        init=init,
        seconds=parse_time(time),
        folds=folds,
        seed=seed,
        settings=tuple(settings or ()),
        resume=resume,
        device=device,
    )
    with watching_training() as watcher:
        model = run_training(request, watcher)
    show_result(model)


def show_result(model: Path) -> None:
    """Scores, where the model and the page are, and what to type next."""
    from ..io import read_header, read_json

    header = read_header(model)
    typer.echo(f"held-out images: {scores(header)}")
    for group in dict.fromkeys(name.rpartition("/")[0] for name in header.metrics if "/" in name):
        typer.echo(f"  {group}: {scores(header, group=group)}")
    for line in over_folds(model.parent, header):
        typer.echo(line)
    typer.echo(f"model: {model}")
    typer.echo(f"report: {model.parent / 'report.html'}")
    if read_json(model.parent / "run.json").get("verdict"):
        typer.echo("next: cellproof train DATA --out RUN with more --time, for the reasons above")
    else:
        typer.echo(f"next: cellproof segment IMAGES --out RESULTS --model {shlex.quote(str(model))}")


def over_folds(run: Path, header: ModelHeader) -> list[str]:
    """Mean ± standard deviation over the folds of a cross-validation, a line each; none without one."""
    from ..io import read_csv

    if not (run / "folds.csv").is_file():
        return []
    table = read_csv(run / "folds.csv")
    rows = zip(table["metric"], table["mean ± sd"], strict=True)
    return ["over folds, each checked on its own images:"] + [f"  {metric_words(n, header)} {text}" for n, text in rows]


def scores(header: ModelHeader, *, group: str = "") -> str:
    """Metrics of all images, or of a group of them, in a line."""
    prefix = f"{group}/" if group else ""
    own = {name.removeprefix(prefix): value for name, value in header.metrics.items() if name.startswith(prefix)}
    shown = [f"{metric_words(name, header)} {value:.3f}" for name, value in own.items() if "/" not in name]
    return ", ".join(shown) or "no score"
