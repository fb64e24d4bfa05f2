from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.draw import disk
from skimage.morphology import h_maxima

from cellproof.checks import InputError
from cellproof.instances import watershed
from cellproof.instances.watershed import _Ascent, watershed_objects, watershed_objects_all


def cone(center, radius, shape=(60, 90)):
    rows, columns = np.indices(shape)
    return np.clip(1 - np.hypot(rows - center[0], columns - center[1]) / radius, 0, 1)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), threshold=st.sampled_from([0.05, 0.1, 0.3]))
def test_the_number_of_objects_is_the_number_of_h_maxima(seed, threshold):
    rng = np.random.default_rng(seed)
    height = ndimage.gaussian_filter(rng.random((24, 31)), 1.5).astype(np.float32)
    height = (height - height.min()) / np.ptp(height)
    foreground = ndimage.gaussian_filter(rng.random((24, 31)), 2) > 0.48
    labels = watershed_objects(height, foreground, seed_threshold=threshold)
    surface = ndimage.gaussian_filter(height, watershed.SMOOTHING_PX, truncate=2, mode="nearest")
    # Background lies lower than any pixel by more than the threshold, so that each region keeps its highest summit.
    maxima = h_maxima(np.where(foreground, surface, -2).astype(np.float64), threshold)
    expected = ndimage.label(maxima * foreground, np.ones((3, 3)))[1]
    assert labels.max() == expected


def test_two_overlapping_cones_are_parted_at_the_valley():
    left, right = cone((30, 25), 25), cone((30, 60), 25)
    labels = watershed_objects(np.maximum(left, right), np.maximum(left, right) > 0)
    assert labels.max() == 2
    column = np.indices(labels.shape)[1]
    assert (labels[(column < 41) & (labels > 0)] == labels[30, 25]).all()
    assert (labels[(column > 44) & (labels > 0)] == labels[30, 60]).all()


def test_a_summit_below_the_threshold_joins_the_higher_one():
    height = np.maximum(cone((30, 25), 25), cone((30, 45), 25))
    smoothed = ndimage.gaussian_filter(height.astype(np.float32), 1)
    prominence = smoothed[30, 25] - smoothed[30, 35]
    assert watershed_objects(height, height > 0, seed_threshold=prominence - 0.05).max() == 2
    assert watershed_objects(height, height > 0, seed_threshold=prominence + 0.05).max() == 1


def test_a_boundary_parts_what_the_height_does_not():
    foreground = np.zeros((40, 60), bool)
    foreground[10:30, 10:50] = True
    boundary = np.zeros((40, 60), np.float32)
    boundary[:, 29:31] = 1
    height = np.full((40, 60), 0.5, np.float32)
    assert watershed_objects(height, foreground, boundary=boundary, boundary_weight=0).max() == 1
    labels = watershed_objects(height, foreground, boundary=boundary, boundary_weight=0.5)
    assert labels.max() == 2
    assert labels[20, 12] != labels[20, 47]


def test_a_flat_height_gives_one_object_for_each_region():
    foreground = np.zeros((50, 50), bool)
    foreground[disk((12, 12), 9)] = True
    foreground[disk((35, 35), 11)] = True
    labels = watershed_objects(np.ones((50, 50)), foreground)
    np.testing.assert_array_equal(labels > 0, foreground)
    assert labels.max() == 2


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_foreground_pixel_gets_one_of_the_labels_without_gaps_and_objects_are_connected(seed):
    rng = np.random.default_rng(seed)
    height, foreground = rng.random((17, 13)), rng.random((17, 13)) > 0.3
    labels = watershed_objects(height, foreground)
    np.testing.assert_array_equal(labels > 0, foreground)
    np.testing.assert_array_equal(np.unique(labels[foreground]), np.arange(1, labels.max() + 1))
    assert all(ndimage.label(labels == own, np.ones((3, 3)))[1] == 1 for own in range(1, labels.max() + 1))


@pytest.mark.parametrize(("foreground", "objects"), [(np.zeros((5, 6), bool), 0), (np.ones((5, 6), bool), 1)])
def test_degenerate_foregrounds(foreground, objects):
    assert watershed_objects(np.zeros((5, 6)), foreground).max() == objects


def test_an_image_of_one_pixel():
    assert watershed_objects(np.zeros((1, 1)), np.ones((1, 1), bool)).tolist() == [[1]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"height": np.zeros((4, 5))}, "shapes differ"),
        ({"boundary": np.zeros((4, 5))}, "shapes differ"),
        ({"height": np.full((4, 4), np.nan)}, "height contains 16 NaN"),
        ({"seed_threshold": 0.0}, "seed_threshold is 0.0"),
    ],
)
def test_wrong_input_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        watershed_objects(**({"height": np.zeros((4, 4)), "foreground": np.ones((4, 4), bool)} | arguments))


def basins_by_hand(surface, foreground):
    """Basins by a loop: each pixel goes to its steepest neighbor, a later one where several are equally steep."""
    height, width = surface.shape
    target = {}
    for row, column in np.argwhere(foreground).tolist():
        best, slope = (row, column), np.float32(0)
        for down, right in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)):
            there = row + down, column + right
            if not (0 <= there[0] < height and 0 <= there[1] < width and foreground[there]):
                continue
            steep = (surface[there] - surface[row, column]) / np.float32(np.hypot(down, right))
            if steep > slope or ((down, right) > (0, 0) and steep == slope):
                best, slope = there, steep
        target[row, column] = best
    summits = [pixel for pixel, there in target.items() if pixel == there]
    basins = np.zeros(surface.shape, int)
    for pixel in target:
        end = pixel
        while target[end] != end:
            end = target[end]
        basins[pixel] = summits.index(end) + 1
    return basins


@pytest.mark.parametrize("seed", range(8))
def test_foregrounds_together_give_what_each_gives_alone(seed):
    rng = np.random.default_rng(seed)
    height = ndimage.gaussian_filter(rng.normal(size=(23, 31)), 2)
    height = ((height - height.min()) / np.ptp(height)).astype(np.float32)
    if seed % 2:
        height = height.round(1)
    boundary = rng.random(height.shape).astype(np.float32)
    sure = ndimage.gaussian_filter(rng.random(height.shape), 1) + height / 2
    limits = np.quantile(sure, [0.2, 0.5, 0.5, 0.5, 0.8])
    foregrounds, thresholds = [sure > limit for limit in limits], [0.1, 0.02, 0.1, 0.4, 0.1]
    together = watershed_objects_all(height, foregrounds, boundary=boundary, seed_thresholds=thresholds)
    for labels, foreground, threshold in zip(together, foregrounds, thresholds, strict=True):
        alone = watershed_objects(height, foreground, boundary=boundary, seed_threshold=threshold)
        np.testing.assert_array_equal(labels, alone)


@pytest.mark.parametrize("seed", range(6))
def test_basins_of_a_smaller_foreground_are_those_of_a_loop_over_its_pixels(seed):
    rng = np.random.default_rng(seed)
    surface = ndimage.gaussian_filter(rng.normal(size=(19, 26)), 1.5).astype(np.float32)
    if seed % 2:
        surface = surface.round(1)
    sure = ndimage.gaussian_filter(rng.random(surface.shape), 1)
    larger = sure > np.quantile(sure, 0.2)
    ascent = _Ascent.of(surface, larger)
    for limit in (0.2, 0.5, 0.8):
        smaller = larger & (sure > np.quantile(sure, limit))
        expected = basins_by_hand(surface, smaller)
        found, summits = ascent.basins(smaller)
        np.testing.assert_array_equal(found.reshape(21, 28)[1:-1, 1:-1], expected)
        assert len(summits) == expected.max()


def test_a_summit_exactly_as_prominent_as_asked_for_is_an_object():
    basins, summits = np.array([1, 2]), np.array([1.0, 0.5])
    passes = (np.array([1]), np.array([2]), np.array([0.25]))
    assert watershed._join_basins(basins, summits, passes, seed_threshold=0.25).tolist() == [1, 2]
    assert watershed._join_basins(basins, summits, passes, seed_threshold=0.26).tolist() == [1, 1]


def test_a_joined_basin_has_the_higher_summits_prominence():
    # Along a line: 0.5, then over passes of 0.4 and 0.3, 1.0 and 0.6; joining the first to 1.0 lowers nothing of it.
    basins, summits = np.array([1, 2, 3]), np.array([0.5, 1.0, 0.6])
    passes = (np.array([1, 2]), np.array([2, 3]), np.array([0.4, 0.3]))
    assert watershed._join_basins(basins, summits, passes, seed_threshold=0.2).tolist() == [1, 1, 2]
    assert watershed._join_basins(basins, summits, passes, seed_threshold=0.4).tolist() == [1, 1, 1]
    assert watershed._join_basins(basins, summits, passes, seed_threshold=0.09).tolist() == [1, 2, 3]
