"""Gaps of a class are filled; other classes and pixels without annotation stay."""

from __future__ import annotations

import numpy as np
import pytest

from cellproof.checks import InputError
from cellproof.refine import apply_steps, explain, names
from cellproof.refine.closing import close
from cellproof.refine.roles import Sides, find_sides
from cellproof.types import Prediction, Step

DRAWN = """
.....................
.aaaaa.aaaaa....bb...
.aaaaa.aaaaa.....b...
.aaaaa.aaaaa....aab.a
.aaaaa.aaaaa...aaaaaa
............??.......
......aa.?aa.........
"""

CLOSED = """
.....................
.aaaaa.aaaaa....bb...
.aaaaaaaaaaa.....b...
.aaaaaaaaaaa....aab.a
.aaaaaaaaaaa...aaaaaa
.....aaaaaa.??.......
......aa.?aa.........
"""


def read(text):
    numbers = {".": 0, "a": 1, "b": 2, "?": 255}
    return np.array([[numbers[letter] for letter in line] for line in text.split()], np.uint8)


def test_narrow_gaps_are_filled_and_everything_else_stays():
    np.testing.assert_array_equal(close(read(DRAWN), inside=1, outside=0, radius_px=1), read(CLOSED))


def test_a_radius_of_nothing_fills_nothing():
    np.testing.assert_array_equal(close(read(DRAWN), inside=1, outside=0, radius_px=0), read(DRAWN))


@pytest.mark.parametrize("class_map", [np.zeros((4, 4)), np.zeros((2, 4, 4), np.uint8)])
def test_what_is_no_class_map_is_refused(class_map):
    with pytest.raises(InputError, match="class_map has"):
        close(class_map, inside=1, outside=0, radius_px=1)


def test_closing_is_a_step():
    classes = read(DRAWN)
    prediction = Prediction(np.zeros((3, *classes.shape), np.float32), classes, ("background", "neuron", "glia"))
    step = Step("closing", {"inside": "neuron", "radius_px": 1})
    np.testing.assert_array_equal(apply_steps(prediction, [step]).class_map, read(CLOSED))
    assert "closing" in names()
    assert explain([step], prediction.classes) == [
        "step closing: background into which no disc of radius 1 px fits beside neuron becomes neuron"
    ]


@pytest.mark.parametrize(
    ("classes", "options", "sides"),
    [
        (("background", "cell"), {}, Sides(1, 0)),
        (("neuron", "background"), {}, Sides(0, 1)),
        (("a", "b"), {}, Sides(1, 0)),
        (("a", "b"), {"inside": "a"}, Sides(0, 1)),
        (("a", "b", "c"), {"inside": "c", "outside": "b"}, Sides(2, 1)),
        (("cell", "membrane", "background"), {"inside": "membrane"}, Sides(1, 2)),
    ],
)
def test_sides_are_found_by_their_names(classes, options, sides):
    assert find_sides(classes, **options) == sides


@pytest.mark.parametrize(
    ("classes", "options", "words"),
    [
        (("background", "a", "b"), {}, "2 of the classes background, a, b could be inside; say which is"),
        (("a", "b"), {"inside": "c"}, "no class 'c'; there: a, b"),
        (("a", "b"), {"inside": "a", "outside": "a"}, "must be different ones of a, b"),
    ],
)
def test_sides_that_leave_a_doubt_are_refused(classes, options, words):
    with pytest.raises(InputError, match=words):
        find_sides(classes, **options)
