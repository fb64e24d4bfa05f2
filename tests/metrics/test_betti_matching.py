"""Betti matching error: drawn pieces and holes, and laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from cellproof.checks import InputError
from cellproof.metrics.betti_matching import betti_matching_errors
from cellproof.metrics.topology import Betti, betti_errors, betti_numbers


def rings(*corners: tuple[int, int], size: int = 7) -> np.ndarray:
    """Square rings of one pixel's width."""
    mask = np.zeros((30, 40), bool)
    for row, column in corners:
        mask[row : row + size, column : column + size] = True
        mask[row + 1 : row + size - 1, column + 1 : column + size - 1] = False
    return mask


def test_equal_numbers_at_different_places_are_errors():
    one, two = rings((2, 2), (2, 20)), rings((2, 2), (15, 30))
    assert betti_errors(one, two) == Betti(0, 0)
    assert betti_matching_errors(one, two) == Betti(2, 2)


def test_two_lone_dots_at_different_places_are_two_errors():
    one, two = np.zeros((2, 9, 9), bool)
    one[1, 1] = two[7, 7] = True
    assert betti_matching_errors(one, two) == Betti(2, 0)


def test_displaced_rings_that_overlap_are_the_same_ring():
    assert betti_matching_errors(rings((2, 2)), rings((4, 3))) == Betti(0, 0)


def test_a_ring_with_a_gap_lacks_a_hole():
    broken = rings((2, 2))
    broken[2, 4] = False
    assert betti_matching_errors(broken, rings((2, 2))) == Betti(0, 1)


def test_a_merged_pair_of_cells_is_one_error_and_so_is_a_split_cell():
    pair = rings((2, 2), (2, 8))
    merged = pair.copy()
    merged[3:8, 8] = False
    assert betti_numbers(pair) == Betti(1, 2)
    assert betti_matching_errors(merged, pair) == betti_matching_errors(pair, merged) == Betti(0, 1)


def test_of_two_halves_of_a_hole_the_larger_one_is_its_partner():
    whole = rings((2, 2), size=11)
    # A wall in the reference's place and one beside it: each leaves two halves of the ring's hole.
    one, two = whole.copy(), whole.copy()
    one[2:13, 5] = two[2:13, 9] = True
    # Holes of columns 3-4 and 6-11, and of 3-8 and 10-11: common are 3-4, 6-8 and 10-11. The first of one is 3-4, the
    # second 6-8; of two, 6-8 and 10-11.
    assert betti_matching_errors(one, two) == Betti(0, 2)
    assert betti_matching_errors(one, whole).holes == betti_matching_errors(two, whole).holes == 1


def test_a_filled_hole_and_a_false_hole_elsewhere_do_not_cancel():
    reference = rings((2, 2), (2, 20))
    prediction = reference.copy()
    prediction[2:9, 2:9] = True
    prediction[14:20, 14:20] = True
    prediction[16, 16] = False
    assert betti_errors(prediction, reference) == Betti(1, 0)
    assert betti_matching_errors(prediction, reference) == Betti(1, 2)


def test_all_membrane_has_a_piece_too_many_or_none_and_lacks_every_hole():
    reference = rings((2, 2), (2, 20))
    assert betti_matching_errors(np.ones_like(reference), reference) == Betti(1, 2)
    assert betti_matching_errors(np.zeros_like(reference), reference) == Betti(2, 2)
    assert betti_matching_errors(np.zeros((3, 3), bool), np.zeros((3, 3), bool)) == Betti(0, 0)


def test_pixels_without_annotation_are_membrane_in_neither():
    reference, ignored = rings((2, 2), (2, 20)), np.zeros((30, 40), bool)
    ignored[:, 15:] = True
    assert betti_matching_errors(rings((2, 2)), reference, ignored=ignored) == Betti(0, 0)


@given(seed=st.integers(0, 2**32 - 1), level=st.floats(0.4, 0.6))
@settings(max_examples=60, deadline=None)
def test_laws(seed: int, level: float):
    rng = np.random.default_rng(seed)
    one, two = (gaussian_filter(rng.random((30, 31)), 1.2) > level for _ in range(2))
    found = betti_matching_errors(one, two)
    least, numbers = betti_errors(one, two), [betti_numbers(mask) for mask in (one, two)]
    assert betti_matching_errors(one, one) == Betti(0, 0)
    assert betti_matching_errors(two, one) == found
    assert betti_matching_errors(one.T, two.T) == found or found.holes > least.holes  # ties of size
    assert least.components <= found.components <= numbers[0].components + numbers[1].components
    assert least.holes <= found.holes <= numbers[0].holes + numbers[1].holes
    assert (found.components - least.components) % 2 == (found.holes - least.holes) % 2 == 0


def test_masks_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="shapes differ"):
        betti_matching_errors(np.zeros((2, 2), bool), np.zeros((2, 3), bool))
    with pytest.raises(InputError, match="prediction has dtype uint8"):
        betti_matching_errors(np.zeros((2, 2), np.uint8), np.zeros((2, 2), bool))
