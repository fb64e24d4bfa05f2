"""Partition metrics: scikit-image as oracle, laws, what merging and splitting cost, degenerate cases."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import metrics as skimage

from cellproof.metrics.objects import overlap
from cellproof.metrics.partition import (
    Partition,
    adapted_rand_error,
    count_partition,
    rand_precision,
    rand_recall,
    variation_merge,
    variation_split,
)

FORMULAS = (adapted_rand_error, rand_precision, rand_recall, variation_split, variation_merge)
BEST = (0, 1, 1, 0, 0)
seeds = st.integers(0, 2**32 - 1)


def label_images(seed: int, *, full: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A prediction and a reference of blocks that are partly the same; without 0 in the prediction where full."""
    rng = np.random.default_rng(seed)
    reference = np.kron(rng.integers(0, 6, (4, 5)), np.ones((4, 4), int))
    prediction = np.roll(reference, rng.integers(0, 3), axis=0) + rng.integers(0, 2) * (np.arange(20) > 9)
    reference[:4, :4] = 1
    return prediction + full, reference


def score(prediction: np.ndarray, reference: np.ndarray) -> list[float]:
    counts = count_partition(overlap(prediction, reference))
    return [formula(counts) for formula in FORMULAS]


def skimages(prediction: np.ndarray, reference: np.ndarray) -> list[float]:
    # It calls recall precision, and precision recall.
    error, recall, precision = skimage.adapted_rand_error(reference, prediction, ignore_labels=(0,))
    split, merge = skimage.variation_of_information(reference, prediction, ignore_labels=(0,))
    return [error, precision, recall, split, merge]


@given(seed=seeds)
@settings(max_examples=40, deadline=None)
def test_scores_equal_scikit_images_where_every_pixel_has_a_segment(seed: int) -> None:
    prediction, reference = label_images(seed, full=True)
    np.testing.assert_allclose(score(prediction, reference), skimages(prediction, reference), atol=1e-12)


@given(seed=seeds)
@settings(max_examples=40, deadline=None)
def test_predicted_membrane_in_a_cell_equals_scikit_images_single_pixel_segments(seed: int) -> None:
    prediction, reference = label_images(seed)
    numbered = prediction.copy()
    membrane = prediction == 0
    numbered[membrane] = 100 + np.arange(membrane.sum())
    if (prediction[reference > 0] > 0).any():
        np.testing.assert_allclose(score(prediction, reference), skimages(numbered, reference), atol=1e-12)


@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_neither_relabeling_nor_turning_changes_a_score(seed: int) -> None:
    prediction, reference = label_images(seed)
    numbers = np.concatenate([[0], 1 + np.random.default_rng(seed).permutation(60)])
    wanted = score(prediction, reference)
    np.testing.assert_allclose(score(numbers[prediction], numbers[reference]), wanted, atol=1e-12)
    for turn in (np.flipud, np.fliplr, np.transpose):
        np.testing.assert_allclose(score(turn(prediction), turn(reference)), wanted, atol=1e-12)


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_a_label_image_has_the_best_scores_against_itself(seed: int) -> None:
    _, reference = label_images(seed)
    assert score(reference, reference) == list(BEST)


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_two_images_side_by_side_count_as_their_sum(seed: int) -> None:
    one, two = label_images(seed), label_images(seed + 1)
    both = [np.hstack([left, np.where(right > 0, right + 100, 0)]) for left, right in zip(one, two, strict=True)]
    parts = count_partition(overlap(*one)) + count_partition(overlap(*two))
    assert astuple(parts) == pytest.approx(astuple(count_partition(overlap(*both))))


def test_merging_costs_precision_and_splitting_recall() -> None:
    halves, whole = np.array([[1] * 4 + [2] * 4]), np.ones((1, 8), int)
    assert score(whole, halves) == pytest.approx([1 - 2 * 12 / (28 + 12), 12 / 28, 1, 0, 1])
    assert score(halves, whole) == pytest.approx([1 - 2 * 12 / (28 + 12), 1, 12 / 28, 1, 0])


def test_reference_membrane_is_left_out_and_predicted_membrane_is_not() -> None:
    reference = np.array([[1, 1, 1, 1, 0, 2, 2, 2, 2]])
    late = np.array([[1, 1, 1, 1, 1, 0, 2, 2, 2]])
    assert score(late, reference)[1] == 1
    # One pixel of four is alone: 3 of 6 pairs of that cell are left.
    assert score(late, reference)[2] == pytest.approx(9 / 12)


NAN = float("nan")
DEGENERATE = {
    "no reference cell": ([[1, 1, 2]], [[0, 0, 0]], [NAN] * 5),
    "nothing at all": ([[0, 0, 0]], [[0, 0, 0]], [NAN] * 5),
    "no predicted cell": ([[0, 0, 0, 0]], [[1, 1, 1, 1]], [1, NAN, 0, 2, 0]),
    "one cell": ([[5, 5]], [[3, 3]], BEST),
}


@pytest.mark.parametrize("case", DEGENERATE.values(), ids=DEGENERATE.keys())
def test_degenerate_partitions_have_the_documented_scores(case) -> None:
    prediction, reference, wanted = case
    np.testing.assert_array_equal(score(np.array(prediction), np.array(reference)), wanted)


def test_no_pixels_are_counted_as_nothing() -> None:
    assert count_partition(overlap(np.zeros((0, 3), int), np.zeros((0, 3), int))) == Partition(0, 0, 0, 0, 0.0, 0.0)
