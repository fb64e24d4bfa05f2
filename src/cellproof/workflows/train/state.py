"""What a training is asked to do, what is known of it so far, and who is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from ...data.description import Description
from ...data.folds import Fold
from ...difficulty.measures import DifficultyMaps
from ...recipe import Recipe
from ...training.history import HistoryRow
from ...training.loop import Progress
from .certainty import Certainty


@dataclass(frozen=True)
class TrainRequest:
    """What to train on, and how.

    Attributes:
        data: Folder of annotated images.
        out: Folder of the run.
        recipe: Name or file of a recipe; None plans one from the data.
        init: Model to start from; None leaves it to the recipe.
        seconds: Time for everything, None for as long as the steps take.
        folds: Number of trainings, None leaves it to the recipe.
        seed: Random seed, at least 0.
        settings: ``section.key=value`` changes to the recipe.
        resume: Continue the run in ``out``.
        device: "auto", "cpu", "cuda" or "mps".
    """

    data: Path
    out: Path
    recipe: str | None = None
    init: str | None = None
    seconds: float | None = None
    folds: int | None = None
    seed: int = 0
    settings: tuple[str, ...] = ()
    resume: bool = False
    device: str = "auto"


@dataclass(frozen=True)
class ValidationExample:
    """A held-out image with what a person drew and what the model says.

    Attributes:
        name: Of the image.
        image: (C, H, W) float32, normalized, at the working scale.
        reference: (H, W) object ids, or class ids with the ignore value.
        prediction: (H, W) the same of the model.
        difficulty: Measures of it.
        explained: What the network's ``explain`` gives to look at, name → (H, W); empty without one.
    """

    name: str
    image: np.ndarray
    reference: np.ndarray
    prediction: np.ndarray
    difficulty: DifficultyMaps
    explained: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass
class Timings:
    """Seconds of a run's parts; training is counted over all resumptions."""

    reading_s: float = 0.0
    training_s: float = 0.0
    choosing_s: float = 0.0


@dataclass
class RunState:
    """What is known of a run so far; its report and its ``run.json`` are drawn from this.

    Attributes:
        request: What was asked.
        recipe: What is carried out.
        description: Of the data.
        reasons: The plan, a sentence each.
        folds: Division of the images.
        device: "cpu", "cuda" or "mps".
        status: Where it stands.
        history: Rows of each fold that has begun, by its number from 0, up to its last validation.
        step_losses: (step, loss) of each fold that has begun.
        metrics: Of the finished model on held-out images.
        verdict: Whether the model can be used, a sentence each; empty before the end, and where nothing is to be said.
        examples: Some of those images.
        certainty: Whether what the model says of itself is true of them.
        timings: Of this run.
    """

    request: TrainRequest
    recipe: Recipe
    description: Description
    reasons: list[str]
    folds: list[Fold]
    device: str
    status: Literal["running", "stopped", "finished"] = "running"
    history: dict[int, tuple[HistoryRow, ...]] = field(default_factory=dict)
    step_losses: dict[int, list[tuple[int, float]]] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    verdict: tuple[str, ...] = ()
    examples: list[ValidationExample] = field(default_factory=list)
    certainty: Certainty = field(default_factory=Certainty)
    timings: Timings = field(default_factory=Timings)

    @property
    def trained_s(self) -> float:
        """Training time of all folds up to their last validation."""
        return sum(rows[-1].seconds for rows in self.history.values() if rows)

    @property
    def steps(self) -> int:
        """Steps of all folds up to their last validation."""
        return sum(rows[-1].step for rows in self.history.values() if rows)


@dataclass(frozen=True)
class Watcher:
    """Progress callbacks of a training run; each must return quickly.

    Attributes:
        say: Called with a sentence for the user.
        step: Called after each step with (fold, folds, progress).
    """

    say: Callable[[str], None] = lambda sentence: None
    step: Callable[[int, int, Progress], None] = lambda fold, folds, progress: None
