"""Overlapping detections become maps in which no pixel has two owners."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cellproof.detectors.detections import Detections
from cellproof.detectors.fuse import claims, class_probabilities, summed_masks


def test_the_better_detection_owns_what_both_claim_and_a_hidden_one_is_left_out(draw):
    found = draw((0, 0, 6, 4, 0.6), (4, 0, 10, 4, 0.9), (5, 0, 9, 4, 0.8), (20, 0, 24, 4, 0.1))
    owner, score, mask = claims(found, (4, 30))
    assert owner[0, :12].tolist() == [2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 0, 0]
    assert np.isclose(score[0, [0, 5, 21]], [0.6, 0.9, 0.1]).all()
    assert (mask[owner > 0] == 1).all()
    assert owner.max() == 3  # the third, two thirds of which the second owns, is none


@given(seed=st.integers(0, 10**6), least=st.floats(0.1, 0.9))
def test_what_is_below_a_score_can_be_taken_away_afterwards(seed, least):
    rng = np.random.default_rng(seed)
    corner, size = rng.uniform(-3, 20, (8, 2)), rng.uniform(1, 12, (8, 2))
    every = Detections(np.hstack([corner, corner + size]), rng.random(8), np.ones(8, int), rng.random((8, 3, 3)))
    owner, score, _ = claims(every, (20, 22))
    alone, _, _ = claims(every.take(np.flatnonzero(every.scores >= np.float32(least))), (20, 22))
    assert np.array_equal(np.where(score >= np.float32(least), owner, 0), alone)


def test_summed_masks_are_the_published_fusion(draw):
    found = draw((0, 0, 4, 2, 0.5), (3, 0, 7, 2, 0.45), (0, 0, 4, 2, 0.42), (8, 0, 10, 2, 0.39))
    faint = Detections(found.boxes, found.scores, found.classes, found.masks * [[[0.5]], [[0.5]], [[0.5]], [[1.0]]])
    # The third overlaps the first, the fourth has too low a score; where the others meet, 0.5 + 0.5 reaches 0.9.
    assert summed_masks(faint, (2, 10))[0].tolist() == [0.5, 0.5, 0.5, 1.0, 0.5, 0.5, 0.5, 0, 0, 0]
    fainter = Detections(found.boxes, found.scores, found.classes, found.masks * 0.29)
    assert not summed_masks(fainter, (2, 10)).any()


def test_probabilities_multiply_the_chances_of_being_none(draw):
    probabilities = class_probabilities(draw((0, 0, 2, 1, 0.5, 1), (1, 0, 3, 1, 0.8, 2)), (1, 4), classes=3)
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(probabilities[0, 0], [0.5, 0.1, 0.2, 0.99], atol=1e-5)
    np.testing.assert_allclose(probabilities[2, 0, 1], 0.9 * 0.8 / 1.3, atol=1e-5)


def test_without_detections_all_is_background(draw):
    assert not claims(draw(), (3, 4)).any()
    assert not summed_masks(draw(), (3, 4)).any()
    assert (class_probabilities(draw(), (3, 4), classes=2)[0] == np.float32(0.99)).all()
