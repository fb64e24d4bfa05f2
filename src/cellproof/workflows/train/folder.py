"""The files of a run, beside its model: plan, division, state, history, report."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ... import __version__
from ...checks import InputError, UsageError
from ...data.description import Description
from ...data.folds import folds_from_json, folds_to_json
from ...data.index import Record
from ...io import make_folder, read_json, remove_leftovers, write_bytes, write_csv, write_json, write_text
from ...recipe import format_recipe, read_recipe
from ...training.checkpoint import restore, to_tensors, weights_so_far
from ...training.history import columns
from ...training.trainer import Trainer
from ..collect import divide
from .choose import choose_recipe
from .conditions import without_unseen
from .over_folds import FOLDS_CSV, over_folds, write_over_folds
from .page import training_page
from .state import RunState, TrainRequest

STATE_FILE = "run.json"


class _StoredRun(msgspec.Struct, frozen=True):
    """What a resumed run needs of its ``run.json``."""

    seed: int
    plan: list[str]
    seconds: float | None = None


def open_run(
    request: TrainRequest,
    records: Sequence[Record],
    description: Description,
    *,
    device: str,
) -> RunState:
    """A new run, of which nothing but its folder is there yet, or the one that is there to be resumed.

    Raises:
        UsageError: The folder holds a run already, or none to resume; or the recipe or a setting is none.
        InputError: The folder cannot be made, or no recipe fits the data.
    """
    if request.resume:
        state = _reopen_run(request, description, device)
    else:
        if (request.out / STATE_FILE).exists() or checkpoint_path(request.out, 0).exists():
            raise UsageError(
                f"{request.out} holds a training run already; resume it, or give another folder",
                argument=("resume", "out"),
            )
        recipe, reasons = choose_recipe(request, records, description, device)
        folds = divide(records, recipe, request.seed)
        if recipe.data.condition:
            recipe, folds, left_out = without_unseen(recipe, folds, records)
            reasons += [left_out] if left_out else []
        state = RunState(request, recipe, description, reasons, folds, device)
    remove_leftovers(make_folder(request.out))
    return state


def write_plan(state: RunState) -> None:
    """Write the recipe, the division and the first state; from then on the run can be resumed.

    Raises:
        InputError: A file cannot be written.
    """
    write_text(state.request.out / "recipe.toml", format_recipe(state.recipe))
    write_text(state.request.out / "splits.json", folds_to_json(state.folds))
    # Last, for this file is what makes the folder a run.
    write_state(state)


def write_state(state: RunState) -> None:
    """Write ``history.csv``, ``run.json`` and ``report.html``, and ``folds.csv`` of a cross-validation.

    Raises:
        InputError: A file cannot be written.
    """
    out = state.request.out
    rows = [(fold + 1, row) for fold, history in sorted(state.history.items()) for row in history]
    write_csv(out / "history.csv", {"fold": [fold for fold, _ in rows], **columns([row for _, row in rows])})
    write_json(
        out / STATE_FILE,
        {
            "cellproof": __version__,
            "versions": {"python": platform.python_version(), "torch": str(torch.__version__), "numpy": np.__version__},
            "data": str(state.request.data),
            "seed": state.request.seed,
            "seconds": state.request.seconds,
            "device": state.device,
            "machine": platform.platform(),
            "threads": torch.get_num_threads(),
            "plan": state.reasons,
            "status": state.status,
            "timings": state.timings,
            "metrics": state.metrics,
            "verdict": list(state.verdict),
            "folds": len(state.folds),
        },
    )
    between = over_folds(state.history)
    if between:
        write_over_folds(out / FOLDS_CSV, between)
    write_text(out / "report.html", training_page(state))


def checkpoint_path(out: Path, fold: int) -> Path:
    """Where the training state of a fold, counted from 0, is kept."""
    return out / f"checkpoint-{fold + 1}.safetensors"


def save_checkpoint(trainer: Trainer, path: Path) -> None:
    """Write everything that `restore_checkpoint` needs, atomically.

    Raises:
        InputError: The file cannot be written; an earlier one stays whole.
    """
    tensors, counters = to_tensors(trainer)
    write_bytes(path, save(tensors, metadata={"counters": counters}))


def restore_checkpoint(trainer: Trainer, path: Path) -> None:
    """Put a freshly made trainer into the state of a file.

    Raises:
        InputError: The file is none of ours, damaged, or of another network.
    """
    counters, tensors = _read_checkpoint(path)
    try:
        restore(trainer, tensors, counters)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def unfinished_weights(path: Path) -> Mapping[str, Tensor] | None:
    """The best model so far of a training that was stopped; None before its first checkpoint.

    Raises:
        InputError: The file is none of ours or damaged.
    """
    return weights_so_far(_read_checkpoint(path)[1]) if path.exists() else None


def _read_checkpoint(path: Path) -> tuple[str, dict[str, Tensor]]:
    """Counters and tensors of a training state."""
    try:
        data = path.read_bytes()
        tensors = load(data)
        length = int.from_bytes(data[:8], "little")
        metadata = msgspec.json.decode(data[8 : 8 + length])["__metadata__"]
        return str(metadata["counters"]), tensors
    except (SafetensorError, KeyError, OSError, msgspec.DecodeError) as error:
        raise InputError(f"{path} is no training state ({error}); remove it to train this fold anew") from error


def _reopen_run(request: TrainRequest, description: Description, device: str) -> RunState:
    out = request.out
    if not (out / STATE_FILE).exists():
        raise UsageError(f"{out} holds no training run to resume; start one without resume", argument="resume")
    try:
        stored = msgspec.convert(read_json(out / STATE_FILE), _StoredRun)
        splits = (out / "splits.json").read_text(encoding="utf-8")
    except (msgspec.ValidationError, OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{out} holds no training that can be resumed ({error}); start one in another folder"
        ) from error
    changed = request.recipe or request.settings or request.folds or request.init
    if changed or request.seconds not in (None, stored.seconds):
        raise UsageError(
            f"{out} is resumed as it was started; leave recipe, overrides, folds, init and time out, or start anew in "
            "another folder",
            argument=("recipe", "overrides", "folds", "init", "time_s"),
        )
    return RunState(
        request=replace(request, seed=stored.seed, seconds=stored.seconds),
        recipe=read_recipe(os.fspath(out / "recipe.toml")),
        description=description,
        reasons=stored.plan,
        folds=folds_from_json(splits),
        device=device,
    )
