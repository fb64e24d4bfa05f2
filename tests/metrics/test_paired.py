from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import bootstrap, wilcoxon

from cellproof.checks import InputError
from cellproof.metrics.paired import compare


def test_the_interval_and_the_test_are_those_of_scipy():
    rng = np.random.default_rng(1)
    ours, others = rng.normal(0.6, 0.1, 40), rng.normal(0.5, 0.1, 40)
    paired = compare(ours, others)
    assert paired.difference == pytest.approx((ours - others).mean())
    assert paired.p_value == pytest.approx(wilcoxon(ours, others).pvalue)
    expected = bootstrap(
        (ours - others,), np.mean, method="percentile", n_resamples=20000, rng=np.random.default_rng(2)
    ).confidence_interval
    assert paired.interval == pytest.approx((expected.low, expected.high), abs=0.004)


def test_order_of_the_two_turns_the_sign_only():
    rng = np.random.default_rng(3)
    ours, others = rng.random((2, 12))
    one, other = compare(ours, others), compare(others, ours)
    assert one.difference == pytest.approx(-other.difference)
    assert one.interval == pytest.approx((-other.interval[1], -other.interval[0]))
    assert one.p_value == other.p_value


def test_the_same_scores_are_no_difference():
    paired = compare(np.linspace(0, 1, 7), np.linspace(0, 1, 7))
    assert (paired.difference, paired.interval, paired.p_value) == (0, (0, 0), 1)


def test_fewer_than_five_images_have_a_difference_and_nothing_else():
    paired = compare(np.array([0.5, 0.6, 0.7, 0.8]), np.array([0.4, 0.5, 0.6, 0.7]))
    assert paired.difference == pytest.approx(0.1)
    assert (paired.n_images, paired.interval, paired.p_value) == (4, None, None)


def test_an_image_without_one_of_the_scores_is_left_out():
    paired = compare(np.array([0.5, math.nan, 0.7]), np.array([0.4, 0.1, math.nan]))
    assert (paired.n_images, paired.difference) == (1, pytest.approx(0.1))
    assert math.isnan(compare(np.array([math.nan]), np.array([1.0])).difference)


def test_scores_of_different_images_are_refused():
    with pytest.raises(InputError, match="shapes differ"):
        compare(np.zeros(3), np.zeros(4))
