"""How fast this machine trains, measured before the steps are planned."""

from __future__ import annotations

import time
from statistics import median

import msgspec
import torch

from ...recipe import Recipe
from ...training.trainer import Trainer
from ..collect import Collection
from .batches import batch_maker
from .build import build_module, loop_options, loss_of
from .state import RunState

TIMED = 3
"""Steps that are timed, after a first one that is not: it fills caches and compiles kernels."""

MOST_OF_THE_TIME = 0.1
"""Measuring stops early beyond this fraction of the time for everything."""

IN_STEPS = 0.85
"""Fraction of the training time that goes into steps; the rest goes into validations."""

FEW_STEPS = 100
"""Fewer hardly ever make a useful model, even from good start weights."""

SLOWER = 0.7
"""Below this fraction of the planned steps, a run says at which pace it goes."""


def measure_step_s(collection: Collection, state: RunState) -> float:
    """Seconds per step, batch included: the median of up to three, on a network that is thrown away.

    Args:
        collection: The data.
        state: Its recipe, device and seed are used; with no time limit, all steps are timed.
    """
    recipe, fold = state.recipe, state.folds[0]
    torch.manual_seed(state.request.seed)
    module = build_module(recipe, collection.description).to(state.device)
    trainer = Trainer(module, loop_options(recipe, seed=state.request.seed, seconds=None))
    batch_at = batch_maker(collection, fold, recipe, seed=state.request.seed)
    loss = loss_of(collection, fold, recipe)
    most_s = MOST_OF_THE_TIME * state.request.seconds if state.request.seconds else float("inf")
    begun = time.monotonic()
    taken: list[float] = []
    while len(taken) <= TIMED and (not taken or time.monotonic() - begun < most_s):
        started = time.monotonic()
        trainer.take_step(batch_at(len(taken)), loss)  # reads the loss, and so waits for the device
        taken.append(time.monotonic() - started)
    return median(taken[1:] or taken)


def fit_steps(recipe: Recipe, *, step_s: float, seconds: float) -> tuple[Recipe, str]:
    """The recipe with as many steps as fit, and the sentence that says so.

    Args:
        recipe: As planned.
        step_s: Seconds per step, from `measure_step_s`.
        seconds: Time of one fold, validations included.

    Example:
        >>> recipe, reason = fit_steps(Recipe(name="cells"), step_s=0.5, seconds=120)
        >>> recipe.training.steps, recipe.training.validate_every
        (204, 17)
    """
    steps = max(1, int(IN_STEPS * seconds / step_s))
    training = msgspec.structs.replace(
        recipe.training,
        steps=steps,
        validate_every=max(5, steps // 12),
        average_decay=average_decay(steps),
    )
    reason = (
        f"about {steps} step{'' if steps == 1 else 's'} fit the time, at {step_s:.2g} s per step as measured here; the "
        "learning rate follows the clock, so that it has come to rest when time is up"
    )
    if steps < FEW_STEPS:
        reason += f"; fewer than {FEW_STEPS} steps are hardly ever enough, so give more time"
    return msgspec.structs.replace(recipe, training=training), reason


def average_decay(steps: int) -> float:
    """Decay of the moving average of the weights: its memory is a fraction of the run, for runs of any length."""
    longest = 0.995 if steps < 2000 else 0.998
    return max(0.5, min(longest, 1 - 5 / steps))


def pace(step: int, seconds: float, *, planned: int, limit_s: float) -> str:
    """How many of the planned steps the time allows, where it is markedly fewer; empty otherwise.

    Args:
        step: Steps taken.
        seconds: Time that they took, validations included.
        planned: Steps of the plan.
        limit_s: Time of this fold.

    Example:
        >>> pace(2, 16.0, planned=212, limit_s=112.0)
        'at this pace 14 of 212 steps fit the time'
    """
    possible = max(step, int(step / seconds * limit_s)) if seconds else planned
    return f"at this pace {possible} of {planned} steps fit the time" if possible < SLOWER * planned else ""
