"""Ids from the reference: a perfect foreground scores perfectly, and no other labels of a foreground score higher."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from cellproof.checks import InputError
from cellproof.instances import methods
from cellproof.instances.upper_bound import upper_bound_labels


def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A foreground, and reference objects that touch each other."""
    rng = np.random.default_rng(seed)
    blobs = gaussian_filter(rng.normal(size=(40, 50)), 3)
    places = rng.integers(0, 40, (9, 2))
    rows, columns = np.indices(blobs.shape)
    nearest = np.argmin([(rows - r) ** 2 + (columns - c) ** 2 for r, c in places], axis=0) + 1
    reference = np.where(blobs > 0.03, 3 * nearest, 0)
    return blobs + 0.05 * gaussian_filter(rng.normal(size=blobs.shape), 1) > 0, reference


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_a_foreground_gets_the_ids_that_it_covers_and_keeps_its_shape(seed):
    foreground, reference = scene(seed)
    labels = upper_bound_labels(foreground, reference)
    np.testing.assert_array_equal(labels > 0, foreground)
    covered = foreground & (reference > 0)
    np.testing.assert_array_equal(labels[covered], reference[covered])
    np.testing.assert_array_equal(upper_bound_labels(reference > 0, reference), reference)


def test_other_pixels_are_reached_through_the_foreground_alone():
    foreground = np.zeros((7, 20), bool)
    foreground[1, 1:18] = foreground[5, 4:9] = foreground[5, 15] = True
    reference = np.zeros((7, 20), int)
    reference[1, 1:4], reference[1, 14:18], reference[3, 15] = 5, 2, 8
    labels = upper_bound_labels(foreground, reference)
    assert labels[1, 1:8].tolist() == [5] * 7
    assert labels[1, 10:18].tolist() == [2] * 8
    assert set(labels[1, 1:18].tolist()) == {5, 2}
    # Pieces that hold no object of the reference stay false objects, one each.
    assert labels[5, 4:9].tolist() == [9] * 5
    assert labels[5, 15] == 10


def test_no_model_can_name_it():
    assert "upper_bound" not in methods()


def test_probabilities_are_no_foreground():
    with pytest.raises(InputError, match="expected booleans"):
        upper_bound_labels(np.full((3, 3), 0.7), np.zeros((3, 3), int))
