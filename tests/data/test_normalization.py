from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellproof.checks import InputError
from cellproof.data.normalization import HIGHEST, LOWEST, fit_channels, normalize
from cellproof.types import Normalization

WHOLE_RANGE = Normalization(low_percentile=0, high_percentile=100)


def test_percentiles_become_zero_and_one():
    pixels = np.arange(1001, dtype=np.uint16).reshape(1, 7, 143)
    scaled = normalize(pixels, Normalization(low_percentile=10, high_percentile=90))
    np.testing.assert_allclose(scaled[0].ravel()[[100, 500, 900]], [0, 0.5, 1], atol=1e-6)
    assert scaled.dtype == np.float32


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), gain=st.floats(0.01, 1000), offset=st.floats(-1000, 1000))
def test_gain_and_offset_of_the_camera_change_nothing(seed, gain, offset):
    pixels = np.random.default_rng(seed).normal(size=(2, 9, 11))
    np.testing.assert_allclose(
        normalize(pixels * gain + offset, Normalization()), normalize(pixels, Normalization()), atol=1e-4
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint32, np.float32, np.float64])
def test_every_dtype_gives_the_same_picture(dtype):
    pixels = np.arange(120).reshape(1, 10, 12)
    np.testing.assert_allclose(normalize(pixels.astype(dtype), WHOLE_RANGE)[0].ravel(), np.arange(120) / 119, atol=1e-6)


def test_large_integers_keep_their_differences():
    pixels = np.uint32(4_000_000_000) + np.arange(12, dtype=np.uint32).reshape(1, 3, 4)
    np.testing.assert_allclose(normalize(pixels, WHOLE_RANGE).ravel(), np.arange(12) / 11, atol=1e-6)


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("value", [0, 7, 255])
def test_a_constant_image_becomes_zeros(value, per_channel):
    scaled = normalize(np.full((3, 5, 5), value, np.uint8), Normalization(per_channel=per_channel))
    np.testing.assert_array_equal(scaled, np.zeros((3, 5, 5), np.float32))


def test_a_few_bright_pixels_on_even_ground_stay_visible():
    pixels = np.zeros((1, 100, 100), np.uint16)
    pixels[0, 50, 50:53] = 900
    np.testing.assert_array_equal(normalize(pixels, Normalization()), pixels / np.float32(900))


def test_an_empty_channel_stays_empty_beside_a_full_one():
    rng = np.random.default_rng(0)
    pixels = np.stack([rng.uniform(0, 1000, (40, 40)), rng.uniform(0, 1, (40, 40)), np.full((40, 40), 3.0)])
    scaled = normalize(pixels, Normalization(smallest_range=0.05))
    assert scaled[0].max() > 0.99
    assert scaled[1].max() < 0.03
    assert not scaled[2].any()


def test_channels_scaled_together_keep_their_proportion():
    pixels = np.stack([np.linspace(0, 100, 30).reshape(5, 6), np.linspace(0, 50, 30).reshape(5, 6)])
    together = normalize(pixels, Normalization(low_percentile=0, high_percentile=100, per_channel=False))
    apart = normalize(pixels, WHOLE_RANGE)
    assert (together[0].max(), together[1].max()) == (1.0, 0.5)
    assert (apart[0].max(), apart[1].max()) == (1.0, 1.0)


def test_hot_and_dead_pixels_are_clipped():
    pixels = np.random.default_rng(0).uniform(100, 200, (1, 50, 50))
    pixels[0, 0, 0], pixels[0, 0, 1] = 1e9, -1e9
    scaled = normalize(pixels, Normalization())
    assert (scaled.max(), scaled.min()) == (HIGHEST, LOWEST)


def test_a_large_plane_is_scaled_as_its_pixels_ask_within_the_subsample_error():
    pixels = np.random.default_rng(0).integers(0, 60000, (1, 1100, 1200)).astype(np.uint16)
    low, high = np.percentile(pixels, [1, 99.8])
    np.testing.assert_allclose(normalize(pixels, Normalization()), (pixels - low) / (high - low), atol=2e-3)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.full((1, 2, 2), np.nan), "image contains 4 NaN"),
        (np.zeros((1, 0, 4), np.uint8), r"image has shape \(1, 0, 4\)"),
        (np.zeros((4, 4), np.uint8), "expected 3 axes"),
    ],
)
def test_unusable_pictures_are_refused(pixels, message):
    with pytest.raises(InputError, match=message):
        normalize(pixels, Normalization())


def test_percentiles_out_of_order_are_refused():
    with pytest.raises(InputError, match="percentiles are 90 and 10"):
        normalize(np.zeros((1, 2, 2)), Normalization(low_percentile=90, high_percentile=10))


def test_gray_fills_all_channels_and_equal_channels_are_gray():
    gray = np.arange(6.0).reshape(1, 2, 3)
    color = fit_channels(gray, 3)
    np.testing.assert_array_equal(color, np.concatenate([gray, gray, gray]))
    np.testing.assert_array_equal(fit_channels(color, 1), gray)
    assert fit_channels(gray, 1) is gray


def test_color_for_a_gray_network_asks_for_channels():
    with pytest.raises(InputError, match=r"has 3 channels, the model reads 1; choose 1 of them, for example 0$"):
        fit_channels(np.arange(12.0).reshape(3, 2, 2), 1)
    with pytest.raises(InputError, match=r"has 4 channels, the model reads 3; choose 3 of them, for example 0,1,2$"):
        fit_channels(np.arange(16.0).reshape(4, 2, 2), 3)
