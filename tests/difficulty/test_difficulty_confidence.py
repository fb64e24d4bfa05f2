from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cellproof.checks import InputError
from cellproof.difficulty.confidence import (
    check_probabilities,
    confidence,
    confidence_in,
    difficult_pixels,
    difficulty_from_confidence,
    entropy,
    margin,
)

drawings = st.builds(
    lambda seed, classes, spread: np.random.default_rng(seed).dirichlet([spread] * classes, (5, 6)).transpose(2, 0, 1),
    st.integers(0, 2**32 - 1),
    st.integers(2, 5),
    st.sampled_from([0.05, 0.5, 5.0]),
)
MAPS = {
    "entropy": entropy,
    "margin": margin,
    "confidence": lambda p: difficulty_from_confidence(p.max(0), classes=len(p)),
}


@settings(max_examples=30, deadline=None)
@given(probabilities=drawings)
@pytest.mark.parametrize("kind", MAPS)
def test_difficulty_lies_between_0_and_1_whatever_the_order_of_classes(kind, probabilities):
    difficulty = MAPS[kind](probabilities)
    assert difficulty.min() >= 0
    assert difficulty.max() <= 1
    np.testing.assert_allclose(MAPS[kind](probabilities[::-1]), difficulty, atol=1e-12)


@pytest.mark.parametrize("kind", MAPS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_a_sure_pixel_has_difficulty_0_and_a_tie_of_all_classes_1(kind, dtype, classes):
    probabilities = np.full((classes, 1, 2), 1 / classes, dtype)
    probabilities[:, 0, 0] = np.eye(classes)[0]
    difficulty = MAPS[kind](probabilities)
    assert difficulty.dtype == dtype
    np.testing.assert_allclose(difficulty, [[0, 1]], atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(probabilities=drawings)
def test_entropy_equals_scipys_entropy_with_the_number_of_classes_as_base(probabilities):
    np.testing.assert_allclose(
        entropy(probabilities), stats.entropy(probabilities, base=len(probabilities), axis=0), atol=1e-9
    )


@settings(max_examples=20, deadline=None)
@given(probabilities=drawings)
def test_margin_is_the_lead_of_the_two_largest_sorted_probabilities(probabilities):
    ranked = np.sort(probabilities, axis=0)
    np.testing.assert_allclose(margin(probabilities), 1 - (ranked[-1] - ranked[-2]), atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(probabilities=drawings)
def test_confidence_is_the_probability_of_the_argmax_and_the_input_stays_as_it_was(probabilities):
    before = probabilities.copy()
    picked = np.take_along_axis(probabilities, probabilities.argmax(0)[None], 0)[0]
    found = confidence(probabilities)
    difficulty_from_confidence(found, classes=len(probabilities))
    np.testing.assert_array_equal(found, picked)
    entropy(probabilities)
    margin(probabilities)
    np.testing.assert_array_equal(probabilities, before)


def test_difficulty_is_the_chance_of_error_relative_to_a_guess():
    np.testing.assert_allclose(difficulty_from_confidence(np.array([0.75, 0.9]), classes=2), [0.5, 0.2])
    np.testing.assert_allclose(difficulty_from_confidence(np.array([0.75]), classes=4), [1 / 3])


def test_confidence_needs_two_classes_to_be_in_doubt():
    with pytest.raises(InputError, match="classes is 1"):
        difficulty_from_confidence(np.ones(3), classes=1)


def test_difficult_pixels_lie_below_the_mean():
    # Mean 0.75; eq. 1 of the paper is a strict inequality.
    assert difficult_pixels(np.array([[0.5, 0.75, 1.0]])).tolist() == [[True, False, False]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.1, 0.7, 0.9, 1 / 3])
def test_no_pixel_is_difficult_where_all_are_equally_sure(dtype, value):
    assert not difficult_pixels(np.full((33, 77), value, dtype)).any()


def test_an_empty_image_has_no_difficult_pixels():
    assert difficult_pixels(np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (np.full((2, 3, 3), 0.6), "sum to 1.2…1.2"),
        (np.full((2, 3, 3), np.nan), "sum to nan"),
        (np.array([1.5, -0.5]).reshape(2, 1, 1), "contains -0.5"),
        (np.ones((1, 3, 3)), "at least 2 classes"),
        (np.ones((2, 3, 3), int), "dtype int64"),
        (np.ones((3, 3)), "expected 3 axes"),
    ],
)
@pytest.mark.parametrize("function", [confidence, entropy, margin])
def test_what_are_no_probabilities_is_refused(function, probabilities, message):
    with pytest.raises(InputError, match=message):
        function(probabilities)


def test_sums_within_a_thousandth_pass():
    check_probabilities(np.full((2, 3, 3), 0.5 + 0.0004))
    with pytest.raises(InputError):
        check_probabilities(np.full((2, 3, 3), 0.5 + 0.0006))


def test_the_confidence_of_a_class_that_was_given_is_its_own_probability():
    probabilities = np.array([[[0.9, 0.3, 0.5]], [[0.1, 0.6, 0.5]], [[0.0, 0.1, 0.0]]])
    found = confidence_in(probabilities, np.array([[1, 1, 255]], np.uint8))
    np.testing.assert_array_equal(found, [[0.1, 0.6, 0.5]])
    # A likely class is as easy as before; one that is less likely than a guess is as hard as can be.
    np.testing.assert_allclose(difficulty_from_confidence(found, classes=3), [[1, 0.6, 0.75]])


def test_the_confidence_of_the_likeliest_classes_is_the_confidence():
    probabilities = np.random.default_rng(3).dirichlet(np.ones(4), (7, 9)).transpose(2, 0, 1)
    found = confidence_in(probabilities, probabilities.argmax(axis=0))
    np.testing.assert_array_equal(found, confidence(probabilities))
