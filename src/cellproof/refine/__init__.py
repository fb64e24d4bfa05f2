"""Class maps are repaired, one step a file: ``apply(prediction, options)`` with an ``Options`` struct.

A step gives a prediction back, with another class map. ``say(options, classes)`` tells in words what the options mean
for these classes, and refuses what cannot be done with them; ``TUNED``, where a file has it, holds the values of
options that validation tries.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import msgspec

from ..checks import InputError
from ..parts import find_part, part_names
from ..types import ModelHeader, Prediction, Setting, Step


def names() -> list[str]:
    """Steps that a recipe, a model or a command can name.

    Examples:
        >>> names()
        ['reassign', 'reconnect']
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
        InputError: No such step or option, or one that the classes do not allow.
    """
    for step in steps:
        repaired: Prediction = load(step.name).apply(prediction, options_of(step))
        prediction = repaired
    return prediction


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
    chosen = header.steps if steps is None else tuple(steps)
    if chosen and header.heads.has_instances:
        raise InputError(
            f"step {chosen[0].name!r} repairs class maps, but model {header.name!r} tells objects apart; "
            "leave steps out, or use a model of classes",
            argument="steps",
        )
    explain(chosen, header.classes)
    return chosen


def tuned(step: Step) -> dict[str, Sequence[Setting]]:
    """Options that validation chooses because the step does not set them, each with the values that are tried."""
    every: dict[str, Sequence[Setting]] = getattr(load(step.name), "TUNED", {})
    return {name: values for name, values in every.items() if name not in step.options}
