"""What became of the inputs of a job, and who is told of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...checks import InputError
from .names import Failure
from .record import Record
from .summary import Run


@dataclass(frozen=True)
class Outcome:
    """What became of one input.

    Attributes:
        path: The input as given.
        name: What the names of its results begin with.
        state: "done" now, "skipped" because it was complete, "failed", or "left out" because its content is done
            under another name.
        record: Record of the results; None when failed or left out.
        reason: Why it failed or was left out, in one line.
        arguments: Names of the arguments that the reason advises to change.
        where: What tells its position from others of the file; empty for the only one.
    """

    path: Path
    name: str
    state: Literal["done", "skipped", "failed", "left out"]
    record: Record | None = None
    reason: str = ""
    arguments: tuple[str, ...] = ()
    where: str = ""


@dataclass(frozen=True)
class JobWatcher:
    """Progress callbacks of a job on many files; each must return quickly.

    Attributes:
        say: Called with a sentence for the user.
        begin: Called with the number of inputs, once it is known.
        progress: Called with the input in work, and the fraction of it that is done.
        end: Called with what became of one input.
    """

    say: Callable[[str], None] = lambda sentence: None
    begin: Callable[[int], None] = lambda inputs: None
    progress: Callable[[Path, float], None] = lambda path, fraction: None
    end: Callable[[Outcome], None] = lambda outcome: None


@dataclass(frozen=True)
class JobSummary:
    """What a job did.

    Attributes:
        out: Folder of the results.
        outcomes: One for each input, those that do not exist first; fewer after an interruption.
        run: What stands in ``run.json`` besides the inputs.
        problem: Why tables or report could not be written; empty if they were.
        written: Whether there are tables and a report; there are none where no input exists.
    """

    out: Path
    outcomes: tuple[Outcome, ...]
    run: Run
    problem: str = ""
    written: bool = True

    def of(self, state: Literal["done", "skipped", "failed", "left out"]) -> list[Outcome]:
        """Outcomes of one kind."""
        return [outcome for outcome in self.outcomes if outcome.state == state]

    @property
    def verdicts(self) -> Mapping[str, int]:
        """Number of this job's images with each verdict."""
        found = [outcome.record.verdict for outcome in self.outcomes if outcome.record is not None]
        return {verdict: found.count(verdict) for verdict in ("accept", "review", "reject")}


def failed(path: Path, name: str, error: InputError | OSError) -> Outcome:
    """The outcome of an input with which something is wrong, in words that tell what to do."""
    if isinstance(error, OSError):
        reason = f"{path}: {error.strerror or error}; check the name, its permissions and the disk"
        return Outcome(path, name, "failed", reason=reason)
    return Outcome(path, name, "failed", reason=str(error), arguments=error.arguments)


def without_result(failure: Failure) -> Outcome:
    """The outcome of an input that is not there or is not read."""
    return Outcome(failure.path, failure.name, "left out" if failure.left_out else "failed", reason=failure.reason)


def nothing_done(out: Path, missing: Sequence[Failure], watcher: JobWatcher) -> JobSummary:
    """The summary of a job of which no input exists; nothing is written."""
    watcher.begin(len(missing))
    outcomes = tuple(without_result(failure) for failure in missing)
    for outcome in outcomes:
        watcher.end(outcome)
    return JobSummary(out, outcomes, Run(), written=False)
