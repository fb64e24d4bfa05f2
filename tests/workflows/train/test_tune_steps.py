"""Validation chooses what steps leave open."""

from __future__ import annotations

import numpy as np
import pytest

from cellproof.inference.activate import Maps
from cellproof.refine.reconnect import find_gaps
from cellproof.types import Sample, Step
from cellproof.workflows.train.tune_steps import (
    REPAIRED,
    REPAIRED_IOU,
    UNREPAIRED,
    UNREPAIRED_IOU,
    learn_from_training,
    tune_steps,
)

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


def blob(*, edge):
    """A bright square whose prediction has a hole and an edge of its own."""
    reference = np.zeros((40, 40), np.uint8)
    reference[10:30, 10:30] = 1
    inside = np.zeros((40, 40), np.float32)
    inside[10 - edge : 30 + edge, 10 - edge : 30 + edge] = 0.9
    inside[20, 20] = 0
    image = (reference + 0.01 * np.random.default_rng(edge + 1).normal(size=reference.shape)).astype(np.float32)
    return Sample(image[None], reference), Maps(np.stack([1 - inside, inside]))


def test_what_moves_edges_is_scored_by_iou_and_needs_no_membrane():
    row = (Step("closing"), Step("boundary_tuning", {"method": "logistic"}))
    said = []
    blobs = [blob(edge=edge) for edge in (-1, 1, 1)]
    steps, scores = learn_from_training(row, lambda: iter(blobs), ("background", "cell"), seed=0, say=said.append)
    assert scores["boundary_tuning/accuracy_before"] == pytest.approx(0.5, abs=0.2)
    assert said == ["step boundary_tuning: right on 100.0% of the pixels of held-out images, the network on 50.0%"]
    samples, maps = zip(*blobs, strict=True)
    chosen, errors = tune_steps(samples, maps, steps, ("background", "cell"))
    assert chosen == steps
    assert errors[UNREPAIRED_IOU] < 0.95 < 0.99 < errors[REPAIRED_IOU]


def test_a_step_that_can_learn_nothing_is_left_out_and_said():
    sample = Sample(np.zeros((1, 8, 8), np.float32), np.zeros((8, 8), np.uint8))
    maps = Maps(np.stack([np.ones((8, 8)), np.zeros((8, 8))]).astype(np.float32))
    row, said = (Step("closing"), Step("boundary_tuning")), []
    steps, scores = learn_from_training(
        row, lambda: iter([(sample, maps)]), ("background", "cell"), seed=0, say=said.append
    )
    assert (steps, scores) == (row[:1], {})
    assert "nothing can be learned from them; the model does without the steps that learn" in said[0]
