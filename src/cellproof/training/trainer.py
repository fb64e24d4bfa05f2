"""The state that lives through a training, and one step of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from .average import WeightAverage
from .batch import Batch, Outputs
from .history import HistoryRow
from .interrupt import interrupts_wait
from .options import LoopOptions, build_optimizer, use_bf16
from .schedule import learning_rate_factor
from .stopping import Stopping


class Trainer:
    """Weights, their average, optimizer, counters.

    Attributes:
        options: How to train.
        module: The network being trained.
        average: Its moving average; the model to validate and to ship.
        optimizer: As the options ask.
        step: Steps taken.
        seconds: Training time of earlier runs and of this one up to the last step.
        stopping: Best score and patience.
        history: Rows so far.
        loss_sum: Sum of the losses since the last row.
        loss_count: Number of them.
        best: State of the averaged module at the best score; None before the first validation.
    """

    def __init__(self, module: nn.Module, options: LoopOptions) -> None:
        self.options = options
        self.device = next(module.parameters()).device
        self.autocast = use_bf16(options.precision, self.device)
        self.module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        self.average = WeightAverage(self.module, decay=options.average_decay)
        self.optimizer = build_optimizer(self.module, options)
        self.step = 0
        self.seconds = 0.0
        self.stopping = Stopping(patience=options.patience)
        self.history: list[HistoryRow] = []
        self.loss_sum = 0.0
        self.loss_count = 0
        self.best: dict[str, Tensor] | None = None
        # Layers that change in the course of a training, as batch renormalization does; a loss may listen too.
        parts = self.module.modules()
        self._listeners: list[Callable[[float], None]] = [p.tell_progress for p in parts if hasattr(p, "tell_progress")]

    @property
    def share(self) -> float:
        """Share of the training that is done, in [0, 1]."""
        by_time = self.seconds / self.options.seconds if self.options.seconds else 0.0
        return min(1.0, max(self.step / self.options.steps, by_time))

    @property
    def is_over(self) -> bool:
        """Whether steps, time or patience are used up."""
        return self.share >= 1.0 or self.stopping.is_over

    @property
    def is_validation_due(self) -> bool:
        """Whether the weights as they are now are to be validated and were not yet."""
        validated = self.history[-1].step if self.history else 0
        return self.step > validated and (self.share >= 1.0 or self.step % self.options.validate_every == 0)

    @property
    def learning_rate(self) -> float:
        """Learning rate of the coming step."""
        options, share = self.options, self.share
        if share <= 1 - options.cooldown:
            return options.learning_rate * self._factor(self.step, share)
        start = 1 - options.cooldown
        falling = (1 - share) / options.cooldown
        return options.learning_rate * self._factor(start * options.steps, start) * falling

    def _factor(self, step: float, share: float) -> float:
        """Factor of the schedule at a step, which by time is a fraction of the training."""
        options = self.options
        return learning_rate_factor(
            share if options.horizon is None else min(1.0, step / options.horizon),
            schedule=options.schedule,
            warmup=options.warmup,
            drop_every=options.drop_every,
            drop=options.drop,
        )

    def take_step(self, batch: Batch, loss: Callable[[Outputs, Batch], Tensor]) -> float:
        """One optimizer step; returns the loss. Ctrl-C waits until it is done.

        Raises:
            FloatingPointError: The loss or a gradient is not finite; no weight was changed.
        """
        with interrupts_wait():
            # Dropout is a function of the seed and the step, so a resumed training draws the same masks.
            torch.manual_seed(int(np.random.SeedSequence([self.options.seed, self.step]).generate_state(1)[0]))
            for group in self.optimizer.param_groups:
                group["lr"] = self.learning_rate
            value = self._forward(batch, loss)
            self.optimizer.zero_grad(set_to_none=True)
            value.backward()
            limit = math.inf if self.options.clip_norm is None else self.options.clip_norm
            self._check(nn.utils.clip_grad_norm_(self.module.parameters(), limit), "gradient")
            self.optimizer.step()
            self.step += 1
            self.average.update(self.module)
            taken = float(value.detach())
            self.loss_sum += taken
            self.loss_count += 1
        return taken

    def _forward(self, batch: Batch, loss: Callable[[Outputs, Batch], Tensor]) -> Tensor:
        self.module.train()
        of_loss = getattr(loss, "tell_progress", None)
        for tell_progress in [*self._listeners, *([of_loss] if of_loss else [])]:
            tell_progress(self.share)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            outputs = self.module(
                batch.images.to(self.device).contiguous(memory_format=torch.channels_last), *self._targets(batch)
            )
        value = loss(outputs, batch)
        self._check(value, "loss")
        return value

    def _targets(self, batch: Batch) -> tuple[Tensor, ...]:
        """What a network that computes its losses itself takes besides images; nothing for all others."""
        if not getattr(self.module, "takes_targets", False):
            return ()
        return batch.class_map.to(self.device), batch.fields.to(self.device)

    def _check(self, value: Tensor, what: str) -> None:
        if not torch.isfinite(value):
            raise FloatingPointError(
                f"{what} is {value.item()} at step {self.step}; lower the learning rate "
                f"(now {self.learning_rate:.2g}) or train in f32"
            )

    def record(self, score: float, metrics: Mapping[str, float]) -> None:
        """Add a row to the history and keep the weights if they are the best so far."""
        self.history.append(
            HistoryRow(
                step=self.step,
                seconds=self.seconds,
                learning_rate=self.learning_rate,
                loss=self.loss_sum / self.loss_count if self.loss_count else math.nan,
                score=score,
                metrics=metrics,
            )
        )
        self.loss_sum, self.loss_count = 0.0, 0
        self.stopping = self.stopping.update(score, self.step)
        # While no score was a number there is no best, and the newest weights have learned longest.
        if self.stopping.is_best or self.stopping.best == -math.inf:
            self.best = {name: value.clone() for name, value in self.average.module.state_dict().items()}
