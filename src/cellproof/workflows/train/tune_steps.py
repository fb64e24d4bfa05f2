"""Refine steps learn from training images, and their options are chosen on held-out ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from itertools import product
from operator import add

import msgspec
import numpy as np

from ...checks import InputError
from ...difficulty.confidence import confidence, difficult_pixels
from ...inference.activate import Maps
from ...metrics import objects, partition, pixel, topology
from ...refine import apply_steps, is_learned, learn_steps, load, tuned
from ...refine.roles import find_roles
from ...types import IGNORE, Prediction, Sample, Step
from .validate import within

MOST_PIXELS = 4_000_000
"""Of held-out images; every value that is tried repairs them anew."""

REPAIRED, UNREPAIRED = "rand_error", "rand_error_unrepaired"

REPAIRED_IOU, UNREPAIRED_IOU = "repaired_mean_iou", "unrepaired_mean_iou"


def learn_from_training(
    steps: Sequence[Step],
    taught: Callable[[], Iterable[tuple[Sample, Maps]]],
    classes: Sequence[str],
    *,
    seed: int,
    say: Callable[[str], None],
) -> tuple[tuple[Step, ...], dict[str, float]]:
    """Steps with what they learn; one of which nothing can be learned is left out, lest it spoil a whole training run.

    Args:
        steps: Of the recipe.
        taught: Gives training samples and predictions of them, the same each time.
        classes: Names of all classes.
        seed: Of all draws.
        say: Told what was learned, and what could not be.

    Returns:
        The steps, and their scores, as ``NAME/score``.
    """

    def examples() -> Iterable[tuple[Prediction, np.ndarray]]:
        return ((_prediction(sample, maps, classes), sample.class_map) for sample, maps in taught())

    try:
        done, scores = learn_steps(steps, examples, seed=seed)
    except InputError as error:
        say(f"{error}; the model does without the steps that learn")
        return without_learned(steps), {}
    for name in dict.fromkeys(step.name for step in done if is_learned(step.name)):
        say(
            f"step {name}: right on {scores[f'{name}/accuracy']:.1%} of the pixels of held-out images, the network on "
            f"{scores[f'{name}/accuracy_before']:.1%}"
        )
    return done, scores


def without_learned(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps that learn nothing, for a model of which nothing is learned any more.

    Example:
        >>> [step.name for step in without_learned([Step("closing"), Step("boundary_tuning")])]
        ['closing']
    """
    return tuple(step for step in steps if not is_learned(step.name))


def tune_steps(
    samples: Sequence[Sample], maps: Sequence[Maps], steps: Sequence[Step], classes: Sequence[str]
) -> tuple[tuple[Step, ...], dict[str, float]]:
    """Steps whose open options are set to what serves held-out images best.

    Where a step holds a class together, the score is the adapted Rand error of the regions that this class encloses,
    pooled over the images; else it is 1 less the mean IoU of the classes. Steps are tuned in their order, each after
    those before it; of equal scores the value that the step's file lists first is taken.

    Args:
        samples: Held out.
        maps: Predictions of them.
        steps: Of the recipe; options that they set stay.
        classes: Names of all classes.

    Returns:
        The steps, and the Rand error or the mean IoU without and with them; nothing for no steps.

    Raises:
        InputError: No class is the connected one.
    """
    if not steps:
        return (), {}
    holding = [step for step in steps if "connected" in load(step.name).Options.__struct_fields__]
    connected = _connected(holding, classes) if holding else None
    kept = within(samples, MOST_PIXELS)
    samples, maps = [samples[place] for place in kept], [maps[place] for place in kept]
    predictions = [_prediction(sample, m, classes) for sample, m in zip(samples, maps, strict=True)]
    before = _error(predictions, samples, connected)
    chosen: list[Step] = []
    for step in steps:
        choices = tuned(step)
        candidates = [
            msgspec.structs.replace(step, options={**step.options, **dict(zip(choices, values, strict=True))})
            for values in product(*choices.values())
        ]
        repaired = [[apply_steps(prediction, [one]) for prediction in predictions] for one in candidates]
        errors = [_error(each, samples, connected) for each in repaired]
        best = int(np.nanargmin(errors)) if not np.isnan(errors).all() else 0
        chosen.append(candidates[best])
        predictions = repaired[best]
    after = _error(predictions, samples, connected)
    if connected is None:
        return tuple(chosen), {UNREPAIRED_IOU: 1 - before, REPAIRED_IOU: 1 - after}
    return tuple(chosen), {UNREPAIRED: before, REPAIRED: after}


def _connected(steps: Sequence[Step], classes: Sequence[str]) -> int:
    """Number of the class that the steps hold together: as the first says that says it, else by its name."""
    named = next((str(step.options["connected"]) for step in steps if step.options.get("connected")), "")
    return find_roles(classes, connected=named).connected


def _prediction(sample: Sample, maps: Maps, classes: Sequence[str]) -> Prediction:
    """A prediction in which nothing may build on pixels without annotation."""
    difficult = difficult_pixels(confidence(maps.probabilities), within=sample.class_map != IGNORE)
    likeliest = maps.probabilities.argmax(axis=0).astype(np.uint8)
    likeliest[sample.class_map == IGNORE] = IGNORE
    return Prediction(maps.probabilities, likeliest, tuple(classes), difficult, image=sample.image)


def _error(predictions: Sequence[Prediction], samples: Sequence[Sample], connected: int | None) -> float:
    """Adapted Rand error of the regions that the connected class encloses; without one, 1 less the mean IoU."""
    if connected is None:
        found = [
            pixel.confusion(prediction.class_map, sample.class_map, classes=len(prediction.classes))
            for prediction, sample in zip(predictions, samples, strict=True)
        ]
        return 1 - float(np.nanmean(pixel.iou(reduce(add, found))))
    counts = []
    for prediction, sample in zip(predictions, samples, strict=True):
        ignored = sample.class_map == IGNORE
        regions = [
            topology.cells(class_map == connected, ignored=ignored)
            for class_map in (prediction.class_map, sample.class_map)
        ]
        counts.append(partition.count_partition(objects.overlap(regions[0], regions[1])))
    return float(partition.adapted_rand_error(reduce(add, counts)))
