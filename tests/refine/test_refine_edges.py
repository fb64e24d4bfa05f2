"""Discs by rows against a loop over centers, closing against scikit-image, rings against distances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage
from skimage import morphology

from cellproof.refine._edges import closed, dilated, rings

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14))


def distance_to(mask):
    """Distance of every pixel from the nearest of a mask; infinite without any."""
    return ndimage.distance_transform_edt(~mask) if mask.any() else np.full(mask.shape, np.inf)


@given(MASKS, st.integers(0, 6))
def test_a_mask_grows_by_a_distance(mask, radius_px):
    np.testing.assert_array_equal(dilated(mask, radius_px), distance_to(mask) <= radius_px)


@given(MASKS, st.integers(0, 4))
def test_closing_is_that_of_scikit_image(mask, radius_px):
    wide = morphology.closing(np.pad(mask, 9), morphology.disk(radius_px))
    np.testing.assert_array_equal(closed(mask, radius_px), wide[9:-9, 9:-9])


@given(MASKS, st.integers(0, 4))
def test_closing_keeps_the_mask_and_is_done_once(mask, radius_px):
    once = closed(mask, radius_px)
    assert once[mask].all()
    np.testing.assert_array_equal(closed(once, radius_px), once)


@given(MASKS, st.integers(1, 5))
def test_rings_count_whole_pixels_to_the_other_side(mask, width_px):
    found = rings(mask, width_px)
    signed = np.where(mask, np.ceil(distance_to(~mask)), -np.ceil(distance_to(mask)))
    np.testing.assert_array_equal(found, np.where(np.abs(signed) <= width_px, signed, 0))


@pytest.mark.parametrize("fill", [True, False])
def test_a_mask_without_an_edge_has_no_rings(fill):
    assert not rings(np.full((5, 6), fill), 3).any()
