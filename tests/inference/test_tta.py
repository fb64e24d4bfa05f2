"""Laws of the eight views."""

from __future__ import annotations

import numpy as np
import pytest

from cellproof.inference.tta import AS_IS, EIGHT_VIEWS, View

FLOW = slice(1, 3)
EACH_VIEW = pytest.mark.parametrize("view", EIGHT_VIEWS, ids=str)


@EACH_VIEW
def test_the_inverse_takes_maps_and_vectors_back_exactly(rng: np.random.Generator, view: View) -> None:
    maps = rng.normal(size=(4, 5, 7)).astype(np.float32)
    np.testing.assert_array_equal(view.inverse(view.forward(maps)), maps)
    np.testing.assert_array_equal(view.inverse(view.forward(maps, flow=FLOW), flow=FLOW), maps)


@EACH_VIEW
def test_a_gradient_turns_with_its_picture(rng: np.random.Generator, view: View) -> None:
    picture = rng.normal(size=(6, 9)).astype(np.float32)
    field = np.stack([picture, *np.gradient(picture)])
    turned = view.forward(picture[np.newaxis])[0]
    expected = np.stack([turned, *np.gradient(turned)])
    np.testing.assert_allclose(view.forward(field, flow=FLOW), expected, atol=1e-6)


def test_the_eight_views_are_different_and_begin_with_the_picture_as_it_came() -> None:
    picture = np.arange(12).reshape(1, 3, 4)
    assert len({(view.forward(picture).shape, view.forward(picture).tobytes()) for view in EIGHT_VIEWS}) == 8
    assert EIGHT_VIEWS[0] == AS_IS
    np.testing.assert_array_equal(AS_IS.forward(picture), picture)


def test_a_quarter_turn_is_anticlockwise() -> None:
    assert View(turns=1, flip=False).forward(np.array([[[1, 2], [3, 4]]])).tolist() == [[[2, 4], [1, 3]]]
