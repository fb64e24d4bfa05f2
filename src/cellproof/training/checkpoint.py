"""A training's whole state as named tensors and plain values, and back.

No pickle: the tensors go into a safetensors file, the values into its JSON header.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import torch
from torch import Tensor

from ..checks import InputError
from .history import HistoryRow
from .loop import Trainer
from .stopping import Stopping


class Counters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The plain values of a training's state.

    Attributes:
        step: Steps taken.
        seconds: Training time.
        average_updates: Updates of the weight average.
        stopping: Best score, its step, validations since, patience.
        history: All rows.
        optimiser: Group options of the optimiser, as JSON.
    """

    step: int
    seconds: float
    average_updates: int
    stopping: tuple[float | None, int, int, int | None]
    history: tuple[tuple[int, float, float, float, float | None, dict[str, float | None]], ...]


def to_tensors(trainer: Trainer) -> tuple[dict[str, Tensor], str]:
    """Tensors and a JSON text that together hold everything `restore` needs."""
    tensors = {f"module.{name}": value for name, value in trainer.module.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in trainer.average.module.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in (trainer.best or {}).items()}
    for index, slots in trainer.optimiser.state_dict()["state"].items():
        for slot, value in slots.items():
            if value is not None:
                tensors[f"optimiser.{index}.{slot}"] = torch.as_tensor(value)
    stopping = trainer.stopping
    counters = Counters(
        step=trainer.step,
        seconds=trainer.seconds,
        average_updates=trainer.average.updates,
        stopping=(_finite(stopping.best), stopping.best_step, stopping.worse, stopping.patience),
        history=tuple(_row_values(row) for row in trainer.history),
    )
    # Copies: safetensors refuses views of shared storage, and channels-last weights are not contiguous.
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    return tensors, msgspec.json.encode(counters).decode()


def restore(trainer: Trainer, tensors: dict[str, Tensor], counters_json: str) -> None:
    """Put a freshly made trainer of the same options into the state that was saved.

    Raises:
        InputError: The state belongs to another network or another version.
    """
    try:
        counters = msgspec.json.decode(counters_json, type=Counters)
        trainer.module.load_state_dict(_part(tensors, "module."))
        trainer.average.module.load_state_dict(_part(tensors, "average."))
        trainer.optimiser.load_state_dict(_optimiser_state(trainer, tensors))
    except (RuntimeError, ValueError, KeyError, msgspec.MsgspecError) as error:
        first_line = str(error).splitlines()[0]
        raise InputError(
            f"the saved training state does not fit this network ({first_line}); "
            "resume with the recipe and version it was started with, or start anew in another folder"
        ) from error
    best, best_step, worse, patience = counters.stopping
    trainer.step = counters.step
    trainer.seconds = counters.seconds
    trainer.average.updates = counters.average_updates
    trainer.stopping = Stopping(
        patience=patience, best=float("-inf") if best is None else best, best_step=best_step, worse=worse
    )
    trainer.history = [_row(values) for values in counters.history]
    trainer.best = _part(tensors, "best.") or None


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _optimiser_state(trainer: Trainer, tensors: dict[str, Tensor]) -> dict[str, Any]:
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in _part(tensors, "optimiser.").items():
        index, slot = name.split(".")
        state.setdefault(int(index), {})[slot] = value
    # The groups hold options only, and those come from the recipe that made the trainer.
    return {"state": state, "param_groups": trainer.optimiser.state_dict()["param_groups"]}


def _finite(value: float) -> float | None:
    # JSON has neither infinity nor NaN.
    return value if math.isfinite(value) else None


def _row_values(row: HistoryRow) -> tuple[int, float, float, float, float | None, dict[str, float | None]]:
    metrics = {name: _finite(value) for name, value in row.metrics.items()}
    return (row.step, row.seconds, row.learning_rate, row.loss, _finite(row.score), metrics)


def _row(values: tuple[int, float, float, float, float | None, dict[str, float | None]]) -> HistoryRow:
    step, seconds, learning_rate, loss, score, metrics = values
    return HistoryRow(
        step=step,
        seconds=seconds,
        learning_rate=learning_rate,
        loss=loss,
        score=math.nan if score is None else score,
        metrics={name: math.nan if value is None else value for name, value in metrics.items()},
    )
