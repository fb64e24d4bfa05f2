"""`cellproof.augment.noise`: measured strength of noise, and laws of blurring."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from cellproof.augment.noise import Blur, GaussianNoise, MedianSharpen, NoiseParams, Sharpen, ShotNoise
from cellproof.types import Sample


def constant(value, shape=(2, 200, 200)):
    return Sample(np.full(shape, value, np.float32), np.zeros(shape[1:], np.uint8))


@pytest.mark.parametrize("value", [0.0, 0.25, 1.0])
def test_gaussian_noise_is_equally_strong_everywhere(value):
    noise = GaussianNoise().apply(constant(value), NoiseParams(0.05, seed=1)).image - value
    assert noise.std() == pytest.approx(0.05, rel=0.02)
    assert noise.mean() == pytest.approx(0, abs=1e-3)
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.02


@pytest.mark.parametrize(("value", "sd"), [(-0.5, 0), (0.0, 0), (0.25, 0.05), (1.0, 0.1)])
def test_the_variance_of_shot_noise_grows_with_the_signal(value, sd):
    noise = ShotNoise().apply(constant(value), NoiseParams(0.1, seed=1)).image - value
    assert noise.std() == pytest.approx(sd, rel=0.02)


def test_another_seed_is_other_noise():
    sample = constant(0.5)
    first = GaussianNoise().apply(sample, NoiseParams(0.1, seed=1)).image
    second = GaussianNoise().apply(sample, NoiseParams(0.1, seed=2)).image
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.02


def test_blur_keeps_constants_and_the_sum_and_does_not_mix_channels():
    np.testing.assert_allclose(Blur().apply(constant(0.3), 1.7).image, 0.3, rtol=1e-6)
    dot = constant(0)
    dot.image[0, 100, 100] = 1
    blurred = Blur().apply(dot, 2.0).image
    assert blurred[0].sum() == pytest.approx(1, rel=1e-5)
    assert not blurred[1].any()
    assert blurred[0, 100, 100] == pytest.approx(1 / (2 * np.pi * 4), rel=0.03)


def test_sharpening_adds_the_difference_to_the_blurred_image():
    sample = Sample(np.random.default_rng(0).random((1, 20, 20), dtype=np.float32), np.zeros((20, 20), np.uint8))
    blurred = ndimage.gaussian_filter(sample.image[0], 1.0, truncate=3)
    wanted = 1.5 * sample.image[0] - 0.5 * blurred
    np.testing.assert_allclose(Sharpen(sigma_px=1.0).apply(sample, 0.5).image[0], wanted, atol=1e-6)
    np.testing.assert_array_equal(Sharpen().apply(sample, 0.0).image, sample.image)


def test_the_standard_deviation_is_drawn_between_its_ends():
    rng = np.random.default_rng(0)
    drawn = [GaussianNoise(smallest_sd=0.01, largest_sd=0.03).draw(rng, constant(0)).strength for _ in range(400)]
    assert min(drawn) >= 0.01
    assert max(drawn) <= 0.03
    assert np.mean(drawn) == pytest.approx(0.02, abs=0.001)


def test_a_median_removes_a_speck_and_sharpening_steepens_an_edge():
    speck = constant(0.5, (1, 9, 9))
    speck.image[0, 4, 4] = 1
    np.testing.assert_allclose(MedianSharpen().apply(speck, 1.0).image, 0.5, atol=1e-6)
    edge = constant(0.0, (1, 6, 6))
    edge.image[0, :, 3:] = 1
    np.testing.assert_allclose(MedianSharpen().apply(edge, 0.0).image, edge.image, atol=1e-6)
    # Three of a dark pixel's eight neighbors are bright: 9 · 0 - 3; a quarter of that is blended in.
    np.testing.assert_allclose(MedianSharpen().apply(edge, 0.25).image[0, 2], [0, 0, -0.75, 1.75, 1, 1], atol=1e-6)
