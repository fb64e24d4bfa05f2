"""`cellproof train`: annotated images to a model, with a plan that says why and a page that shows how it goes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..checks import UsageError
from .segment import DeviceOption

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from ..training.loop import Progress
    from ..workflows.train import Watcher

_UNITS_S = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_LINES = 20
"""Lines of progress where there is no terminal for a bar."""


def train_command(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="Folder of images and masks: images/ and masks/, or train/ and val/.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="RUN", help="Folder of the training; made if missing.")],
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE", help="A recipe of `cellproof recipes`, or a file. Default: planned from DATA."
        ),
    ] = None,
    init: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Model to start from: a name, a file, or a training run.")
    ] = None,
    time: Annotated[
        str,
        typer.Option(metavar="20min", help="Time for everything, as 90s, 20min or 1.5h. Default: the recipe's steps."),
    ] = "",
    folds: Annotated[
        int | None, typer.Option(min=1, help="Trainings on different divisions; the model is their ensemble.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of every draw.")] = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe, as training.steps=2000; may be repeated."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the training in RUN.")] = False,
    device: Annotated[DeviceOption, typer.Option(help="Where to train.")] = DeviceOption.auto,
) -> None:
    """Train a model on annotated images. Without a recipe, the training is planned from them, and why is said.

    Ctrl-C leaves the best model so far, and --resume goes on.
    """
    from ..workflows.train import TrainRequest, train

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
        device=device.value,
    )
    with watching() as watcher:
        model = train(request, watcher)
    show_result(model)


def parse_time(text: str) -> float | None:
    """Seconds of ``90s``, ``20min``, ``1.5h``; None for an empty text.

    Raises:
        UsageError: Anything else.
    """
    if not text:
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", text.lower())
    unit = _UNITS_S.get(found[2]) if found else None
    if found is None or unit is None or not float(found[1]):
        raise UsageError(f"--time {text!r}; wanted a number and a unit, as in --time 90s, --time 20min or --time 1.5h")
    return float(found[1]) * unit


@dataclass
class _Display:
    """Progress on stderr: a bar on a terminal, else some twenty lines a training."""

    console: Console
    bar: Bar
    task: TaskID
    line: tuple[int, int] = (-1, 0)

    def step(self, fold: int, folds: int, progress: Progress) -> None:
        title = "training" if folds == 1 else f"training {fold + 1}/{folds}"
        if self.console.is_terminal:
            self.bar.update(self.task, total=1.0, completed=progress.share, description=title, words=words(progress))
            return
        line = (fold, int(progress.share * _LINES))
        if line != self.line:
            self.line = line
            self.console.print(f"{title} {progress.share:4.0%}, {words(progress)}")


@contextmanager
def watching(*, quiet: bool = False) -> Iterator[Watcher]:
    """Show the plan on stdout, or nowhere, and progress on stderr while a training runs."""
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Bar

    from ..workflows.train import Watcher, training_page

    console = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[words]}", markup=False),
    )
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        display = _Display(console, bar, bar.add_task("reading", total=None, words=""))
        yield Watcher(say=console.print if quiet else typer.echo, step=display.step, page=training_page)


def words(progress: Progress) -> str:
    """Step, loss, best score and time left."""
    from ..workflows.train import duration

    parts = [f"step {progress.step}", f"loss {progress.loss:.3f}"]
    if math.isfinite(progress.best):
        parts.append(f"best score {progress.best:.3f}")
    if progress.share > 0:
        parts.append(f"{duration(progress.seconds * (1 - progress.share) / progress.share)} left")
    return ", ".join(parts)


def show_result(model: Path) -> None:
    """Scores, where the model and the page are, and what to type next."""
    from ..io import read_header

    header = read_header(model)
    typer.echo(f"held-out images: {scores(header.metrics)}")
    for group in dict.fromkeys(name.rpartition("/")[0] for name in header.metrics if "/" in name):
        of_group = {name.rpartition("/")[2]: v for name, v in header.metrics.items() if name.startswith(f"{group}/")}
        typer.echo(f"  {group}: {scores(of_group)}")
    typer.echo(f"model: {model}")
    typer.echo(f"report: {model.parent / 'report.html'}")
    typer.echo(f"next: cellproof segment IMAGES --out RESULTS --model {model}")


def scores(metrics: Mapping[str, float]) -> str:
    """Metrics of all images in a line."""
    return ", ".join(f"{name} {value:.3f}" for name, value in metrics.items() if "/" not in name) or "no score"
