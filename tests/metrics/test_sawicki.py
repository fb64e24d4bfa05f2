"""The paper's variant on drawn masks whose values are counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cellproof.checks import InputError
from cellproof.metrics.sawicki import count_masks, mask_f1, mask_rows, object_distance, object_f1


def row(text: str) -> np.ndarray:
    return np.array([[digit == "1" for digit in text]])


def numbers(prediction: str, reference: str) -> tuple[float, float, float]:
    counts = count_masks(row(prediction), row(reference))
    return mask_f1(counts), object_f1(counts), object_distance(counts)


def test_a_perfect_mask():
    assert numbers("110110", "110110") == (1.0, 1.0, 0.0)


def test_nothing_anywhere_is_undefined():
    assert all(math.isnan(value) for value in numbers("000", "000"))


def test_nothing_found_counts_the_diagonal_of_each_rectangle():
    reference = np.zeros((9, 9), bool)
    reference[0:3, 0:4] = True
    counts = count_masks(np.zeros((9, 9), bool), reference)
    assert (mask_f1(counts), object_f1(counts), object_distance(counts)) == (0.0, 0.0, 5.0)


def test_merged_regions():
    f1, shape, distance = numbers("1111111", "1110111")
    assert f1 == pytest.approx(12 / 13)
    # Each reference region has F1 6/10, and so has the merged one with the first of them.
    assert shape == pytest.approx(0.6)
    # Within a reference rectangle the merged region is the region itself: 0. Within the merged one: 4.
    assert distance == pytest.approx((0 + 4) / 2)


def test_touching_regions_are_one_whatever_their_numbers():
    corner = np.array([[True, False], [False, True]])
    assert count_masks(corner, corner).n_objects == 1


def test_a_region_without_a_partner():
    f1, shape, distance = numbers("110000", "110011")
    assert (f1, shape) == (pytest.approx(4 / 6), pytest.approx((0.5 + 1) / 2))
    assert distance == pytest.approx((2 * math.hypot(1, 2) / 4 + 0) / 2)


def test_rows_are_pooled_and_averaged():
    rows = mask_rows([count_masks(row("11"), row("11")), count_masks(row("00"), row("01"))])
    assert {(one.metric, one.averaging): one.value for one in rows}["F1 (Sawicki)", "mean over images"] == 0.5


def test_labels_are_refused():
    with pytest.raises(InputError, match="expected bool"):
        count_masks(np.ones((2, 2), int), np.ones((2, 2), bool))
