from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cellproof.checks import InputError
from cellproof.report._display import displayed
from cellproof.report._inferno import INFERNO
from cellproof.report.difficulty_pictures import (
    Captioned,
    difficulty_row,
    inline_figures,
    scale_top,
    side_by_side,
    white_on_image,
)
from cellproof.report.overlay import class_overlay
from cellproof.report.pictures import end_of_scale


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_difficult_pixels_are_white_and_no_other_pixel_is_brighter_than_half(channels):
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (channels, 12, 17), np.uint8)
    difficult = rng.random((12, 17)) < 0.3
    drawn = white_on_image(image, difficult)
    assert (drawn[difficult] == 255).all()
    np.testing.assert_array_equal(drawn[~difficult], displayed(image)[~difficult] // 2)


def test_in_a_thumbnail_a_pixel_is_as_white_as_its_share_of_difficult_ones():
    difficult = np.zeros((8, 8), bool)
    difficult[:2, :2] = True
    difficult[2, 2] = True
    drawn = white_on_image(np.zeros((1, 8, 8), np.uint8), difficult, max_px=4)
    expected = np.zeros((4, 4), int)
    expected[0, 0], expected[1, 1] = 255, 255 // 4
    np.testing.assert_array_equal(drawn[..., 0], expected)


def test_a_map_of_another_shape_than_the_picture_is_refused():
    with pytest.raises(InputError, match=r"shapes differ: image \(4, 5\), difficult \(5, 4\)"):
        white_on_image(np.zeros((1, 4, 5), np.uint8), np.zeros((5, 4), bool))


@pytest.mark.parametrize(
    ("values", "top"),
    [
        (np.zeros((3, 3)), 0.05),
        (np.full((3, 3), 0.06), 0.1),
        (np.linspace(0, 0.4, 50), 0.5),
        (np.ones((3, 3)), 1.0),
        (np.where(np.arange(1000) == 7, 1.0, 0.02), 0.05),
        (np.zeros(0), 0.05),
    ],
    ids=["all sure", "faint", "up to 0.4", "all hardest", "one pixel in a thousand", "no pixel"],
)
def test_a_scale_ends_just_above_nearly_all_values(values, top):
    assert scale_top(values) == top


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), largest=st.floats(0.001, 1))
def test_at_most_one_value_in_200_lies_beyond_a_scale(seed, largest):
    values = np.random.default_rng(seed).random(1000) ** 3 * largest
    assert (values > scale_top(values)).mean() <= 0.005


def _row(reference=True, max_px=None):
    image = np.full((1, 40, 60), 7, np.uint8)
    classes = np.zeros((40, 60), np.uint8)
    classes[10:20, 10:20] = 1
    drawn = class_overlay(image, classes, max_px=max_px)
    hard = np.zeros((40, 60), np.float32)
    hard[5, :] = 0.0401
    return difficulty_row(
        image,
        prediction=drawn,
        reference=drawn if reference else None,
        difficult=hard > 0,
        measures=(("entropy", hard * 20), ("tta", hard), ("further", hard)),
        max_px=max_px,
    )


def test_a_row_shows_the_picture_before_what_was_made_of_it_and_says_what_each_picture_is():
    captions = [picture.caption for picture in _row()]
    assert captions[:3] == ["Image", "Reference", "Prediction"]
    assert captions[3].endswith("2.5 %")  # one row of 40
    assert captions[4:] == ["Entropy", "Disagreement of flips and turns", "further"]
    assert [picture.caption for picture in _row(reference=False)][:2] == ["Image", "Prediction"]


def test_the_colors_of_a_heat_map_run_from_0_to_the_top_that_it_names():
    row = _row()
    assert [picture.top for picture in row] == [None] * 4 + [1.0, 0.05, 0.05]
    np.testing.assert_array_equal(row[4].rgb[5, 0], INFERNO[int(0.0401 * 20 * 255)])
    np.testing.assert_array_equal(row[5].rgb[5, 0], INFERNO[int(0.0401 / 0.05 * 255)])
    assert (row[5].rgb[6] == row[5].rgb[30, 30]).all()
    assert [end_of_scale(top) for top in (0.05, 1.0)] == ["0.05 or more", "1"]


def test_pictures_of_a_row_are_of_one_size_however_small():
    assert {picture.rgb.shape for picture in _row(max_px=30)} == {(20, 30, 3)}


def test_a_prediction_that_was_drawn_in_another_size_is_refused():
    with pytest.raises(InputError, match=r"shapes differ: Image \(4, 5, 3\), Prediction \(2, 2, 3\)"):
        difficulty_row(
            np.zeros((1, 4, 5), np.uint8),
            prediction=np.zeros((2, 2, 3), np.uint8),
            difficult=np.zeros((4, 5), bool),
            measures=(),
        )


def test_figures_of_a_page_keep_caption_scale_and_colors():
    row = _row()
    for figure, picture in zip(inline_figures(row), row, strict=True):
        assert (figure.caption, figure.top) == (picture.caption, picture.top)
        with Image.open(io.BytesIO(base64.b64decode(figure.picture.source.split(",")[1]))) as stored:
            assert np.abs(np.asarray(stored).astype(float) - picture.rgb).mean() < 6


@pytest.mark.parametrize(("columns", "down", "across"), [(None, 1, 3), (2, 2, 2), (9, 1, 3)])
def test_pictures_stand_side_by_side_unchanged_with_captions_and_scales_below(columns, down, across):
    rng = np.random.default_rng(2)
    row = [Captioned(f"Image {n}", rng.integers(0, 255, (90, 200, 3), np.uint8), 0.5 if n else None) for n in range(3)]
    sheet = side_by_side(row, columns=columns)
    step_down, step_across = sheet.shape[0] // down, (sheet.shape[1] + 8) // across
    for place, picture in enumerate(row):
        upper, left = place // across * step_down, place % across * step_across
        np.testing.assert_array_equal(sheet[upper : upper + 90, left : left + 200], picture.rgb)
        below = sheet[upper + 90 : upper + step_down, left : left + 200].reshape(-1, 3)
        assert (below == (30, 30, 30)).all(axis=1).any()
        shows_colors = (below[:, None] == INFERNO[[100, 200]]).all(axis=2).any(axis=0).all()
        assert shows_colors == (picture.top is not None)
