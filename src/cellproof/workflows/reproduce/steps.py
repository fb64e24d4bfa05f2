"""Refine steps of an entry: what is done with a prediction before it is scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from ...checks import InputError, UsageError
from ...difficulty.confidence import confidence, difficult_pixels
from ...instances.components import label_components
from ...parts import find_part
from ...types import Prediction, Step
from ..evaluate import Predicted

_ROOM = "cellproof.refine"


def steps_of(named: Sequence[Step | str]) -> tuple[Step, ...]:
    """Steps, of which a name alone has the options of its file.

    Examples:
        >>> steps_of(["closing", Step("boundary", {"width_px": 2})])[0]
        Step(name='closing', options={})
    """
    return tuple(Step(one) if isinstance(one, str) else one for one in named)


def check_steps(steps: Sequence[Step], *, entry: str) -> None:
    """Refuse a step or option that there is not.

    Raises:
        UsageError: Naming those that there are.
    """
    for step in steps:
        try:
            _load(step)
        except InputError as error:
            raise UsageError(f"entry {entry!r}: {error}") from error


def refined(predicted: Predicted, steps: Sequence[Step], *, tells_apart: bool) -> Predicted:
    """The prediction after these steps, in their order; nothing of the reference enters.

    Args:
        predicted: Of a network.
        steps: Repairs of class maps.
        tells_apart: Whether the network tells objects apart.

    Raises:
        InputError: A step repairs class maps, and the prediction tells objects apart; or its classes do not allow it.
    """
    if not steps:
        return predicted
    names = predicted.reference.names
    if tells_apart:
        raise InputError(
            f"step {steps[0].name!r} repairs class maps, and this network tells objects apart; leave steps out"
        )
    # A network without heads that learned from objects knows one class more than their masks: what is around them.
    classes = ("background", *names.classes) if names.has_objects else names.classes
    prediction = Prediction(
        probabilities=predicted.probabilities,
        class_map=predicted.classes,
        classes=classes,
        difficult=difficult_pixels(confidence(predicted.probabilities)),
        views=predicted.views,
    )
    for step in steps:
        apply, options = _load(step)
        prediction = apply(prediction, options)
    repaired = np.asarray(prediction.class_map, np.uint8)
    return replace(predicted, classes=repaired, labels=label_components(repaired))


def _load(step: Step) -> tuple[Any, Any]:
    """The function of a step, and its options."""
    module = find_part(_ROOM, step.name, needs="apply", what="step")
    try:
        return module.apply, msgspec.convert(dict(step.options), module.Options)
    except msgspec.ValidationError as error:
        known = ", ".join(module.Options.__struct_fields__) or "none"
        raise InputError(f"step {step.name!r}: {error}; known options: {known}") from error
