"""Squares: what is padded is remembered, and what was resized comes back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellproof.checks import InputError
from cellproof.data.square import Square

LENGTHS = st.integers(1, 40)


@given(LENGTHS, LENGTHS, st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_labels_come_back_exactly_where_the_square_is_as_fine(height, width, times, seed):
    labels = np.random.default_rng(seed).integers(0, 9, (height, width))
    square = Square((height, width), times * max(height, width))
    np.testing.assert_array_equal(square.back(square.labels(labels)), labels)


def test_an_image_of_the_challenge_is_two_thirds_as_large_and_a_third_is_padding():
    square = Square((522, 775))
    assert square.scale == pytest.approx(0.6606, abs=1e-4)
    assert square.inside.mean() == pytest.approx(522 / 775, abs=1e-3)
    image = square.image(np.full((3, 522, 775), 7.0, np.float32))
    # Smoothing before shrinking mixes the edge with the padding, a few pixels wide.
    assert image[:, :340].min() == pytest.approx(7)
    assert image[:, 350:].max() == pytest.approx(0)


def test_a_region_keeps_its_place_and_size():
    labels = np.zeros((522, 775), int)
    labels[100:300, 400:600] = 5
    back = Square((522, 775)).back(Square((522, 775)).labels(labels))
    assert np.abs(np.argwhere(back == 5).min(axis=0) - (100, 400)).max() <= 1
    assert (back == 5).sum() == pytest.approx(200 * 200, rel=0.015)


@pytest.mark.parametrize("call", ["labels", "back"])
def test_another_shape_is_refused(call):
    with pytest.raises(InputError, match="expected"):
        getattr(Square((4, 6), 8), call)(np.zeros((5, 6), int))
