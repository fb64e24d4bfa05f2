from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss

from cellproof.checks import InputError
from cellproof.difficulty.calibration import (
    HIGHEST_TEMPERATURE,
    LOWEST_TEMPERATURE,
    CalibrationErrors,
    calibration_errors,
    expected_calibration_error,
    fit_temperature,
    reliability,
    risk_coverage,
)


def sample(rng, *, classes, pixels, temperature):
    """Logits whose softmax is right after division by the temperature."""
    logits = rng.normal(0, 2, (classes, pixels))
    chances = softmax(logits, axis=0).cumsum(axis=0)
    true = (rng.random(pixels) > chances[:-1]).sum(axis=0)
    return logits * temperature, true


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("classes", [2, 4])
def test_a_known_temperature_is_recovered(temperature, classes):
    logits, true = sample(np.random.default_rng(0), classes=classes, pixels=40_000, temperature=temperature)
    assert fit_temperature(logits.astype(np.float32), true) == pytest.approx(temperature, rel=0.03)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_no_other_temperature_has_a_smaller_log_loss(seed):
    logits, true = sample(np.random.default_rng(seed), classes=3, pixels=200, temperature=1.7)
    best = fit_temperature(logits, true)

    def loss(temperature):
        return log_loss(true, softmax(logits / temperature, axis=0).T, labels=range(3))

    assert loss(best) <= min(loss(other) for other in np.geomspace(LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE, 40)) + 1e-12
    assert loss(best) <= min(loss(best * 1.001), loss(best / 1.001))


def test_adding_the_same_number_to_all_logits_of_a_pixel_changes_nothing():
    rng = np.random.default_rng(1)
    logits, true = sample(rng, classes=3, pixels=500, temperature=2)
    assert fit_temperature(logits + rng.normal(0, 50, 500), true) == pytest.approx(fit_temperature(logits, true))


def test_logits_that_are_always_right_want_the_lowest_temperature_and_always_wrong_the_highest():
    logits, true = np.array([[3.0, -1.0], [-2.0, 4.0]]), np.array([0, 1])
    assert fit_temperature(logits, true) == pytest.approx(LOWEST_TEMPERATURE)
    assert fit_temperature(logits, 1 - true) == pytest.approx(HIGHEST_TEMPERATURE)


def test_logits_that_say_nothing_keep_temperature_one():
    assert fit_temperature(np.ones((2, 4)), np.array([0, 1, 1, 1])) == 1


@pytest.mark.parametrize(
    ("logits", "true", "message"),
    [
        (np.zeros((2, 0)), np.zeros(0, int), "n at least 1"),
        (np.zeros((2, 3)), np.zeros(2, int), r"logits \(2, 3\) and classes \(2,\)"),
        (np.zeros((2, 3)), np.array([0, 1, 255]), "reach from 0 to 255, expected 0…1"),
        (np.full((2, 3), np.inf), np.zeros(3, int), "logits contains 6 NaN or infinite"),
    ],
)
def test_samples_that_cannot_be_fitted_are_refused(logits, true, message):
    with pytest.raises(InputError, match=message):
        fit_temperature(logits, true)


def test_the_error_of_perfect_answers_is_zero():
    assert expected_calibration_error(np.ones(10), np.ones(10, bool)) == 0


def test_the_error_of_sure_wrong_answers_is_one():
    assert expected_calibration_error(np.ones((2, 5)), np.zeros((2, 5), bool)) == 1


def test_the_error_of_a_drawn_sample():
    # Bins of width 0.5: {0.4, 0.5} with accuracy 0.5, {0.9, 0.7} with accuracy 1.
    found = expected_calibration_error(np.array([0.4, 0.5, 0.9, 0.7]), np.array([1, 0, 1, 1], bool), bins=2)
    assert found == pytest.approx((abs(0.45 - 0.5) + abs(0.8 - 1)) / 2)


def test_bins_weigh_by_their_pixels():
    # One pixel with a gap of 0.6 and three with a gap of 0.1: a mean over bins would be 0.35.
    confidence, correct = np.array([0.4, 0.9, 0.9, 0.9]), np.array([1, 1, 1, 1], bool)
    assert expected_calibration_error(confidence, correct, bins=2) == pytest.approx((0.6 + 3 * 0.1) / 4)


def test_easy_background_hides_no_error_of_foreground_and_unsure_pixels():
    # 96 sure pixels of background, right; of four predicted foreground ones, of 0.9, two are right.
    confidence = np.array([1.0] * 96 + [0.9] * 4)
    correct = np.array([True] * 98 + [False] * 2)
    found = calibration_errors(confidence, correct, np.arange(100) >= 96)
    # The bin above 14/15 holds the sure pixels alone.
    assert found.everywhere == pytest.approx(0.04 * 0.4)
    assert (found.foreground, found.unsure) == (pytest.approx(0.4), pytest.approx(0.4))
    assert found.unsure_fraction == 0.04
    without = calibration_errors(confidence[:96], correct[:96], np.zeros(96, bool))
    assert (without.everywhere, without.unsure_fraction) == (0, 0)
    assert math.isnan(without.foreground)
    assert math.isnan(without.unsure)
    nothing = calibration_errors(np.zeros(0), np.zeros(0, bool), np.zeros(0, bool))
    assert all(math.isnan(value) for value in (nothing.everywhere, nothing.foreground, nothing.unsure_fraction))
    assert isinstance(nothing, CalibrationErrors)


def test_calibrated_probabilities_have_almost_no_error_and_sharpened_ones_have_some():
    logits, true = sample(np.random.default_rng(2), classes=2, pixels=40_000, temperature=3)

    def error(temperature):
        chances = softmax(logits / temperature, axis=0)
        return expected_calibration_error(chances.max(0), chances.argmax(0) == true)

    assert error(fit_temperature(logits, true)) < 0.01 < 0.05 < error(1)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), bins=st.integers(1, 20))
def test_reliability_equals_scikit_learns_curve(seed, bins):
    rng = np.random.default_rng(seed)
    confidence, correct = rng.random(200), rng.random(200) < 0.6
    curve = reliability(confidence, correct, bins=bins)
    accuracy, mean = calibration_curve(correct, confidence, n_bins=bins)
    filled = curve.count > 0
    np.testing.assert_allclose(curve.accuracy[filled], accuracy)
    np.testing.assert_allclose(curve.confidence[filled], mean)
    assert np.isnan(curve.accuracy[~filled]).all()
    assert curve.count.sum() == 200


def test_bounds_of_bins_belong_to_the_lower_bin():
    assert reliability(np.array([0, 0.5, 0.51, 1]), np.ones(4, bool), bins=2).count.tolist() == [2, 2]


def test_without_pixels_there_is_no_calibration_error():
    assert math.isnan(expected_calibration_error(np.zeros(0), np.zeros(0, bool)))


@pytest.mark.parametrize("value", [1.5, -0.1, np.nan])
def test_confidence_outside_0_to_1_is_refused(value):
    with pytest.raises(InputError, match=r"outside \[0, 1\]"):
        reliability(np.array([value]), np.array([True]))


def test_no_bins_are_refused():
    with pytest.raises(InputError, match="bins is 0"):
        reliability(np.ones(1), np.ones(1, bool), bins=0)


def test_risk_of_the_surest_is_the_mean_over_all_orders_of_those_that_are_equally_sure():
    rng = np.random.default_rng(4)
    score, risk = rng.integers(0, 4, 40), rng.random(40)
    coverage, found = risk_coverage(score, risk)
    orders = [np.lexsort((rng.random(40), -score)) for _ in range(3000)]
    means = np.mean([np.cumsum(risk[order]) / np.arange(1, 41) for order in orders], axis=0)
    np.testing.assert_allclose(found, means, atol=0.03)
    np.testing.assert_allclose(coverage, np.arange(1, 41) / 40)
    assert found[-1] == pytest.approx(risk.mean())
    assert [values.size for values in risk_coverage(np.zeros(0), np.zeros(0))] == [0, 0]
