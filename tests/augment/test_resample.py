"""`cellproof.augment._resample`: windows beyond edges against numpy's padding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellproof.augment._resample import Window, bilinear, cut_filled, cut_mirrored, nearest

WINDOWS = st.builds(Window, st.integers(-14, 14), st.integers(-14, 14), st.integers(1, 12), st.integers(1, 12))


@settings(max_examples=60, deadline=None)
@given(window=WINDOWS, rows=st.integers(1, 6), columns=st.integers(1, 6))
def test_windows_equal_crops_of_a_padded_image(window, rows, columns):
    image = np.arange(2 * rows * columns, dtype=np.float32).reshape(2, rows, columns)
    labels = image[0].astype(np.int32)
    inside = np.s_[..., window.row + 30 : window.row + 30 + window.rows, window.column + 30 :][:2]
    crop = (*inside, slice(window.column + 30, window.column + 30 + window.columns))
    mirrored = np.pad(image, ((0, 0), (30, 30), (30, 30)), mode="reflect")
    np.testing.assert_array_equal(cut_mirrored(image, window), mirrored[crop])
    filled = np.pad(labels, 30, constant_values=99)
    np.testing.assert_array_equal(cut_filled(labels, window, 99), filled[crop])


def test_bilinear_sampling_is_exact_on_a_plane():
    rows, columns = np.indices((20, 30), dtype=np.float32)
    image = np.stack([2 * rows - columns + 3, rows + 5 * columns])
    rng = np.random.default_rng(0)
    row, column = rng.uniform(0, 19, (7, 8)).astype(np.float32), rng.uniform(0, 29, (7, 8)).astype(np.float32)
    wanted = np.stack([2 * row - column + 3, row + 5 * column])
    np.testing.assert_allclose(bilinear(image, row, column), wanted, rtol=1e-5)


@pytest.mark.parametrize(("place", "value"), [(0.0, 10), (0.49, 10), (0.51, 20), (1.49, 20), (1.99, 30)])
def test_nearest_takes_the_pixel_whose_center_is_closest(place, value):
    labels = np.array([[10, 20, 30], [0, 0, 0]], np.uint8)
    row, column = np.zeros((1, 1), np.float32), np.full((1, 1), place, np.float32)
    assert nearest(labels, row, column).item() == value
