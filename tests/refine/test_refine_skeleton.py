"""Center lines: diagonal lines stay, and pieces and holes are the mask's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, label

from cellproof.refine._skeleton import find_skeleton

EIGHT = np.ones((3, 3), bool)


def thinned(mask: np.ndarray) -> np.ndarray:
    lines = np.zeros(mask.shape, bool)
    lines[tuple(find_skeleton(mask, walls=np.zeros(mask.shape, bool)).pixels.T)] = True
    return lines


@pytest.mark.parametrize("turn", [lambda mask: mask, np.fliplr, np.flipud, np.transpose])
@pytest.mark.parametrize("width_px", [1, 2, 3])
def test_a_diagonal_line_keeps_its_length(turn, width_px):
    mask = np.zeros((60, 60), bool)
    places = np.arange(5, 55)
    for offset in range(width_px):
        mask[places, places + offset] = True
    assert 48 <= thinned(turn(mask)).sum() <= 50


def test_a_diagonal_line_of_two_pixels_has_two_free_ends_and_no_joint():
    mask = np.zeros((60, 60), bool)
    places = np.arange(5, 55)
    mask[places, places] = mask[places, places + 1] = True
    found = find_skeleton(mask, walls=np.zeros(mask.shape, bool))
    assert len(found.free_ends) == 2
    assert found.degree.max() == 2


def test_a_mask_without_pixels_has_no_lines():
    assert not thinned(np.zeros((9, 9), bool)).any()


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_lines_lie_in_the_mask_and_keep_its_pieces_and_holes(seed):
    mask = gaussian_filter(np.random.default_rng(seed).random((40, 41)), 1.5) > 0.5
    lines = thinned(mask)
    assert not (lines & ~mask).any()
    assert label(lines, EIGHT)[1] == label(mask, EIGHT)[1]
    assert label(~np.pad(lines, 1))[1] == label(~np.pad(mask, 1))[1]
