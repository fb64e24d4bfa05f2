"""The training loop: a step, a validation, and the row that puts them in order.

Everything a step needs is a function of its number and the seed: the batch, the dropout masks and
the learning rate. A training that was stopped and resumed is therefore the same training.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from .average import WeightAverage
from .history import HistoryRow
from .schedule import Schedule, learning_rate_factor
from .stopping import Stopping


@dataclass(frozen=True)
class Batch:
    """What one step learns from.

    Attributes:
        images: (N, C, H, W) float32.
        class_map: (N, H, W) uint8 with the ignore value.
        fields: (N, F, H, W) float32, in the order of the heads.
    """

    images: Tensor
    class_map: Tensor
    fields: Tensor


@dataclass(frozen=True)
class LoopOptions:
    """How to train.

    Attributes:
        steps: Optimiser steps; with a time limit, an upper bound.
        seconds: Wall-clock limit over all resumptions, None for none. The schedule then follows
            whichever of steps and time is further, so the learning rate always ends at its end.
        validate_every: Steps between validations.
        optimiser: "adamw", "adam" or "sgd" (momentum 0.9, Nesterov).
        learning_rate: Base learning rate.
        weight_decay: Decoupled for adamw.
        schedule: See `learning_rate_factor`.
        warmup: Share of the training.
        drop_every: Share of the training, for the step schedule.
        drop: Factor, for the step schedule.
        clip_norm: Largest norm of the gradient, None for no limit.
        average_decay: Decay of the weight average; 0 keeps the weights themselves.
        precision: "bf16" uses autocast; "auto" does where the device computes it natively.
        patience: Validations without improvement before stopping, None for never.
        seed: Seed of dropout.
    """

    steps: int
    seconds: float | None = None
    validate_every: int = 500
    optimiser: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    schedule: Schedule = "cosine"
    warmup: float = 0.02
    drop_every: float = 0.2
    drop: float = 0.5
    clip_norm: float | None = 1.0
    average_decay: float = 0.998
    precision: Literal["auto", "f32", "bf16"] = "auto"
    patience: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Progress:
    """Where a training stands, told after every step."""

    step: int
    share: float
    seconds: float
    loss: float


class Trainer:
    """The state that lives through a training: weights, their average, optimiser, counters.

    Attributes:
        module: The network being trained.
        average: Its moving average; the model to validate and to ship.
        optimiser: As the options ask.
        step: Steps taken.
        seconds: Training time of earlier runs and of this one up to the last step.
        stopping: Best score and patience.
        history: Rows so far.
        best: State of the averaged module at the best score; None before the first validation.
    """

    def __init__(self, module: nn.Module, options: LoopOptions) -> None:
        self.options = options
        self.device = next(module.parameters()).device
        self.autocast = use_bf16(options.precision, self.device)
        self.module = module.to(memory_format=torch.channels_last)
        self.average = WeightAverage(self.module, decay=options.average_decay)
        self.optimiser = build_optimiser(self.module, options)
        self.step = 0
        self.seconds = 0.0
        self.stopping = Stopping(patience=options.patience)
        self.history: list[HistoryRow] = []
        self.best: dict[str, Tensor] | None = None

    @property
    def share(self) -> float:
        """Share of the training that is done, in [0, 1]."""
        by_time = self.seconds / self.options.seconds if self.options.seconds else 0.0
        return min(1.0, max(self.step / self.options.steps, by_time))

    @property
    def learning_rate(self) -> float:
        """Learning rate of the coming step."""
        options = self.options
        factor = learning_rate_factor(
            self.share,
            schedule=options.schedule,
            warmup=options.warmup,
            drop_every=options.drop_every,
            drop=options.drop,
        )
        return options.learning_rate * factor

    def take_step(self, batch: Batch, loss: Callable[[Tensor, Batch], Tensor]) -> float:
        """One optimiser step; returns the loss.

        Raises:
            FloatingPointError: The loss is not finite; nothing was changed.
        """
        # Dropout is a function of the seed and the step, so a resumed training draws the same masks.
        torch.manual_seed(int(np.random.SeedSequence([self.options.seed, self.step]).generate_state(1)[0]))
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate
        self.module.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            outputs = self.module(batch.images.to(self.device).contiguous(memory_format=torch.channels_last))
        value = loss(outputs, batch)
        if not torch.isfinite(value):
            raise FloatingPointError(
                f"loss is {value.item()} at step {self.step}; lower the learning rate "
                f"(now {self.learning_rate:.2g}) or train in f32"
            )
        self.optimiser.zero_grad(set_to_none=True)
        value.backward()
        if self.options.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.module.parameters(), self.options.clip_norm)
        self.optimiser.step()
        self.step += 1
        self.average.update(self.module)
        return float(value.detach())

    def record(self, loss: float, score: float, metrics: dict[str, float]) -> None:
        """Add a row to the history and keep the weights if they are the best so far."""
        self.history.append(
            HistoryRow(
                step=self.step,
                seconds=self.seconds,
                learning_rate=self.learning_rate,
                loss=loss,
                score=score,
                metrics=metrics,
            )
        )
        self.stopping = self.stopping.update(score, self.step)
        if self.stopping.is_best or self.best is None:
            self.best = {name: value.clone() for name, value in self.average.module.state_dict().items()}


def run(
    trainer: Trainer,
    *,
    batch_at: Callable[[int], Batch],
    loss: Callable[[Tensor, Batch], Tensor],
    validate: Callable[[nn.Module], tuple[float, dict[str, float]]],
    on_step: Callable[[Progress], None],
    on_validation: Callable[[Trainer], None],
) -> Trainer:
    """Train until the steps, the time or the patience are used up.

    Args:
        trainer: A new or a restored one.
        batch_at: Batch of a step, a pure function of the step's number.
        loss: (outputs, batch) → scalar.
        validate: Averaged module → (score, metrics).
        on_step: Told after every step, for a progress bar.
        on_validation: Told after every validation, to write checkpoints and reports.

    Returns:
        The trainer, with `best` set.
    """
    options = trainer.options
    losses: list[float] = []
    clock = time.monotonic() - trainer.seconds
    with prefetch(batch_at, trainer.step, options.steps) as batches:
        for batch in batches:
            losses.append(trainer.take_step(batch, loss))
            trainer.seconds = time.monotonic() - clock
            on_step(Progress(trainer.step, trainer.share, trainer.seconds, losses[-1]))
            over = trainer.share >= 1.0
            if over or trainer.step % options.validate_every == 0:
                score, metrics = validate(trainer.average.module)
                trainer.seconds = time.monotonic() - clock
                trainer.record(float(np.mean(losses)), score, metrics)
                losses.clear()
                on_validation(trainer)
            if over or trainer.stopping.is_over:
                break
    return trainer


@contextmanager
def prefetch(batch_at: Callable[[int], Batch], first: int, last: int, *, ahead: int = 2) -> Iterator[Iterator[Batch]]:
    """Batches of the steps ``first``…``last``-1, made in a thread while the network computes.

    Leaving the context, also by an exception or Ctrl-C, waits for the batch in the making only.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as pool:
        waiting = [pool.submit(batch_at, step) for step in range(first, min(last, first + ahead))]

        def batches() -> Iterator[Batch]:
            for step in range(first, last):
                batch = waiting.pop(0).result()
                if step + ahead < last:
                    waiting.append(pool.submit(batch_at, step + ahead))
                yield batch

        try:
            yield batches()
        finally:
            for future in waiting:
                future.cancel()


def use_bf16(precision: str, device: torch.device) -> bool:
    """Whether to compute in bfloat16: as asked, or for "auto" where the device has instructions for it."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return device.type == "cpu" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def build_optimiser(module: nn.Module, options: LoopOptions) -> torch.optim.Optimizer:
    """The optimiser; norms and biases are not decayed, for shrinking them only slows learning."""
    decayed = [p for p in module.parameters() if p.ndim > 1]
    others = [p for p in module.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": options.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    if options.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=options.learning_rate, momentum=0.9, nesterov=True)
    if options.optimiser == "adam":
        return torch.optim.Adam(groups, lr=options.learning_rate)
    return torch.optim.AdamW(groups, lr=options.learning_rate)
