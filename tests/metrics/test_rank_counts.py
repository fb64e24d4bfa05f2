from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cellproof.checks import InputError
from cellproof.metrics.rank_counts import auroc_of_counts, count_ranks


def scores_near_zero(rng, n):
    """Scores as sure networks give them: most of them far below 0.01."""
    wrong = rng.random(n) < 0.1
    return np.where(wrong, 1e-3, 1e-5) * rng.lognormal(0, 1.5, n), wrong


def test_the_area_is_that_of_scikit_learn_also_of_tiny_scores():
    score, wrong = scores_near_zero(np.random.default_rng(0), 20_000)
    score = np.clip(score, 0, 1)
    assert auroc_of_counts(count_ranks(score, wrong)) == pytest.approx(roc_auc_score(wrong, score), abs=1e-5)


def test_counts_of_parts_add_up_to_those_of_the_whole():
    score, wrong = scores_near_zero(np.random.default_rng(1), 1000)
    score = np.clip(score, 0, 1)
    both = count_ranks(score[:300], wrong[:300]) + count_ranks(score[300:], wrong[300:])
    assert auroc_of_counts(both) == auroc_of_counts(count_ranks(score, wrong))


def test_a_constant_score_is_chance_and_a_perfect_one_is_one():
    wrong = np.array([True, False, False])
    assert auroc_of_counts(count_ranks(np.full(3, 0.25), wrong)) == 0.5
    assert auroc_of_counts(count_ranks(np.array([1.0, 0.0, -0.0]), wrong)) == 1
    assert math.isnan(auroc_of_counts(count_ranks(np.full(3, 0.25), np.zeros(3, bool))))


@pytest.mark.parametrize("score", [-0.1, 1.1, math.nan])
def test_what_is_no_score_is_refused(score):
    with pytest.raises(InputError):
        count_ranks(np.array([0.5, score]), np.array([True, False]))


def test_scores_that_differ_by_four_in_a_thousand_are_told_apart_down_to_the_smallest():
    for score in (0.5, 0.001, 1e-6):
        near = np.array([score, score * (1 + 1 / 128)], np.float32)
        assert auroc_of_counts(count_ranks(near, np.array([False, True]))) == 1
    halves = np.array([0.5, 0.5 * (1 + 1 / 256)], np.float32)
    assert auroc_of_counts(count_ranks(halves, np.array([False, True]))) == 1
