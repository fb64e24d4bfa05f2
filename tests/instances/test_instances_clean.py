from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from cellproof.instances.clean import clean_labels

images = arrays.arrays(np.int32, (10, 12), elements=st.sampled_from([0, 0, 1, 1, 1, 4]))


def parse(drawing):
    return np.array([[0 if mark == "." else int(mark) for mark in row] for row in drawing.split()])


@settings(max_examples=30, deadline=None)
@given(labels=images, smallest=st.integers(1, 6), fill=st.booleans())
def test_cleaning_twice_is_cleaning_once(labels, smallest, fill):
    once = clean_labels(labels, smallest_area_px=smallest, fill_holes=fill)
    np.testing.assert_array_equal(clean_labels(once, smallest_area_px=smallest, fill_holes=fill), once)


@settings(max_examples=30, deadline=None)
@given(labels=images, smallest=st.integers(1, 6))
def test_objects_are_single_pieces_numbered_in_raster_order_and_large_enough(labels, smallest):
    cleaned = clean_labels(labels, smallest_area_px=smallest)
    present, first = np.unique(cleaned[cleaned > 0], return_index=True)
    np.testing.assert_array_equal(present, np.arange(1, cleaned.max() + 1))
    assert (np.diff(first) > 0).all()
    for own in present:
        assert ndimage.label(cleaned == own)[1] == 1
        assert (cleaned == own).sum() >= smallest


@settings(max_examples=30, deadline=None)
@given(mask=arrays.arrays(bool, (10, 12)))
def test_holes_of_lone_objects_are_filled_as_scipy_fills_them(mask):
    largest = clean_labels(mask, smallest_area_px=1, fill_holes=False) == 1
    expected = ndimage.binary_fill_holes(largest, np.ones((3, 3)))
    np.testing.assert_array_equal(clean_labels(largest, smallest_area_px=1) == 1, expected)


def test_pieces_of_one_id_become_objects_and_small_pieces_are_dropped():
    labels = parse("77.77 77..7 ..... 7..99")
    assert clean_labels(labels, smallest_area_px=2).tolist() == parse("11.22 11..2 ..... ...33").tolist()


def test_a_hole_between_two_objects_stays_open():
    labels = parse("1122 1..2 1122")
    np.testing.assert_array_equal(clean_labels(labels, smallest_area_px=1), labels)


def test_a_bay_at_the_border_is_no_hole():
    labels = parse("11.11 11.11 11111")
    np.testing.assert_array_equal(clean_labels(labels), labels)


def test_a_speck_inside_an_object_is_dropped_and_filled():
    labels = parse("1111 1211 1111")
    assert (clean_labels(labels, smallest_area_px=2) == 1).all()


def test_an_object_inside_the_hole_of_another_is_kept():
    labels = parse("11111 1...1 1.2.1 1...1 11111")
    # The ring of background touches both objects and is filled for neither.
    np.testing.assert_array_equal(clean_labels(labels, smallest_area_px=1), labels)


def test_holes_stay_where_they_are_wanted():
    labels = parse("111 1.1 111")
    np.testing.assert_array_equal(clean_labels(labels, smallest_area_px=1, fill_holes=False), labels)


def test_nothing_stays_nothing_and_everything_stays_everything():
    assert not clean_labels(np.zeros((4, 4), int)).any()
    assert (clean_labels(np.full((4, 4), 9)) == 1).all()
    assert clean_labels(np.ones((1, 1), int), smallest_area_px=1).tolist() == [[1]]


@settings(max_examples=60, deadline=None)
@given(mask=arrays.arrays(np.int32, (9, 8), elements=st.sampled_from([0, 0, 0, 1, 1, 1, 1, 1, 2])))
def test_what_is_filled_is_each_region_of_background_that_scipy_finds_within_one_object(mask):
    pieces = clean_labels(mask, smallest_area_px=1, fill_holes=False)
    expected = pieces.copy()
    regions, count = ndimage.label(np.pad(pieces == 0, 1, constant_values=True), np.ones((3, 3)))
    padded = np.pad(pieces, 1)
    for number in range(1, count + 1):
        around = np.setdiff1d(padded[ndimage.binary_dilation(regions == number)], [0])
        if number != regions[0, 0] and around.size == 1:
            expected[regions[1:-1, 1:-1] == number] = around[0]
    np.testing.assert_array_equal(clean_labels(mask, smallest_area_px=1), expected)
