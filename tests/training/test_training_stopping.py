from __future__ import annotations

import math

import pytest

from cellproof.training.stopping import Stopping


def followed(scores, patience):
    """Step of the best score, and after how many validations it is over; None if never."""
    rule, over = Stopping(patience=patience), None
    for number, score in enumerate(scores, start=1):
        rule = rule.update(score, 10 * number)
        over = number if rule.is_over and over is None else over
    return rule.best_step, over


@pytest.mark.parametrize(
    ("scores", "patience", "expected"),
    [
        ([0.1, 0.2, 0.3], 1, (30, None)),
        ([0.3, 0.2], 1, (10, 2)),
        ([0.3, 0.3], 1, (10, 2)),
        ([0.1, 0.3, 0.2, 0.25, 0.1], 2, (20, 4)),
        ([0.3, 0.2, 0.4, 0.1, 0.1], 2, (30, 5)),
        ([0.5, 0.1, 0.1, 0.1], None, (10, None)),
        ([math.nan, math.nan, 0.1], 3, (30, None)),
        ([0.2, math.nan, math.nan], 2, (10, 3)),
    ],
)
def test_patience_counts_validations_without_a_better_score(scores, patience, expected):
    assert followed(scores, patience) == expected


def test_only_the_last_validation_can_be_the_best_one():
    rule = Stopping().update(0.2, 1)
    assert rule.is_best
    assert not rule.update(0.1, 2).is_best
    assert not Stopping().update(math.nan, 1).is_best
