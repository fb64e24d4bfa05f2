"""Validation chooses what steps leave open."""

from __future__ import annotations

import numpy as np
import pytest

from cellproof.inference.activate import Maps
from cellproof.refine.reconnect import find_gaps
from cellproof.types import Sample, Step
from cellproof.workflows.train.tune_steps import REPAIRED, UNREPAIRED, tune_steps

CLASSES = ("cell", "membrane")
STEPS = (Step("reconnect", {"smallest_px": 4.0}),)


def field(gap_evidence, *, closed):
    """A grid of membranes; one of them is interrupted in the prediction, and in the reference unless it is closed."""
    reference = np.zeros((61, 61), np.uint8)
    reference[::20], reference[:, ::20] = 1, 1
    probability = np.where(reference == 1, 0.9, 0.02)
    probability[20, 26:34] = gap_evidence
    if not closed:
        reference[20, 26:34] = 0
    probabilities = np.stack([1 - probability, probability]).astype(np.float32)
    return Sample(np.zeros((1, 61, 61), np.float32), reference), Maps(probabilities)


def chosen(fields, steps=STEPS):
    return tune_steps([sample for sample, _ in fields], [maps for _, maps in fields], steps, CLASSES)


def test_the_threshold_closes_what_the_reference_closes_and_nothing_else():
    fields = [field(0.4, closed=True), field(0.1, closed=False)]
    right, wrong = (
        find_gaps(maps.probabilities.argmax(axis=0), maps.probabilities[1], connected=1, smallest_px=4)[0].evidence
        for _, maps in fields
    )
    steps, errors = chosen(fields)
    assert wrong < steps[0].options["threshold"] <= right
    assert steps[0].options["smallest_px"] == 4.0
    assert errors[UNREPAIRED] > errors[REPAIRED] == pytest.approx(0, abs=1e-9)


def test_nothing_is_closed_where_nothing_is_gained():
    steps, errors = chosen([field(0.4, closed=False)])
    assert steps[0].options["threshold"] == 1.01
    assert errors[REPAIRED] == errors[UNREPAIRED]


def test_options_that_the_recipe_sets_stay_and_no_steps_are_nothing():
    given = (Step("reconnect", {"threshold": 0.3}), Step("reassign"))
    assert chosen([field(0.4, closed=True)], given)[0] == given
    assert chosen([field(0.4, closed=True)], ()) == ((), {})
