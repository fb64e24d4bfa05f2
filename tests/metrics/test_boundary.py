"""Outlines and bands on drawn masks, and DeepMind's surface distances on random ones."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter

from cellproof.checks import InputError
from cellproof.metrics.boundary import canny_band, distance_band, object_outlines, outlines
from cellproof.metrics.objects import overlap


def random_masks(seed: int, shape: tuple[int, int] = (34, 41)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    smooth = rng.uniform(0.5, 4)
    first, second = (gaussian_filter(rng.normal(size=shape), smooth) for _ in range(2))
    return first > 0, first + 0.5 * second > 0


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), height=st.floats(0.3, 3), width=st.floats(0.3, 3), tolerance=st.floats(0.1, 5))
def test_surface_dice_and_hausdorff_are_those_of_deepmind(seed, height, width, tolerance):
    oracle = pytest.importorskip("surface_distance", reason="surface-distance is not installed")
    prediction, reference = random_masks(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names of SciPy's that are no longer there under these names
        expected = oracle.compute_surface_distances(reference, prediction, (height, width))
        found = outlines(prediction, reference, spacing=(height, width))
        assert found.surface_dice(tolerance) == pytest.approx(
            oracle.compute_surface_dice_at_tolerance(expected, tolerance)
        )
        assert found.hausdorff() == pytest.approx(oracle.compute_robust_hausdorff(expected, 95))
        assert found.hausdorff(50) == pytest.approx(oracle.compute_robust_hausdorff(expected, 50))


def test_a_shift_by_two_pixels_is_as_far_as_pixels_are_large():
    reference = np.zeros((30, 60), bool)
    reference[5:25, 10:40] = True
    prediction = np.roll(reference, 2, axis=1)
    found = outlines(prediction, reference, spacing=(1.0, 0.25))
    assert found.hausdorff(100) == 0.5
    assert (found.surface_dice(0.5), outlines(prediction, reference).hausdorff(100)) == (1.0, 2.0)
    # Beyond a tolerance of less than the shift lie the two upright sides, 40 of 100 px, but for their ends.
    assert outlines(prediction, reference).surface_dice(1.0) == pytest.approx(1 - 40 / 100, abs=0.03)


def test_what_is_missing_is_infinitely_far():
    mask = np.zeros((9, 9), bool)
    mask[3:6, 3:6] = True
    for found in (outlines(mask & False, mask), outlines(mask, mask & False)):
        assert found.surface_dice(1e9) == 0
        assert found.hausdorff() == math.inf
    nothing = outlines(mask & False, mask & False)
    assert math.isnan(nothing.surface_dice(1))
    assert math.isnan(nothing.hausdorff())


def test_a_missed_object_and_a_false_one_count_with_their_whole_outline():
    reference, prediction = np.zeros((40, 60), int), np.zeros((40, 60), int)
    reference[5:15, 5:15], reference[25:35, 5:15] = 4, 9
    prediction[5:15, 5:15], prediction[20:30, 40:50] = 1, 2
    found = object_outlines(prediction, reference, overlap(prediction, reference))
    assert [one.hausdorff() for one in found] == [0, math.inf, math.inf]
    # Four outlines of equal length, two of which meet.
    assert sum(one.length_within(3) for one in found) / sum(one.length for one in found) == pytest.approx(0.5)


def test_objects_are_measured_against_their_own_partner_only():
    reference = np.zeros((20, 40), int)
    reference[5:15, 5:15], reference[5:15, 15:25] = 1, 2
    prediction = np.zeros((20, 40), int)
    prediction[5:15, 5:17], prediction[5:15, 17:25] = 8, 3
    found = object_outlines(prediction, reference, overlap(prediction, reference))
    assert [one.hausdorff() for one in found] == [2, 2]


def test_outlines_beside_pixels_without_annotation_have_no_say():
    reference = np.zeros((20, 20), bool)
    reference[5:15, 5:15] = True
    prediction = reference.copy()
    prediction[5:15, 15:19] = True
    ignored = np.zeros((20, 20), bool)
    ignored[:, 14:] = True
    found = outlines(prediction & ~ignored, reference & ~ignored, ignored=ignored)
    assert found.surface_dice(0.1) == 1
    assert found.length < outlines(reference, reference).length


def test_the_canny_band_is_a_square_around_the_rim():
    mask = np.zeros((60, 60), bool)
    mask[15:45, 20:50] = True
    rim = mask & ~binary_erosion(mask)
    expected = binary_dilation(rim, np.ones((7, 7), bool))
    # Canny's detector rounds corners off.
    assert (canny_band(mask) != expected).sum() <= 4 * 7
    assert (canny_band(mask, side_px=1)[30], canny_band(mask)[30]) == (
        pytest.approx(rim[30]),
        pytest.approx(expected[30]),
    )


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), distance=st.floats(0.4, 4))
def test_the_distance_band_is_what_lies_near_the_other_kind(seed, distance):
    _, mask = random_masks(seed, (14, 15))
    places = np.argwhere(np.ones_like(mask)) * [1.0, 0.5]
    away = np.linalg.norm(places[:, None] - places[None], axis=2)
    other = mask.ravel()[:, None] != mask.ravel()[None]
    expected = (np.where(other, away, np.inf).min(axis=1) <= distance).reshape(mask.shape)
    np.testing.assert_array_equal(distance_band(mask, distance=distance, spacing=(1.0, 0.5)), expected)


@pytest.mark.parametrize("value", [False, True])
def test_a_mask_without_an_edge_has_no_band(value):
    mask = np.full((12, 12), value)
    assert not canny_band(mask).any()
    assert not distance_band(mask, distance=3).any()


def test_sizes_that_are_none_are_refused():
    mask = np.ones((4, 4), bool)
    with pytest.raises(InputError, match="spacing is 0, expected a number above 0"):
        outlines(mask, mask, spacing=(0, 1))
    with pytest.raises(InputError, match="distance is -1"):
        distance_band(mask, distance=-1)
