"""Decisions from plain numbers are those of scikit-learn's models, and numbers that are none are refused."""

from __future__ import annotations

from itertools import combinations_with_replacement
from math import prod

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from cellproof.checks import InputError
from cellproof.refine._decisions import check_numbers, decide, polynomial_numbers
from cellproof.refine._learning import (
    METHODS,
    bayes_numbers,
    boosting_numbers,
    learn_decision,
    make_boosting,
    make_svm,
    standardized,
    svm_numbers,
    validate,
)


def drawn(features, count=900, seed=0):
    """Rows far from standardized, and which are inside, by a curved rule with noise."""
    rng = np.random.default_rng(seed)
    rows = (rng.normal(size=(count, features)) * 7 + 40).astype(np.float32)
    rule = rows[:, 0] + (rows[:, -1] - 40) ** 2 / 6 + rng.normal(0, 4, count)
    return rows, rule > np.median(rule)


@pytest.mark.parametrize("features", [1, 2, 5])
def test_the_polynomial_kernel_is_its_feature_map(features):
    rows, inside = drawn(features)
    scaled, mean, sd = standardized(rows)
    model = make_svm().fit(scaled[:400], inside[:400])
    assert len(model.support_) > 50
    expected = model.decision_function(scaled)
    np.testing.assert_allclose(decide(svm_numbers(model, mean, sd), rows), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("features", [1, 2, 5])
def test_gaussian_bayes_is_a_polynomial(features):
    rows, inside = drawn(features)
    scaled, mean, sd = standardized(rows)
    model = GaussianNB().fit(scaled[inside | (np.arange(900) % 3 == 0)], inside[inside | (np.arange(900) % 3 == 0)])
    joint = model.predict_joint_log_proba(scaled)
    np.testing.assert_allclose(decide(bayes_numbers(model, mean, sd), rows), joint[:, 1] - joint[:, 0], atol=1e-9)


def test_logistic_regression_is_a_polynomial_of_degree_1():
    rows, inside = drawn(3)
    scaled, _, _ = standardized(rows)
    expected = LogisticRegression().fit(scaled, inside).decision_function(scaled)
    np.testing.assert_allclose(decide(learn_decision("logistic", rows, inside, seed=0), rows), expected, atol=1e-9)


@pytest.mark.parametrize("features", [1, 2, 5])
def test_boosted_trees_are_looked_up_as_they_were_grown(features):
    rows, inside = drawn(features)
    model = make_boosting(0).fit(rows, inside)
    numbers = boosting_numbers(model, inside)
    # Values at the thresholds themselves go left.
    rows[:, 0] = np.resize(np.array(numbers["tree_threshold"], np.float32), len(rows))
    np.testing.assert_allclose(decide(numbers, rows), model.decision_function(rows), rtol=0, atol=1e-9)


def test_trees_that_end_early_are_completed():
    rows = np.array([[0.0], [1.0], [2.0], [3.0]], np.float32)
    inside = np.array([False, False, True, True])
    model = make_boosting(0).fit(rows, inside)
    assert model.estimators_[0, 0].tree_.node_count == 3
    np.testing.assert_allclose(decide(boosting_numbers(model, inside), rows), model.decision_function(rows), atol=1e-12)


def test_a_polynomial_is_the_sum_of_its_products():
    rng = np.random.default_rng(5)
    numbers = polynomial_numbers(rng.normal(size=(4, 4, 4)), np.zeros(3), np.full(3, 2.0))
    row = rng.normal(size=3).astype(np.float32)
    factors = [1.0, *(row.astype(float) / 2)]
    products = [prod(factors[k] for k in place) for place in combinations_with_replacement(range(4), 3)]
    assert decide(numbers, row[None])[0] == pytest.approx(np.dot(products, numbers["polynomial"]))


def test_rows_are_decided_each_by_itself_whatever_their_number():
    rows, inside = drawn(2, count=5000)
    for method in METHODS:
        numbers = learn_decision(method, rows[:300], inside[:300], seed=0)
        together = decide(numbers, rows)
        np.testing.assert_allclose(together[4990:], decide(numbers, rows[4990:]), rtol=1e-12)
        assert decide(numbers, rows[:0]).shape == (0,)


def test_accuracy_is_that_on_images_that_were_held_out():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 25)
    sure = rng.normal(size=(1000, 1)).astype(np.float32)
    assert validate("logistic", sure, sure[:, 0] > 0, groups, seed=0).min() > 0.97
    # What tells the image tells nothing of others: trees learn it by heart, and fail where it counts.
    side = rng.random(40) > 0.5
    by_heart = groups[:, None].astype(np.float32)
    assert validate("boosting", by_heart, side[groups], groups, seed=0).mean() < 0.8
    known = learn_decision("boosting", by_heart, side[groups], seed=0)
    assert np.mean((decide(known, by_heart) > 0) == side[groups]) > 0.95


def test_a_single_side_teaches_nothing():
    with pytest.raises(InputError, match="all 3 boundary pixels are outside"):
        learn_decision("svm", np.zeros((3, 1), np.float32), np.zeros(3, bool), seed=0)
    found = validate("svm", np.zeros((4, 1), np.float32), np.arange(4) > 1, np.zeros(4, int), seed=0)
    assert np.isnan(found).all()


@pytest.mark.parametrize(
    "damage",
    [
        lambda numbers: {},
        lambda numbers: {**numbers, "mean": ()},
        lambda numbers: {**numbers, "sd": (1.0, 0.0)},
        lambda numbers: {**numbers, "polynomial": numbers["polynomial"][:-1]},
        lambda numbers: {**numbers, "tree_value": (1.0,) * 8},
        lambda numbers: {
            "base": (0.0,),
            "tree_value": (1.0,) * 8,
            "tree_feature": (2.0,) * 7,
            "tree_threshold": (0.0,) * 7,
        },
        lambda numbers: {"base": (0.0,), "tree_value": (1.0,) * 9, "tree_feature": (), "tree_threshold": ()},
    ],
)
def test_damaged_numbers_are_refused(damage):
    numbers = polynomial_numbers(np.eye(3), np.zeros(2), np.ones(2))
    check_numbers(numbers, 2)
    with pytest.raises(InputError, match="no decision on 2 features"):
        check_numbers(damage(numbers), 2)
