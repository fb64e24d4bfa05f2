"""Progress on standard error: a bar on a terminal, lines everywhere."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ._options import plural, with_advice

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import ProgressColumn, TaskID

    from ..training.loop import Progress
    from ..workflows.segment import JobWatcher, Outcome
    from ..workflows.train import Watcher

_LINES = 20
"""Lines of progress of a training run where there is no terminal for a bar."""


@contextmanager
def watching_job() -> Iterator[JobWatcher]:
    """Show progress on stderr while a job on many files runs."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    from ..workflows.segment import JobWatcher

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with _bar(*columns) as bar:
        display = _FileDisplay(bar, bar.add_task("reading", total=None))
        yield JobWatcher(say=display.say, begin=display.begin, progress=display.progress, end=display.end)


@contextmanager
def watching_training(*, quiet: bool = False) -> Iterator[Watcher]:
    """Show the plan on stdout, or on stderr where ``quiet``, and progress on stderr while a training runs."""
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn

    from ..workflows.train import Watcher

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[words]}", markup=False),
    )
    with _bar(*columns) as bar:
        display = _TrainingDisplay(bar.console, bar, bar.add_task("reading", total=None, words=""))
        yield Watcher(say=bar.console.print if quiet else typer.echo, step=display.step)


@contextmanager
def _bar(*columns: ProgressColumn) -> Iterator[Bar]:
    from rich.console import Console
    from rich.progress import Progress as Bar

    console = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield bar


@dataclass
class _FileDisplay:
    """A bar over the inputs, and a line for each that ended."""

    bar: Bar
    task: TaskID
    inputs: int = 0
    ended: int = 0

    def begin(self, inputs: int) -> None:
        self.inputs = inputs
        self.bar.update(self.task, total=inputs)

    def progress(self, path: Path, fraction: float) -> None:
        self.bar.update(self.task, description=path.name, completed=self.ended + fraction)

    def end(self, outcome: Outcome) -> None:
        self.ended += 1
        self.bar.update(self.task, completed=self.ended)
        self.say(f"[{self.ended}/{self.inputs}] {describe(outcome)}")

    def say(self, sentence: str) -> None:
        self.bar.console.print(" ".join(sentence.splitlines()))  # a file's name may hold line feeds


@dataclass
class _TrainingDisplay:
    """A bar over the training run, or some twenty lines."""

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


def describe(outcome: Outcome) -> str:
    """One line on what became of an input."""
    record = outcome.record
    if record is None:
        return f"{outcome.state}: {with_advice(outcome.reason, outcome.arguments)}"
    if outcome.state == "skipped":
        return f"{outcome.path}{outcome.where}: complete already, skipped"
    found = plural(record.count, "object")
    return f"{outcome.path}{outcome.where}: {found}, {record.verdict} ({record.seconds.total:.1f} s)"


def words(progress: Progress) -> str:
    """Step, loss, best score and time left."""
    from ..workflows.train import duration

    parts = [f"step {progress.step}", f"loss {progress.loss:.3f}"]
    if math.isfinite(progress.best):
        parts.append(f"best score {progress.best:.3f}")
    if progress.share > 0:
        parts.append(f"{duration(progress.seconds * (1 - progress.share) / progress.share)} left")
    return ", ".join(parts)
