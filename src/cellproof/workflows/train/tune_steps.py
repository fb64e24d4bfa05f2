"""Options of refine steps are chosen on held-out images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from itertools import product
from operator import add

import msgspec
import numpy as np

from ...difficulty.confidence import confidence, difficult_pixels
from ...inference.activate import Maps
from ...metrics import objects, partition, topology
from ...refine import apply_steps, tuned
from ...refine.roles import find_roles
from ...types import IGNORE, Prediction, Sample, Step
from .validate import within

MOST_PIXELS = 4_000_000
"""Of held-out images; every value that is tried repairs them anew."""

REPAIRED, UNREPAIRED = "rand_error", "rand_error_unrepaired"


def tune_steps(
    samples: Sequence[Sample], maps: Sequence[Maps], steps: Sequence[Step], classes: Sequence[str]
) -> tuple[tuple[Step, ...], dict[str, float]]:
    """Steps whose open options are set to what serves the enclosed regions of held-out images best.

    Regions are what the connected class encloses; the score is their adapted Rand error, pooled over the images. Steps
    are tuned in their order, each after those before it; of equal scores the value that the step's file lists first is
    taken.

    Args:
        samples: Held out.
        maps: Predictions of them.
        steps: Of the recipe; options that they set stay.
        classes: Names of all classes.

    Returns:
        The steps, and the error without and with them; nothing for no steps.

    Raises:
        InputError: No class is the connected one.
    """
    if not steps:
        return (), {}
    connected = _connected(steps, classes)
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
    return tuple(chosen), {UNREPAIRED: before, REPAIRED: _error(predictions, samples, connected)}


def _connected(steps: Sequence[Step], classes: Sequence[str]) -> int:
    """Number of the class that the steps hold together: as the first says that says it, else by its name."""
    named = next((str(step.options["connected"]) for step in steps if step.options.get("connected")), "")
    return find_roles(classes, connected=named).connected


def _prediction(sample: Sample, maps: Maps, classes: Sequence[str]) -> Prediction:
    """A prediction in which nothing may build on pixels without annotation."""
    difficult = difficult_pixels(confidence(maps.probabilities), within=sample.class_map != IGNORE)
    likeliest = maps.probabilities.argmax(axis=0).astype(np.uint8)
    likeliest[sample.class_map == IGNORE] = IGNORE
    return replace(Prediction(maps.probabilities, likeliest, tuple(classes)), difficult=difficult)


def _error(predictions: Sequence[Prediction], samples: Sequence[Sample], connected: int) -> float:
    """Adapted Rand error of the regions that the connected class encloses."""
    counts = []
    for prediction, sample in zip(predictions, samples, strict=True):
        ignored = sample.class_map == IGNORE
        regions = [
            topology.cells(class_map == connected, ignored=ignored)
            for class_map in (prediction.class_map, sample.class_map)
        ]
        counts.append(partition.count_partition(objects.overlap(regions[0], regions[1])))
    return float(partition.adapted_rand_error(reduce(add, counts)))
