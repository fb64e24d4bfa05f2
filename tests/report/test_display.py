from __future__ import annotations

import numpy as np
import pytest

from cellproof.report._display import displayed


def test_gray_is_stretched_between_its_percentiles():
    image = np.linspace(1000, 3000, 1000, dtype=np.float32).reshape(1, 25, 40)
    shown = displayed(image)
    assert shown[0, 0, 0] == 0
    assert shown[-1, -1, 0] == 255
    np.testing.assert_allclose(shown[12, 20], 255 * 0.5, atol=2)
    assert (shown[..., 0] == shown[..., 2]).all()


def test_dim_objects_of_dark_pictures_are_brought_out():
    image = np.zeros((1, 50, 50), np.uint16)
    image[0, :5] = 4000
    image[0, 20:25] = 400
    assert displayed(image)[22, 0, 0] == pytest.approx(255 * 0.1**0.6, abs=1)


def test_color_pictures_keep_their_hue():
    image = np.zeros((3, 20, 20), np.uint8)
    image[0], image[1], image[2] = 200, 100, 50
    image[:, :10] = 240
    image[:, 0, 0] = 0
    shown = displayed(image)
    assert shown[15, 3, 0] > shown[15, 3, 1] > shown[15, 3, 2]


def test_two_fluorescent_channels_are_green_and_magenta_each_stretched_alone():
    image = np.zeros((2, 20, 20), np.uint16)
    image[0, :10] = 50
    image[1, 10:] = 60000
    shown = displayed(image)
    assert tuple(shown[3, 3]) == (0, 255, 0)
    assert tuple(shown[15, 3]) == (255, 0, 255)


@pytest.mark.parametrize("value", [0, 7, np.nan, np.inf])
def test_a_picture_of_one_value_is_black(value):
    assert not displayed(np.full((1, 4, 4), value, np.float32)).any()


def test_infinite_and_missing_values_are_shown_as_the_ends_of_the_range():
    image = np.linspace(0, 1, 100, dtype=np.float32).reshape(1, 10, 10)
    image[0, 5, :3] = np.nan, np.inf, -np.inf
    assert displayed(image)[5, :3, 0].tolist() == [0, 255, 0]
