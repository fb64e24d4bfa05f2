"""Data and a recipe become a model.

`run_training` looks at the data, plans or reads the recipe, trains a network for every fold, tunes what
validation can choose, and writes one model file. Whatever stops it, what is under ``RUN/`` is whole.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...checks import InputError, UsageError
from ...data.folds import Fold, check_classes
from ...recipe import override
from ...report.curves import WATCHED
from ...training.allocator import keep_freed_memory
from ...training.history import best_row
from ...training.loop import Progress, run
from ...training.trainer import Trainer
from ...types import Sample
from ..collect import Collection, collect, find_records
from ..predict import MODEL_FILE, write_trained
from .batches import batch_maker
from .build import build_module, heads_of, loop_options, loss_of
from .examples import make_examples
from .fingerprint import check_fingerprint, write_fingerprint
from .folder import (
    checkpoint_path,
    open_run,
    restore_checkpoint,
    save_checkpoint,
    unfinished_weights,
    write_plan,
    write_state,
)
from .header import make_header
from .losses import read_losses, write_losses
from .sight import MEASURED_IMAGES, diameter_of_largest, size_warning
from .speed import fit_steps, measure_step_s, pace
from .start import start_from
from .state import RunState, TrainRequest, Watcher
from .tune import Tuned, tune
from .tune_steps import without_learned
from .validate import Validator
from .verdict import judge, trivial_score

TOLD_AT = 0.1
"""Fraction of a run after which its pace is known."""

CHECKPOINT_EVERY_S = 120.0
"""A kill loses at most this much work."""

Members = list[Mapping[str, Tensor]]
"""Weights of each fold's network."""


def run_training(request: TrainRequest, watcher: Watcher) -> Path:
    """Train a model as requested.

    Returns:
        The model file, ``RUN/model.safetensors``.

    Raises:
        InputError: The data, the recipe or the run folder cannot be used; or the loss stopped being a number, and
            the best model before that was written.
        KeyboardInterrupt: After the best model so far and the state to resume from were written.
    """
    started = time.monotonic()
    keep_freed_memory()
    device = choose_device(request.device)
    records, description = find_records(request.data, watcher.say)
    state = open_run(request, records, description, device=device)
    if request.resume:
        check_fingerprint(request.out, request.data, records)
    collection = collect(records, description, state.recipe, watcher.say)
    state.timings.reading_s = time.monotonic() - started
    if not request.resume:
        if len(state.folds) > 1:
            check_classes(state.folds, collection.present, description.classes)
        _plan_steps(collection, state)
        state.timings.reading_s = time.monotonic() - started
        _warn_of_size(collection, state)
        write_fingerprint(request.out, request.data, records)
        write_plan(state)
    for reason in state.reasons:
        watcher.say(f"plan: {reason}")
    members: Members = []
    try:
        for number in range(len(state.folds)):
            members.append(_train_fold(number, collection, state, watcher))
        tuned = _tune(members, collection, state, watcher)
    except KeyboardInterrupt:
        _keep_unfinished(members, collection, state, watcher)
        watcher.say("the training run can be resumed where it stopped")
        raise
    except FloatingPointError as error:
        _keep_unfinished(members, collection, state, watcher)
        raise InputError(f"{error}, and start anew in another folder") from error
    return _finish(members, tuned, collection, state, watcher)


def choose_device(name: str) -> str:
    """The device to train on: "cuda", "mps" or "cpu" for "auto".

    Raises:
        UsageError: The device asked for is not there.

    Example:
        >>> choose_device("cpu")
        'cpu'
    """
    mps = getattr(torch.backends, "mps", None)  # builds without it lack the name as well
    there = {"cuda": torch.cuda.is_available(), "mps": mps is not None and mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device, is_there in there.items() if is_there)
    if not there.get(name, False):
        available = ", ".join(device for device, is_there in there.items() if is_there)
        raise UsageError(f"device {name!r} is not available here; there: {available}", argument="device")
    return name


def _plan_steps(collection: Collection, state: RunState) -> None:
    """With a time limit, plan as many steps as this machine takes in it, unless a recipe or an override says how many.

    Changes the state's recipe and reasons.
    """
    request = state.request
    seconds = _seconds_for(0, state)
    if seconds is None:
        return
    step_s = measure_step_s(collection, state)
    recipe, reason = fit_steps(state.recipe, step_s=step_s, seconds=seconds)
    if request.recipe is None and not any(text.startswith("training.steps") for text in request.settings):
        state.recipe = recipe if not request.settings else override(recipe, request.settings)
        state.reasons = [*state.reasons, reason]
    else:
        planned = f"{recipe.training.steps} steps fit the time, at {step_s:.2g} s per step as measured here"
        state.reasons = [*state.reasons, f"{planned}; the recipe plans {state.recipe.training.steps}"]


def _warn_of_size(collection: Collection, state: RunState) -> None:
    """Add a sentence to the reasons where the largest object exceeds what the network sees."""
    if heads_of(state.recipe, collection.description).is_detector:
        return  # its objects have a scale of their own each
    spread = collection.records[:: max(1, len(collection.records) // MEASURED_IMAGES)]
    torch.manual_seed(state.request.seed)
    warning = size_warning(
        build_module(state.recipe, collection.description),
        in_channels=state.recipe.data.network_channels,
        largest_px=diameter_of_largest(collection.samples([record.name for record in spread])),
    )
    state.reasons = [*state.reasons, warning] if warning else state.reasons


def _train_fold(number: int, collection: Collection, state: RunState, watcher: Watcher) -> Mapping[str, Tensor]:
    """Weights of one fold's network; those of an earlier run where they are complete."""
    trainer = _make_trainer(number, collection, state, watcher)
    state.history[number] = tuple(trainer.history)
    if trainer.is_validation_due or not trainer.is_over:
        _run(number, trainer, collection, state, watcher)
    state.timings.training_s = state.trained_s
    assert trainer.best is not None
    return trainer.best


def _make_trainer(number: int, collection: Collection, state: RunState, watcher: Watcher) -> Trainer:
    """A new trainer, or one in the state of its checkpoint."""
    recipe, request = state.recipe, state.request
    seed = request.seed + 1000 * number
    torch.manual_seed(seed)
    module = build_module(recipe, collection.description)
    checkpoint = checkpoint_path(request.out, number)
    if recipe.model.init and not checkpoint.exists():
        copied, there = start_from(module, recipe.model.init)
        watcher.say(f"start from {recipe.model.init!r}: {copied} of {there} tensors fit")
    options = loop_options(recipe, seed=seed, seconds=_seconds_for(number, state))
    trainer = Trainer(module.to(state.device), options)
    if checkpoint.exists():
        restore_checkpoint(trainer, checkpoint)
        state.step_losses[number] = read_losses(request.out, fold=number, up_to_step=trainer.step)
        watcher.say(f"training {number + 1} of {len(state.folds)} goes on after step {trainer.step}")
    return trainer


def _run(number: int, trainer: Trainer, collection: Collection, state: RunState, watcher: Watcher) -> None:
    """Run one fold's trainer to its end, leaving checkpoints; also when interrupted."""
    recipe, fold = state.recipe, state.folds[number]
    path = checkpoint_path(state.request.out, number)
    saved = time.monotonic()
    losses = state.step_losses.setdefault(number, [])
    limit_s = trainer.options.seconds
    told = False

    def on_step(progress: Progress) -> None:
        nonlocal saved, told
        losses.append((progress.step, progress.loss))
        watcher.step(number, len(state.folds), progress)
        if limit_s is not None and not told and progress.share >= TOLD_AT:
            told = True
            slow = pace(progress.step, progress.seconds, planned=recipe.training.steps, limit_s=limit_s)
            if slow:
                watcher.say(slow)
        if time.monotonic() - saved > CHECKPOINT_EVERY_S:
            save_checkpoint(trainer, path)
            saved = time.monotonic()

    def on_validation(trainer: Trainer) -> None:
        nonlocal saved
        save_checkpoint(trainer, path)
        saved = time.monotonic()
        write_losses(state.request.out, state.step_losses)
        state.history[number] = tuple(trainer.history)
        write_state(state)

    try:
        run(
            trainer,
            batch_at=batch_maker(collection, fold, recipe, seed=trainer.options.seed),
            loss=loss_of(collection, fold, recipe),
            validate=_validator(fold, collection, state),
            on_step=on_step,
            on_validation=on_validation,
        )
    except KeyboardInterrupt:
        if trainer.step:
            save_checkpoint(trainer, path)
            write_losses(state.request.out, state.step_losses)
        raise


def _validator(fold: Fold, collection: Collection, state: RunState) -> Validator:
    recipe = state.recipe
    return Validator(
        collection.samples(fold.val),
        heads=heads_of(recipe, collection.description),
        in_channels=recipe.data.in_channels,
        conditions=recipe.data.conditions,
        unknown=recipe.data.unknown,
        withheld=recipe.data.condition_dropout > 0,
        options=recipe.instance,
        most_pixels=recipe.training.validation_pixels,
        precision=recipe.training.precision,
    )


def _seconds_for(number: int, state: RunState) -> float | None:
    """Time of one fold: its fraction of what is left, less what tuning and writing take."""
    total = state.request.seconds
    if total is None:
        return None
    reserve = 10.0 + 0.05 * total
    left = total - reserve - state.timings.reading_s - state.trained_s
    return max(5.0, left / (len(state.folds) - number))


def _tune(members: Members, collection: Collection, state: RunState, watcher: Watcher) -> Tuned:
    started = time.monotonic()
    watcher.say("choosing thresholds and temperature on the validation images")
    recipe = state.recipe
    # Where the clock runs, a choice from more pixels than a validation sees would outlast it.
    unhurried = state.request.seconds is None
    tuned = tune(
        members,
        [collection.samples(fold.val) for fold in state.folds],
        recipe=recipe,
        heads=heads_of(recipe, collection.description),
        module=build_module(recipe, collection.description).to(state.device),
        groups=collection.validation_groups(state.folds, recipe.data.balance),
        most_pixels=(3 if unhurried else 1) * recipe.training.validation_pixels,
        copies=unhurried,
        say=watcher.say,
        classes=collection.description.classes,
        taught=partial(_taught, collection, state),
        seed=state.request.seed,
    )
    if tuned.note:
        watcher.say(tuned.note)
    state.timings.choosing_s = time.monotonic() - started
    return tuned


def _taught(collection: Collection, state: RunState) -> Iterator[tuple[int, Sample]]:
    """Training samples with the number of a fold that learned from them, in an order drawn by the seed."""
    pairs = [(number, name) for number, fold in enumerate(state.folds) for name in fold.train]
    for place in np.random.default_rng(state.request.seed).permutation(len(pairs)):
        number, name = pairs[place]
        yield number, collection.samples([name])[0]


def _finish(members: Members, tuned: Tuned, collection: Collection, state: RunState, watcher: Watcher) -> Path:
    """Write the model, and the state with images of what it does."""
    path = state.request.out / MODEL_FILE
    header = make_header(len(members), collection, state, tuned)
    write_trained(path, header, members, half_precision=state.recipe.model.half_precision)
    state.metrics, state.certainty = dict(tuned.metrics), tuned.certainty
    module = build_module(state.recipe, collection.description).to(state.device)
    state.examples = make_examples(members, state.folds, collection, header=header, module=module)
    state.verdict = _verdict(collection, state)
    state.status = "finished"
    write_state(state)
    for sentence in state.verdict:
        watcher.say(f"warning: {sentence}")
    return path


def _verdict(collection: Collection, state: RunState) -> tuple[str, ...]:
    heads = heads_of(state.recipe, collection.description)
    held_out = [sample for fold in state.folds for sample in collection.samples(fold.val)]
    return judge(
        [state.history.get(number, ()) for number in range(len(state.folds))],
        state.metrics,
        baseline=trivial_score(held_out, heads=heads),
        has_instances=heads.has_instances,
    )


def _keep_unfinished(members: Members, collection: Collection, state: RunState, watcher: Watcher) -> None:
    """Write the best model so far, untuned, with the fold that was interrupted as its last member."""
    unfinished = unfinished_weights(checkpoint_path(state.request.out, len(members)))
    if unfinished is not None and all(bool(value.isfinite().all()) for value in unfinished.values()):
        members = [*members, unfinished]
    state.status = "stopped"
    write_state(state)
    if not members:
        watcher.say("stopped before the first model worth keeping; there is none yet")
        return
    path = state.request.out / MODEL_FILE
    tuned = Tuned(state.recipe.instance, 1.0, _metrics_so_far(state), without_learned(state.recipe.steps))
    header = make_header(len(members), collection, state, tuned)
    write_trained(path, header, members, half_precision=state.recipe.model.half_precision)
    watcher.say(f"stopped; {path} holds the best model so far")


def _metrics_so_far(state: RunState) -> Mapping[str, float]:
    """Metrics of the best validation where there is one training; of several, nothing was measured together."""
    best = best_row(state.history.get(0, ()))
    if best is None or len(state.folds) > 1:
        return {}
    return {name: value for name, value in best.metrics.items() if not name.startswith(WATCHED)}
