from __future__ import annotations

import math

import numpy as np
import pytest

from cellproof.io import read_csv
from cellproof.training.history import HistoryRow
from cellproof.workflows.train.over_folds import over_folds, write_over_folds


def row(step, score, **metrics):
    return HistoryRow(step, 1.0, 0.1, 0.5, score, metrics)


HISTORY = {
    1: (row(1, 0.2, iou_0=0.2), row(2, 0.1, iou_0=0.9)),
    0: (row(1, 0.3, **{"iou_0": 0.4, "iou_1": math.nan, "watched/weight": 1.0}),),
    2: (row(1, 0.3, iou_0=0.6, iou_1=0.8),),
}


def test_every_fold_counts_with_its_best_validation():
    first, second = over_folds(HISTORY)
    assert (first.metric, first.values) == ("iou_0", (0.4, 0.2, 0.6))
    assert (first.mean, first.sd) == (pytest.approx(0.4), pytest.approx(np.std([0.4, 0.2, 0.6], ddof=1)))
    assert first.text == "0.400 ± 0.200"
    # Where a class is undefined in a fold, the others make the mean; one value has no deviation.
    assert (second.metric, second.mean, second.text) == ("iou_1", 0.8, "0.800")
    np.testing.assert_equal(second.values, (math.nan, math.nan, 0.8))


def test_one_division_has_nothing_to_compare():
    assert over_folds({0: HISTORY[0]}) == over_folds({}) == []


def test_the_table_is_read_back(tmp_path):
    write_over_folds(tmp_path / "folds.csv", over_folds(HISTORY))
    table = read_csv(tmp_path / "folds.csv")
    assert table["mean ± sd"] == ["0.400 ± 0.200", "0.800"]
    assert [float(value) for value in table["fold3"]] == [0.6, 0.8]
