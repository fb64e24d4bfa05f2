"""Class maps are repaired, one step a file: ``apply(prediction, options)`` with an ``Options`` struct.

A step gives a prediction back, with another class map. ``say(options, classes)`` tells in words what the options mean
for these classes, and refuses what cannot be done with them; ``TUNED``, where a file has it, holds the values of
options that validation tries. A step that is learned has ``learn(examples, options, seed)``, which gives numbers and
scores at the end of a training run; ``apply(prediction, options, learned)`` takes the numbers, ``check_learned(options,
learned)`` refuses those that are none, and ``check_learning()`` a training whose end could not learn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import ModuleType
from typing import Any

import msgspec
import numpy as np

from ..checks import InputError
from ..parts import find_part, part_names
from ..types import ModelHeader, Prediction, Setting, Step


def names() -> list[str]:
    """Steps that a recipe, a model or a command can name.

    Examples:
        >>> names()
        ['boundary_tuning', 'closing', 'reassign', 'reconnect']
    """
    return part_names(__name__, needs="apply")


def load(name: str) -> ModuleType:
    """The file of a step.

    Raises:
        InputError: There is no such step.
    """
    return find_part(__name__, name, needs="apply", what="step")


def apply_steps(prediction: Prediction, steps: Sequence[Step]) -> Prediction:
    """The prediction after these steps, in their order.

    Raises:
        InputError: No such step or option, one that the classes do not allow, or one that has not learned yet.
    """
    for step in steps:
        module, options = load(step.name), options_of(step)
        if is_learned(step.name):
            _check_learned(step)
            repaired: Prediction = module.apply(prediction, options, step.learned)
        else:
            repaired = module.apply(prediction, options)
        prediction = repaired
    return prediction


def is_learned(name: str) -> bool:
    """Whether a step learns something at the end of a training run.

    Examples:
        >>> [name for name in names() if is_learned(name)]
        ['boundary_tuning']
    """
    return hasattr(load(name), "learn")


def check_learning(steps: Sequence[Step]) -> None:
    """Refuse to begin a training run whose end could not learn what steps need.

    Raises:
        InputError: Something that is needed is not installed.
    """
    for step in steps:
        if is_learned(step.name):
            load(step.name).check_learning()


def learn_steps(
    steps: Sequence[Step], examples: Callable[[], Iterable[tuple[Prediction, np.ndarray]]], *, seed: int
) -> tuple[tuple[Step, ...], dict[str, float]]:
    """Steps with what they learn from annotated images, each from what those before it make of the predictions.

    Args:
        steps: In their order.
        examples: Gives predictions and (H, W) class maps, the same each time; not called where nothing is learned.
        seed: Of all draws.

    Returns:
        The steps; and their scores, as ``NAME/score``.

    Raises:
        InputError: No such step or option, or nothing can be learned from the examples.
    """
    done: list[Step] = []
    scores: dict[str, float] = {}
    for step in steps:
        options = options_of(step)
        if is_learned(step.name):
            before = tuple(done)
            seen = ((apply_steps(prediction, before), reference) for prediction, reference in examples())
            learned, found = load(step.name).learn(seen, options, seed=seed)
            step = msgspec.structs.replace(step, learned=learned)
            scores |= {f"{step.name}/{name}": value for name, value in found.items()}
        done.append(step)
    return tuple(done), scores


def options_of(step: Step) -> Any:
    """The ``Options`` of a step's file, filled with the step's own.

    Raises:
        InputError: An option that there is not, or a value of another type.
    """
    kind = load(step.name).Options
    for name in step.options:
        if name not in kind.__struct_fields__:
            raise InputError(f"step {step.name!r} has no option {name!r}; there: {', '.join(kind.__struct_fields__)}")
    try:
        return msgspec.convert(dict(step.options), kind)
    except msgspec.ValidationError as error:
        raise InputError(f"step {step.name!r}: {error}") from error


def explain(steps: Sequence[Step], classes: Sequence[str]) -> list[str]:
    """What each step will do with these classes, a sentence each.

    Raises:
        InputError: No such step or option, or one that the classes do not allow.

    Examples:
        >>> explain([Step("reconnect")], ("cytoplasm", "membrane"))
        ['step reconnect: membrane is connected, where evidence reaches 0.2; what is taken away becomes cytoplasm']
    """
    return [f"step {step.name}: {load(step.name).say(options_of(step), classes)}" for step in steps]


def steps_of(header: ModelHeader, steps: Sequence[Step] | None = None) -> tuple[Step, ...]:
    """The steps that a model's class maps pass: those given, else those of its file.

    Args:
        header: Of the model.
        steps: In their order; empty for none, None for those of the file.

    Raises:
        InputError: No such step or option, classes that do not allow it, or a model that tells objects apart.
    """
    chosen = header.steps if steps is None else tuple(_with_learned(step, header) for step in steps)
    if chosen and header.heads.has_instances:
        raise InputError(
            f"step {chosen[0].name!r} repairs class maps, but model {header.name!r} tells objects apart; "
            "leave steps out, or use a model of classes",
            argument="steps",
        )
    explain(chosen, header.classes)
    for step in chosen:
        _check_learned(step)
    return chosen


def _with_learned(step: Step, header: ModelHeader) -> Step:
    """The step with what the step of its name in the model's file learned, and the options that it learned with.

    Raises:
        InputError: It did not learn with the options that are asked for.
    """
    own = {one.name: one for one in header.steps}.get(step.name)
    if step.learned or own is None or not is_learned(step.name):
        return step
    if options_of(step) != options_of(own) and step.options:
        told = ", ".join(f"{name}={value}" for name, value in own.options.items()) or "the defaults"
        raise InputError(
            f"step {step.name!r} of model {header.name!r} was learned with {told}, which cannot be changed now; leave "
            "its options out, or train with others",
            argument="steps",
        )
    return own


def _check_learned(step: Step) -> None:
    """Refuse a step that should have learned something and has not, or holds numbers that are none.

    Raises:
        InputError: Saying so.
    """
    if not is_learned(step.name):
        return
    if not step.learned:
        raise InputError(
            f"step {step.name!r} has learned nothing yet; name it in [[steps]] of a recipe and train, or use a model "
            "whose file has it",
            argument="steps",
        )
    try:
        load(step.name).check_learned(options_of(step), step.learned)
    except InputError as error:
        raise InputError(f"step {step.name!r}: {error}", argument="steps") from error


def tuned(step: Step) -> dict[str, Sequence[Setting]]:
    """Options that validation chooses because the step does not set them, each with the values that are tried."""
    every: dict[str, Sequence[Setting]] = getattr(load(step.name), "TUNED", {})
    return {name: values for name, values in every.items() if name not in step.options}
