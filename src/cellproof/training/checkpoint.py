"""A training's whole state as named tensors and plain values, and back.

No pickle: the tensors go into a safetensors file, the values into its JSON header.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import msgspec
import torch
from torch import Tensor

from ..checks import InputError
from .history import HistoryRow
from .stopping import Stopping
from .trainer import Trainer


class Counters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The plain values of a training's state.

    Attributes:
        step: Steps taken.
        seconds: Training time.
        average_updates: Updates of the weight average.
        stopping: Best score, its step, validations since, patience.
        history: All rows.
        loss_sum: Sum of the losses since the last row.
        loss_count: Number of them.
        limit_s: Time that the training was given, None for no limit.
    """

    step: int
    seconds: float
    average_updates: int
    stopping: tuple[float | None, int, int, int | None]
    history: tuple[tuple[int, float, float, float | None, float | None, dict[str, float | None]], ...]
    loss_sum: float = 0.0
    loss_count: int = 0
    limit_s: float | None = None


def to_tensors(trainer: Trainer) -> tuple[dict[str, Tensor], str]:
    """Tensors and a JSON text that together hold everything `restore` needs."""
    tensors = {f"module.{name}": value for name, value in trainer.module.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in trainer.average.module.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in (trainer.best or {}).items()}
    for index, slots in trainer.optimizer.state_dict()["state"].items():
        for slot, value in slots.items():
            if value is not None:
                tensors[f"optimizer.{index}.{slot}"] = torch.as_tensor(value)
    stopping = trainer.stopping
    counters = Counters(
        step=trainer.step,
        seconds=trainer.seconds,
        average_updates=trainer.average.updates,
        stopping=(_finite(stopping.best), stopping.best_step, stopping.worse, stopping.patience),
        history=tuple(_row_values(row) for row in trainer.history),
        loss_sum=trainer.loss_sum,
        loss_count=trainer.loss_count,
        limit_s=trainer.options.seconds,
    )
    # Copies: safetensors refuses views of shared storage, and channels-last weights are not contiguous.
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    return tensors, msgspec.json.encode(counters).decode()


def restore(trainer: Trainer, tensors: dict[str, Tensor], counters_json: str) -> None:
    """Put a freshly made trainer of the same options into the state that was saved.

    The time limit is the saved one, if there was one, so that a training which was through stays so.

    Raises:
        InputError: The state belongs to another network or another version.
    """
    try:
        counters = msgspec.json.decode(counters_json, type=Counters)
        trainer.module.load_state_dict(_part(tensors, "module."))
        trainer.average.module.load_state_dict(_part(tensors, "average."))
        _restore_optimizer(trainer.optimizer, _part(tensors, "optimizer."))
    except (RuntimeError, ValueError, KeyError, msgspec.MsgspecError) as error:
        first_line = str(error).splitlines()[0]
        raise InputError(
            f"the saved training state does not fit this network ({first_line}); "
            "resume with the recipe and version it was started with, or start anew in another folder"
        ) from error
    best, best_step, worse, patience = counters.stopping
    if counters.limit_s is not None:
        trainer.options = replace(trainer.options, seconds=counters.limit_s)
    trainer.step = counters.step
    trainer.seconds = counters.seconds
    trainer.average.updates = counters.average_updates
    trainer.stopping = Stopping(
        patience=patience, best=float("-inf") if best is None else best, best_step=best_step, worse=worse
    )
    trainer.history = [_row(values) for values in counters.history]
    trainer.loss_sum, trainer.loss_count = counters.loss_sum, counters.loss_count
    trainer.best = _part(tensors, "best.") or None


def weights_so_far(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The model of an unfinished training: its best weights, or before a first validation the averaged ones."""
    return _part(tensors, "best.") or _part(tensors, "average.")


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _restore_optimizer(optimizer: torch.optim.Optimizer, slots: Mapping[str, Tensor]) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in slots.items():
        index, slot = name.split(".")
        state.setdefault(int(index), {})[slot] = value
    # The groups hold options only, and those come from the recipe that made the trainer.
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    for parameter in parameters:
        for slot, value in optimizer.state.get(parameter, {}).items():
            if value.shape == parameter.shape:
                # In the parameter's own memory order, as if it had never been saved: sums then round alike.
                optimizer.state[parameter][slot] = torch.empty_like(parameter).copy_(value)


def _finite(value: float) -> float | None:
    # JSON has neither infinity nor NaN.
    return value if math.isfinite(value) else None


def _row_values(row: HistoryRow) -> tuple[int, float, float, float | None, float | None, dict[str, float | None]]:
    metrics = {name: _finite(value) for name, value in row.metrics.items()}
    return (row.step, row.seconds, row.learning_rate, _finite(row.loss), _finite(row.score), metrics)


def _row(values: tuple[int, float, float, float | None, float | None, dict[str, float | None]]) -> HistoryRow:
    step, seconds, learning_rate, loss, score, metrics = values
    return HistoryRow(
        step=step,
        seconds=seconds,
        learning_rate=learning_rate,
        loss=math.nan if loss is None else loss,
        score=math.nan if score is None else score,
        metrics={name: math.nan if value is None else value for name, value in metrics.items()},
    )
