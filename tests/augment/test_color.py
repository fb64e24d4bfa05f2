"""`cellproof.augment.color`: laws of turning colors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellproof.augment.color import ChannelJitter, ChannelJitterParams, Grayscale, Hue, Saturation
from cellproof.checks import InputError
from cellproof.types import Sample

LUMA = np.array([0.299, 0.587, 0.114])


def picture(image):
    image = np.asarray(image, np.float32)
    return Sample(image, np.zeros(image.shape[1:], np.uint8))


RANDOM = picture(np.random.default_rng(0).random((3, 9, 7)))
GRAY = picture(np.repeat(np.random.default_rng(0).random((1, 9, 7)), 3, axis=0))


@settings(max_examples=30, deadline=None)
@given(degrees=st.floats(-360, 360))
def test_turning_the_hue_keeps_gray_means_and_distances_from_gray(degrees):
    turned = Hue().apply(RANDOM, degrees).image
    np.testing.assert_allclose(Hue().apply(GRAY, degrees).image, GRAY.image, atol=1e-6)
    np.testing.assert_allclose(turned.mean(axis=0), RANDOM.image.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(turned.std(axis=0), RANDOM.image.std(axis=0), atol=1e-6)
    np.testing.assert_allclose(Hue().apply(picture(turned), -degrees).image, RANDOM.image, atol=1e-5)


def test_a_third_of_a_turn_sends_red_to_green_to_blue():
    np.testing.assert_allclose(Hue().apply(RANDOM, 120).image, np.roll(RANDOM.image, 1, axis=0), atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(factor=st.floats(0, 3))
def test_saturation_keeps_luma_and_gray(factor):
    changed = Saturation().apply(RANDOM, factor).image
    np.testing.assert_allclose(np.tensordot(LUMA, changed, 1), np.tensordot(LUMA, RANDOM.image, 1), atol=1e-5)
    np.testing.assert_allclose(Saturation().apply(GRAY, factor).image, GRAY.image, atol=1e-5)


def test_no_saturation_is_grayscale_and_full_saturation_is_nothing():
    gray = Grayscale().apply(RANDOM, None).image
    np.testing.assert_allclose(Saturation().apply(RANDOM, 0.0).image, gray, atol=1e-6)
    np.testing.assert_allclose(Saturation().apply(RANDOM, 1.0).image, RANDOM.image, atol=1e-6)


def test_grayscale_is_luma_in_every_channel():
    gray = Grayscale().apply(RANDOM, None).image
    for plane in gray:
        np.testing.assert_allclose(plane, np.tensordot(LUMA, RANDOM.image, 1), rtol=1e-6)


def test_channels_are_stretched_and_shifted_on_their_own():
    sample = picture(np.ones((2, 1, 1)))
    params = ChannelJitterParams(np.array([2, 0.5], np.float32), np.array([0, 0.25], np.float32))
    np.testing.assert_array_equal(ChannelJitter().apply(sample, params).image.ravel(), [2, 0.75])


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_jitter_draws_for_any_number_of_channels_within_its_range(channels):
    sample = picture(np.zeros((channels, 2, 2)))
    params = ChannelJitter(gain=0.5, offset=0.1).draw(np.random.default_rng(0), sample)
    assert params.gains.shape == params.offsets.shape == (channels,)
    assert np.all((params.gains >= 1 / 1.5) & (params.gains <= 1.5))
    assert np.all(np.abs(params.offsets) <= 0.1)


@pytest.mark.parametrize("step", [Hue(), Saturation(), Grayscale()])
def test_steps_on_colors_refuse_images_without_three_channels(step):
    sample = picture(np.zeros((1, 4, 4)))
    with pytest.raises(InputError, match="needs 3 channels, the image has 1"):
        step.apply(sample, step.draw(np.random.default_rng(0), sample))
