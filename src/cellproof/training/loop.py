"""The training loop: a step, a validation, and the row that puts them in order.

Everything a step needs is a function of its number and the seed: the batch, the dropout masks and
the learning rate. A training that was stopped and resumed is therefore the same training.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from .batch import Batch, Outputs
from .interrupt import interrupts_wait
from .prefetch import prefetch
from .trainer import Trainer


@dataclass(frozen=True)
class Progress:
    """Where a training stands, told after every step.

    Attributes:
        step: Steps taken.
        share: Of the training that is done, in [0, 1].
        seconds: Training time, over all resumptions.
        loss: Of this step.
        best: Best score so far; minus infinity before the first.
    """

    step: int
    share: float
    seconds: float
    loss: float
    best: float


def run(
    trainer: Trainer,
    *,
    batch_at: Callable[[int], Batch],
    loss: Callable[[Outputs, Batch], Tensor],
    validate: Callable[[nn.Module], tuple[float, dict[str, float]]],
    on_step: Callable[[Progress], None],
    on_validation: Callable[[Trainer], None],
    clock: Callable[[], float] = time.monotonic,
) -> Trainer:
    """Train until the steps, the time or the patience are used up.

    Args:
        trainer: A new or a restored one; nothing happens where it is through.
        batch_at: Batch of a step, a pure function of the step's number.
        loss: (outputs, batch) → scalar; with a ``tell_progress`` it is told before every step how much is done.
        validate: Averaged module → (score, metrics).
        on_step: Told after every step, for a progress bar and for checkpoints: what it sees is whole.
        on_validation: Told after every validation, to write checkpoints and reports.
        clock: Seconds from any start.

    Returns:
        The trainer, with `best` set.
    """
    started = clock() - trainer.seconds
    with prefetch(batch_at, trainer.step, trainer.options.steps) as batches:
        while True:
            # First, because a training may have been stopped between a step and its validation.
            if trainer.is_validation_due:
                score, metrics = validate(trainer.average.module)
                with interrupts_wait():
                    trainer.seconds = clock() - started
                    trainer.record(score, metrics)
                on_validation(trainer)
            if trainer.is_over:
                return trainer
            taken = trainer.take_step(next(batches), loss)
            trainer.seconds = clock() - started
            on_step(Progress(trainer.step, trainer.share, trainer.seconds, taken, trainer.stopping.best))
