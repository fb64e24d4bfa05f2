"""Rows of membrane scores: pooling, what every row says of itself, images without membrane."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cellproof.metrics.gaps import Gaps
from cellproof.metrics.membranes import count_membranes, membrane_rows
from cellproof.metrics.rows import Row


def lattice(size: int = 64, pitch: int = 16) -> np.ndarray:
    mask = np.zeros((size, size), bool)
    for start in range(pitch // 2, size, pitch):
        mask[start : start + 3] = mask[:, start : start + 3] = True
    return mask


def broken() -> np.ndarray:
    mask = lattice()
    mask[8:11, 14:21] = mask[40:43, 30:37] = False
    return mask


def values(rows: list[Row], averaging: str = "pooled") -> dict[tuple[str, str], float]:
    return {(row.metric, row.class_or_threshold): row.value for row in rows if row.averaging == averaging}


def count(prediction: np.ndarray, network: np.ndarray, **options):
    return count_membranes(prediction, lattice(), network=network, tolerance_px=2, **options)


def test_a_perfect_repair_has_perfect_rows() -> None:
    found = values(membrane_rows([count(lattice(), broken())]))
    perfect = {
        "fraction of gaps closed (old definition)": 1,
        "fraction of closings false (old definition)": 0,
        "clDice": 1,
    }
    perfect |= {"gaps (old definition)": 2, "gaps closed (old definition)": 2, "walls closed": 2, "cells harmed": 0}
    perfect |= {"fraction of open walls closed": 1, "fraction of cells harmed": 0, "added centerline precision": 1}
    perfect |= {"Betti-0 matching error": 0, "Betti-1 matching error": 0, "walls": 40, "walls opened": 0}
    perfect |= {"Betti-0 error": 0, "Betti-1 error": 0, "adapted Rand error": 0, "VI split": 0, "VI merge": 0}
    perfect |= {"merged cells": 0, "split cells": 0, "topology precision": 1, "topology sensitivity": 1}
    assert {name: found[name, ""] for name in perfect} == perfect
    assert found["mean width px", "prediction"] == found["mean width px", "reference"]


def test_a_network_with_two_gaps_has_two_merged_cells_and_two_holes_less() -> None:
    counted = count(broken(), broken())
    assert counted.gaps == Gaps(2, 0, 0)
    found = values(membrane_rows([counted]))
    assert found["merged cells", ""] == 2
    assert found["Betti-1 error", ""] == 2
    assert found["Rand recall", ""] == 1
    assert found["Rand precision", ""] < 0.9
    assert found["adapted Rand error", ""] > 0.05


def test_pooled_shares_come_from_summed_counts_and_carry_an_interval() -> None:
    images = [count(lattice(), broken()), count(broken(), broken())] * 3
    rows = membrane_rows(images, group="a")
    row = next(row for row in rows if row.metric == "fraction of open walls closed")
    assert row.value == 0.5
    # Of six images drawn anew, 3 ± 1.2 are repaired.
    assert row.interval == pytest.approx((1 / 6, 5 / 6))
    few = next(row for row in membrane_rows(images[:4]) if row.metric == "fraction of open walls closed")
    assert all(math.isnan(end) for end in few.interval)
    by_image = values(rows, "mean over images")
    assert by_image["clDice", ""] == pytest.approx(np.mean([values(membrane_rows([i]))["clDice", ""] for i in images]))


def test_membrane_rows_state_level_empty_case_and_counts() -> None:
    rows = membrane_rows([count(lattice(), broken()), count(broken(), broken())], group="a")
    for row in rows:
        assert row.empty_case
        assert row.n_images == 2
        assert row.n_objects == 2 * 25
        assert row.group == "a"
    assert len({(row.metric, row.averaging, row.class_or_threshold) for row in rows}) == len(rows)


@pytest.mark.parametrize("share", [0, 1])
def test_no_membrane_and_all_membrane_are_scored(share: int) -> None:
    prediction = np.full((64, 64), bool(share))
    found = values(membrane_rows([count(prediction, broken())]))
    assert found["adapted Rand error", ""] > 0.8
    assert found["fraction of gaps closed (old definition)", ""] == share
    # What the old definition calls perfect closes no wall and harms every cell.
    assert found["fraction of open walls closed", ""] == 0
    assert found["fraction of cells harmed", ""] == share
    assert math.isnan(found["mean width px", "prediction"]) == (not share)


def test_pixels_without_annotation_change_nothing_whatever_is_predicted_there() -> None:
    ignored = np.zeros((64, 64), bool)
    ignored[:20, :30] = True
    one, two = broken(), broken()
    two[:15, :25] ^= True
    assert count(one, one, ignored=ignored) == count(two, two, ignored=ignored)
