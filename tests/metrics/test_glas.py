"""The challenge's numbers on drawn cases whose values are counted by hand, and against distances by definition."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist

from cellproof.checks import InputError
from cellproof.metrics.glas import count_glands, f1, gland_rows, object_dice, object_hausdorff
from cellproof.metrics.hausdorff import Outlined, hausdorff, nearest


def row(text: str) -> np.ndarray:
    return np.array([[int(digit) for digit in text]])


def counted(prediction: str, reference: str) -> tuple[int, int, int]:
    counts = count_glands(row(prediction), row(reference))
    return counts.tp, counts.fp, counts.fn


def test_nothing_anywhere_is_undefined():
    counts = count_glands(row("0000"), row("0000"))
    assert (counts.tp, counts.fp, counts.fn) == (0, 0, 0)
    assert all(math.isnan(formula(counts)) for formula in (f1, object_dice, object_hausdorff))


def test_nothing_found_counts_the_diagonal():
    counts = count_glands(np.zeros((3, 4), int), np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 2]]))
    assert (f1(counts), object_dice(counts), object_hausdorff(counts)) == (0.0, 0.0, 5.0)


def test_one_missed_gland_is_as_far_as_the_nearest_found_one():
    # Gland 2 (1 px) has no partner; the only prediction is columns 0 and 1, so the distance is max(5 - 1, 5 - 0) = 5.
    counts = count_glands(row("110000"), row("110002"))
    assert (counts.tp, counts.fp, counts.fn) == (1, 0, 1)
    # Reference: (2 · 1 + 1 · 0) / 3, prediction: 1. Distances: (2 · 0 + 1 · 5) / 3 and 0.
    assert object_dice(counts) == pytest.approx((2 / 3 + 1) / 2)
    assert object_hausdorff(counts) == pytest.approx((5 / 3 + 0) / 2)
    assert f1(counts) == pytest.approx(2 / 3)


def test_a_split_gland():
    # Halves of 4 and 2 pixels: the larger covers 4 of 6, the other 2 of 6 only.
    counts = count_glands(row("111122"), row("111111"))
    assert (counts.tp, counts.fp, counts.fn) == (1, 1, 0)
    # Reference: Dice with the larger 8/10. Prediction: (4 · 0.8 + 2 · 4/8) / 6. Distances 2; (4 · 2 + 2 · 4) / 6.
    assert object_dice(counts) == pytest.approx((0.8 + (4 * 0.8 + 2 * 0.5) / 6) / 2)
    assert object_hausdorff(counts) == pytest.approx((2 + 16 / 6) / 2)


def test_merged_glands():
    counts = count_glands(row("1111111"), row("1110222"))
    assert (counts.tp, counts.fp, counts.fn) == (1, 0, 1)
    # Both glands have Dice 6/10 with it and a distance of 4; so has it with the first.
    assert object_dice(counts) == pytest.approx(0.6)
    assert object_hausdorff(counts) == pytest.approx(4.0)


def test_nested_glands():
    # A ring with a gland inside, found as one solid gland: it hits the ring and misses what it holds.
    reference = np.ones((5, 5), int)
    reference[1:4, 1:4] = 0
    reference[2, 2] = 2
    counts = count_glands(np.ones((5, 5), int), reference)
    assert (counts.tp, counts.fp, counts.fn) == (1, 0, 1)
    assert object_dice(counts) == pytest.approx(((16 * 32 / 41 + 1 * 2 / 26) / 17 + 32 / 41) / 2)
    # From the middle to the ring: 2; from the corners to the middle: √8.
    assert object_hausdorff(counts) == pytest.approx(((16 * 2 + 1 * math.sqrt(8)) / 17 + 2) / 2)


def test_half_is_enough_and_a_gland_is_hit_once():
    assert counted("110000", "111100") == (1, 0, 0)
    assert counted("100000", "111100") == (0, 1, 1)
    assert counted("112200", "111100") == (1, 1, 0)


def test_what_is_not_annotated_has_no_say():
    prediction, reference = row("1100222"), row("1100000")
    ignored = row("0000111") > 0
    counts = count_glands(prediction, reference, ignored=ignored)
    assert (counts.tp, counts.fp, counts.fn, object_dice(counts)) == (1, 0, 0, 1.0)


def test_counts_of_images_are_pooled_and_averaged():
    good, empty = count_glands(row("1100"), row("1100")), count_glands(row("0000"), row("0110"))
    rows = {(one.metric, one.averaging): one.value for one in gland_rows([good, empty])}
    # Pooled: of 4 reference pixels 2 have Dice 1, of 2 predicted ones both.
    assert rows["object Dice", "pooled"] == pytest.approx((0.5 + 1) / 2)
    assert rows["object Dice", "mean over images"] == pytest.approx(0.5)
    assert rows["F1 (GlaS)", "pooled"] == pytest.approx(2 / 3)
    assert rows["missed glands", "pooled"] == 1


LABELS = arrays(np.int64, (6, 7), elements=st.integers(0, 3))


@given(LABELS, LABELS)
@settings(max_examples=60, deadline=None)
def test_distances_are_those_of_the_definition(one, another):
    images = Outlined(one), Outlined(another)

    def brute(number: int, other: int) -> float:
        between = cdist(np.argwhere(one == number), np.argwhere(another == other))
        return max(between.min(axis=1).max(), between.min(axis=0).max())

    others = [other for other in (1, 2, 3) if (another == other).any()]
    for number in np.unique(one[one > 0]).tolist():
        found = [hausdorff(images[0], number, images[1], other) for other in others]
        assert found == pytest.approx([brute(number, other) for other in others])
        assert nearest(images[0], number, images[1]) == pytest.approx(min(found, default=math.inf))


@given(LABELS, st.permutations([1, 2, 3]))
@settings(max_examples=40, deadline=None)
def test_the_same_glands_by_other_numbers_are_perfect(labels, numbers):
    perfect = count_glands(np.array([0, *numbers])[labels], labels)
    if labels.any():
        assert (f1(perfect), object_dice(perfect), object_hausdorff(perfect)) == (1.0, 1.0, 0.0)


def test_shapes_must_agree():
    with pytest.raises(InputError, match="shapes differ"):
        count_glands(np.zeros((2, 2), int), np.zeros((2, 3), int))


def test_an_image_of_thirty_glands_takes_a_fifth_of_a_second():
    reference, prediction = np.zeros((522, 775), int), np.zeros((522, 775), int)
    rows, columns = np.ogrid[:522, :775]
    for place in range(30):
        row_, column = 52 + 104 * (place // 6), 64 + 129 * (place % 6)
        reference[(rows - row_) ** 2 + (columns - column) ** 2 < 48**2] = place + 1
        prediction[(rows - row_ - 6) ** 2 + (columns - column + 9) ** 2 < 40**2] = place + 1
    times = []
    for _ in range(3):
        begun = time.process_time()
        counts = count_glands(prediction, reference)
        times.append(time.process_time() - begun)
    assert counts.tp == 30
    assert min(times) < 0.2
    # Circles of radii 48 and 40 whose centers are √117 apart: 8 + √117 less pixels' corners.
    assert object_hausdorff(counts) == pytest.approx(8 + math.sqrt(117), abs=0.5)
