from __future__ import annotations

import math

import pytest

from cellproof.training.history import HistoryRow, best_row, columns


def row(step, score, **metrics):
    return HistoryRow(step=step, seconds=1.0 * step, learning_rate=0.1, loss=2.0, score=score, metrics=metrics)


def test_columns_hold_a_value_a_row_and_nan_where_a_metric_is_missing():
    table = columns([row(1, 0.5, dice=0.5), row(2, 0.6, ap50=0.6)])
    assert list(table) == ["step", "seconds", "learning_rate", "loss", "score", "ap50", "dice"]
    assert table["step"] == [1, 2]
    assert table["dice"] == [0.5, pytest.approx(math.nan, nan_ok=True)]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([0.1, 0.3, 0.3], 2), ([math.nan, 0.1, math.nan], 2), ([math.nan, math.nan], 2), ([], None)],
)
def test_the_best_row_is_the_first_of_the_best_score(scores, expected):
    best = best_row([row(step, score) for step, score in enumerate(scores, start=1)])
    assert (best.step if best else None) == expected
