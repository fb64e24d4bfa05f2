from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from cellproof.checks import InputError
from cellproof.metrics.ranking import auroc


def _draw(seed, distinct):
    """Scores with many ties, and errors that are likelier where the score is high; both kinds occur."""
    rng = np.random.default_rng(seed)
    score = (rng.integers(0, distinct, (9, 11)) / distinct).astype(np.float32)
    wrong = rng.random(score.shape) < score**2
    wrong[0, :2] = True, False
    return score, wrong


cases = st.builds(_draw, st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 5, 10_000]))


@settings(max_examples=30, deadline=None)
@given(case=cases)
def test_auroc_equals_scikit_learns_with_and_without_ties(case):
    score, wrong = case
    assert auroc(score, wrong) == pytest.approx(roc_auc_score(wrong.ravel(), score.ravel()), abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(case=cases)
def test_auroc_depends_on_the_order_of_scores_alone_and_is_mirrored_by_turning_it(case):
    score, wrong = case
    assert auroc(np.exp(3 * score), wrong) == auroc(score, wrong)
    assert auroc(-score, wrong) == pytest.approx(1 - auroc(score, wrong), abs=1e-12)
    assert auroc(score, ~wrong) == pytest.approx(1 - auroc(score, wrong), abs=1e-12)


def test_auroc_of_a_drawn_set():
    # Of the four pairs of a wrong and a right pixel, three are in order and one is tied.
    assert auroc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, True, False, True])) == 0.875


@pytest.mark.parametrize(
    ("score", "wrong", "expected"),
    [
        ([0.1, 0.2, 0.8], [False, False, True], 1.0),
        ([0.1, 0.2, 0.8], [True, True, False], 0.0),
        ([0.3, 0.3, 0.3], [True, False, False], 0.5),
        ([0.3, 0.4], [False, False], math.nan),
        ([0.3, 0.4], [True, True], math.nan),
        ([], [], math.nan),
    ],
    ids=["perfect", "the wrong way round", "constant", "no error", "errors only", "no pixel"],
)
def test_auroc_at_its_ends(score, wrong, expected):
    assert auroc(np.array(score), np.array(wrong, bool)) == pytest.approx(expected, nan_ok=True)


def test_a_map_of_yes_and_no_has_the_mean_of_its_two_hit_rates():
    difficult = np.array([True, True, False, False, False])
    wrong = np.array([True, False, True, False, False])
    assert auroc(difficult, wrong) == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_scores_that_cannot_be_ranked_are_refused():
    with pytest.raises(InputError, match="score contains 1 NaN"):
        auroc(np.array([0.1, np.nan]), np.array([True, False]))
    with pytest.raises(InputError, match=r"shapes differ: score \(2,\), wrong \(3,\)"):
        auroc(np.zeros(2), np.zeros(3, bool))
