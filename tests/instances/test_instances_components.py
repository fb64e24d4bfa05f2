from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage
from skimage.measure import label

from cellproof.checks import InputError
from cellproof.instances.components import label_components


@settings(max_examples=30, deadline=None)
@given(class_map=arrays.arrays(np.uint8, (9, 11), elements=st.integers(0, 2)), background=st.integers(0, 2))
def test_regions_equal_scipys_regions_class_by_class(class_map, background):
    labels = label_components(class_map, background=background)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels > 0, class_map != background)
    total = 0
    for value in {0, 1, 2} - {background}:
        regions, count = ndimage.label(class_map == value)
        total += count
        for own in range(1, count + 1):
            assert len(np.unique(labels[regions == own])) == 1
    assert labels.max() == total


def test_numbers_follow_the_first_pixel_row_by_row():
    class_map = np.array([[0, 2, 0, 1], [1, 0, 0, 1], [1, 1, 2, 0]])
    assert label_components(class_map).tolist() == [[0, 1, 0, 2], [3, 0, 0, 2], [3, 3, 4, 0]]


def test_regions_that_meet_at_a_corner_stay_apart():
    assert label_components(np.eye(3, dtype=bool)).tolist() == [[1, 0, 0], [0, 2, 0], [0, 0, 3]]


@pytest.mark.parametrize("class_map", [np.zeros((3, 3)), np.full((3, 3), -1), np.zeros((1, 3, 3), int)])
def test_what_is_no_class_map_is_refused(class_map):
    with pytest.raises(InputError, match="class_map"):
        label_components(class_map)


@pytest.mark.parametrize("few_runs", [0, 9])
def test_runs_are_joined_as_scikit_image_joins_pixels(few_runs, monkeypatch):
    monkeypatch.setattr("cellproof.instances.components.FEW_RUNS", few_runs)
    rng = np.random.default_rng(0)
    for number in range(120):
        values = rng.integers(0, rng.integers(2, 5), rng.integers(1, 25, 2))
        background = number % 2
        expected = label(values, background=background, connectivity=1)
        np.testing.assert_array_equal(label_components(values, background=background), expected)
        areas = np.bincount(expected.ravel())
        kept = np.flatnonzero(areas >= 4)
        kept = kept[kept > 0]
        renumbered = np.zeros(areas.size, int)
        renumbered[kept] = np.arange(1, kept.size + 1)
        found = label_components(values, background=background, smallest_px=4)
        np.testing.assert_array_equal(found, renumbered[expected])
