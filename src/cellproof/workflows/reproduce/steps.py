"""Refine steps of an entry: what is done with a prediction before it is scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...checks import InputError, UsageError
from ...difficulty.confidence import confidence, difficult_pixels
from ...instances.components import label_components
from ...refine import apply_steps, check_learning, options_of
from ...types import Prediction, Step
from ..evaluate import Predicted


def steps_of(named: Sequence[Step | str]) -> tuple[Step, ...]:
    """Steps, of which a name alone has the options of its file.

    Examples:
        >>> steps_of(["closing", Step("boundary", {"width_px": 2})])[0]
        Step(name='closing')
    """
    return tuple(Step(one) if isinstance(one, str) else one for one in named)


def check_steps(steps: Sequence[Step], *, entry: str) -> None:
    """Refuse a step or option that there is not, or that could not learn here.

    Raises:
        UsageError: Naming those that there are.
    """
    for step in steps:
        try:
            options_of(step)
            check_learning([step])
        except InputError as error:
            raise UsageError(f"entry {entry!r}: {error}") from error


def refined(predicted: Predicted, steps: Sequence[Step], image: np.ndarray | None = None) -> Predicted:
    """The prediction after these steps, in their order; nothing of the reference enters.

    Args:
        predicted: The prediction.
        steps: What is done with it.
        image: (C, H, W) normalized; None where no step looks at it.

    Raises:
        InputError: A step repairs class maps, and the prediction tells objects apart; or its classes do not allow it.
    """
    if not steps:
        return predicted
    names = predicted.reference.names
    if names.has_objects:
        raise InputError(f"step {steps[0].name!r} repairs class maps, and these masks hold objects; leave steps out")
    prediction = Prediction(
        probabilities=predicted.probabilities,
        class_map=predicted.classes,
        classes=names.classes,
        difficult=difficult_pixels(confidence(predicted.probabilities)),
        views=predicted.views,
        image=image,
    )
    classes = np.asarray(apply_steps(prediction, steps).class_map, np.uint8)
    return replace(predicted, classes=classes, labels=label_components(classes))
