from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cellproof.checks import InputError
from cellproof.refine.reassign import reassign
from cellproof.types import IGNORE

REST, MEMBRANE, NUCLEUS, OTHER = 0, 1, 2, 3
CLASSES = {"connected": MEMBRANE, "rest": REST, "compact": NUCLEUS}
class_maps = arrays.arrays(np.uint8, (7, 8), elements=st.sampled_from([REST, REST, MEMBRANE, NUCLEUS, OTHER, IGNORE]))
difficulties = arrays.arrays(bool, (7, 8), elements=st.sampled_from([True, True, False]))
counts = st.sampled_from([None, 1, 2, 3])


def paper(class_map, difficult, rounds):
    """The three steps pixel by pixel, as they are told."""
    height, width = class_map.shape
    undecided = {pixel for pixel in zip(*np.nonzero(difficult), strict=True) if class_map[pixel] != IGNORE}
    result = class_map.copy()

    def neighbors(pixel):
        for row in range(max(pixel[0] - 1, 0), min(pixel[0] + 2, height)):
            for column in range(max(pixel[1] - 1, 0), min(pixel[1] + 2, width)):
                yield row, column

    for number in (MEMBRANE, NUCLEUS):
        done = 0
        while rounds is None or done < rounds:
            touching = {p for p in undecided if any(q not in undecided and result[q] == number for q in neighbors(p))}
            if not touching:
                break
            for pixel in touching:
                result[pixel] = number
            undecided -= touching
            done += 1
    for pixel in undecided:
        result[pixel] = REST
    return result


@settings(max_examples=60, deadline=None)
@given(class_map=class_maps, difficult=difficulties, rounds=counts)
def test_the_flood_equals_the_paper_told_pixel_by_pixel(class_map, difficult, rounds):
    repaired = reassign(class_map, difficult, rounds=rounds, **CLASSES)
    np.testing.assert_array_equal(repaired, paper(class_map, difficult, rounds))
    assert repaired.dtype == np.uint8


@settings(max_examples=30, deadline=None)
@given(class_map=class_maps, difficult=difficulties, rounds=counts)
def test_sure_pixels_stay_and_difficult_ones_get_one_of_the_given_classes(class_map, difficult, rounds):
    class_map[0, 0], difficult[0, 0] = MEMBRANE, False
    repaired = reassign(class_map, difficult, rounds=rounds, **CLASSES)
    fixed = ~difficult | (class_map == IGNORE)
    np.testing.assert_array_equal(repaired[fixed], class_map[fixed])
    assert np.isin(repaired[~fixed], [REST, MEMBRANE, NUCLEUS]).all()


@settings(max_examples=30, deadline=None)
@given(class_map=class_maps, difficult=difficulties, rounds=counts)
def test_reassigning_twice_is_reassigning_once(class_map, difficult, rounds):
    once = reassign(class_map, difficult, rounds=rounds, **CLASSES)
    np.testing.assert_array_equal(reassign(once, difficult, rounds=rounds, **CLASSES), once)


@settings(max_examples=30, deadline=None)
@given(class_map=class_maps, difficult=difficulties)
def test_the_membrane_grows_from_round_to_round_to_the_stable_one(class_map, difficult):
    grown = [reassign(class_map, difficult, rounds=rounds, **CLASSES) == MEMBRANE for rounds in (1, 2, 3, 56)]
    assert all((before <= after).all() for before, after in pairwise(grown))
    np.testing.assert_array_equal(grown[-1], reassign(class_map, difficult, **CLASSES) == MEMBRANE)


def test_a_row_of_difficult_pixels_is_divided_in_the_order_of_the_steps():
    class_map = np.array([[MEMBRANE, REST, REST, OTHER, IGNORE, REST, NUCLEUS, MEMBRANE, IGNORE, MEMBRANE]], np.uint8)
    difficult = np.array([[False, True, True, True, True, True, False, True, False, True]])
    assert reassign(class_map, difficult, **CLASSES).tolist() == [[1, 1, 1, 1, IGNORE, 2, 2, 2, IGNORE, 0]]
    assert reassign(class_map, difficult, rounds=1, **CLASSES).tolist() == [[1, 1, 0, 0, IGNORE, 2, 2, 2, IGNORE, 0]]


def test_without_a_compact_class_the_second_step_is_left_out():
    class_map = np.array([[1, 1, 0, 5, 5, 2]], np.uint8)
    difficult = np.array([[False, False, False, True, True, False]])
    assert reassign(class_map, difficult, connected=1, rest=0).tolist() == [[1, 1, 0, 0, 0, 2]]


@pytest.mark.parametrize(
    ("class_map", "difficult", "repaired"),
    [
        ([[0, 2, 3]], [[1, 1, 1]], [[0, 0, 0]]),
        ([[1, 1, 1]], [[1, 1, 1]], [[0, 0, 0]]),
        ([[0, 1, 2]], [[1, 1, 0]], [[2, 2, 2]]),
        ([[1, 0, 1, IGNORE, 3, 2]], [[1, 0, 1, 1, 1, 0]], [[0, 0, 0, IGNORE, 2, 2]]),
        ([[1, 1, 1]], [[0, 1, 1]], [[1, 1, 1]]),
    ],
    ids=["no membrane", "all difficult", "no sure membrane", "the rest between", "all membrane"],
)
def test_without_sure_membrane_nuclei_and_the_rest_take_what_is_difficult(class_map, difficult, repaired):
    found = reassign(np.array(class_map, np.uint8), np.array(difficult, bool), **CLASSES)
    assert found.tolist() == repaired


def test_a_map_without_pixels_comes_back():
    assert reassign(np.zeros((0, 4), np.uint8), np.zeros((0, 4), bool), **CLASSES).shape == (0, 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"difficult": np.zeros((3, 3), bool)}, r"shapes differ: class_map \(2, 2\), difficult \(3, 3\)"),
        ({"difficult": np.zeros((2, 2))}, "difficult has dtype float64, expected bool"),
        ({"class_map": np.zeros((1, 2, 2), np.uint8)}, "expected 2 axes"),
        ({"class_map": np.zeros((2, 2))}, "expected whole numbers"),
        ({"connected": IGNORE}, "connected 255"),
        ({"compact": -1}, "compact -1"),
        ({"rest": MEMBRANE}, "expected different numbers in 0…254"),
        ({"rounds": 0}, "rounds is 0, expected at least 1"),
    ],
)
def test_wrong_input_is_refused_in_one_line(change, message):
    given_ = {"class_map": np.zeros((2, 2), np.uint8), "difficult": np.zeros((2, 2), bool), **CLASSES} | change
    with pytest.raises(InputError, match=message):
        reassign(given_.pop("class_map"), given_.pop("difficult"), **given_)
