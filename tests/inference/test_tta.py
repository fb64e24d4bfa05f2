"""Laws of the eight views."""

from __future__ import annotations

import numpy as np
import pytest

from cellproof.inference.tta import AS_IS, EIGHT_VIEWS, FOUR_VIEWS, ONE_VIEW, View
from cellproof.types import Head, Heads

HEADS = Heads(1, (Head("flows", 2, geometry="vector"), Head("rest")))
GRADIENT = Heads(1, (Head("flows", 2, geometry="vector"),))
RAYS = Heads(1, (Head("stars", 8, geometry="rays"),))
STARS = Heads(0, (Head("stars", 9, geometry="rays", probabilities=1),))
EACH_VIEW = pytest.mark.parametrize("view", EIGHT_VIEWS, ids=str)


@EACH_VIEW
def test_the_inverse_takes_maps_and_vectors_back_exactly(rng: np.random.Generator, view: View) -> None:
    maps = rng.normal(size=(4, 5, 7)).astype(np.float32)
    np.testing.assert_array_equal(view.inverse(view.forward(maps)), maps)
    np.testing.assert_array_equal(view.inverse(view.forward(maps, heads=HEADS), heads=HEADS), maps)


@EACH_VIEW
def test_a_gradient_turns_with_its_picture(rng: np.random.Generator, view: View) -> None:
    picture = rng.normal(size=(6, 9)).astype(np.float32)
    field = np.stack([picture, *np.gradient(picture)])
    turned = view.forward(picture[np.newaxis])[0]
    expected = np.stack([turned, *np.gradient(turned)])
    np.testing.assert_allclose(view.forward(field, heads=GRADIENT), expected, atol=1e-6)


def _lengths(inside: np.ndarray) -> np.ndarray:
    """Steps of one pixel, or one diagonal, that each of eight rays takes before it leaves the True pixels."""
    steps = [(0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1)]
    padded, lengths = np.pad(inside, 12), []
    for row, column in steps:
        length, open_ray = np.zeros(inside.shape), inside.copy()
        for step in range(1, 12):
            open_ray &= np.roll(padded, (-step * row, -step * column), (0, 1))[12:-12, 12:-12]
            length += open_ray
        lengths.append(length)
    return np.stack(lengths).astype(np.float32)


@EACH_VIEW
def test_rays_measured_in_a_turned_image_are_the_turned_rays(view: View) -> None:
    inside = np.zeros((9, 11), bool)
    inside[2:8, 1:6] = inside[3:5, 4:10] = True
    fields = np.concatenate([inside[None], _lengths(inside)]).astype(np.float32)
    turned = view.forward(inside[None])[0]
    expected = np.concatenate([turned[None], _lengths(turned)]).astype(np.float32)
    np.testing.assert_array_equal(view.forward(fields, heads=RAYS), expected)
    np.testing.assert_array_equal(view.inverse(expected, heads=RAYS), fields)
    # The same channels, the first of them a probability of the same head.
    np.testing.assert_array_equal(view.forward(fields, heads=STARS), expected)
    np.testing.assert_array_equal(view.inverse(expected, heads=STARS), fields)


def test_the_eight_views_are_different_and_begin_with_the_picture_as_it_came() -> None:
    picture = np.arange(12).reshape(1, 3, 4)
    assert len({(view.forward(picture).shape, view.forward(picture).tobytes()) for view in EIGHT_VIEWS}) == 8
    assert EIGHT_VIEWS[0] == AS_IS
    np.testing.assert_array_equal(AS_IS.forward(picture), picture)


def test_a_quarter_turn_is_anticlockwise() -> None:
    assert View(turns=1, flip=False).forward(np.array([[[1, 2], [3, 4]]])).tolist() == [[[2, 4], [1, 3]]]


def test_four_views_are_those_whose_rows_stay_rows_and_begin_with_the_image(rng):
    image = rng.random((2, 3, 5))
    assert ONE_VIEW == FOUR_VIEWS[:1] == (AS_IS,)
    assert set(FOUR_VIEWS) == {view for view in EIGHT_VIEWS if view.forward(image).shape == image.shape}
