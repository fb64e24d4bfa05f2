from __future__ import annotations

import numpy as np
import pytest

from cellproof.simulate._optics import Microscope, blur, illumination, record, smooth_field


@pytest.mark.parametrize("scale_px", [0.8, 3.0, 11.0])
def test_a_smooth_field_has_zero_mean_and_unit_deviation(scale_px):
    field = smooth_field(np.random.default_rng(0), (400, 400), scale_px=scale_px)
    assert field.mean() == pytest.approx(0, abs=0.15)
    assert field.std() == pytest.approx(1, rel=0.12)


def test_a_smooth_field_is_alike_within_its_scale_and_not_beyond():
    field = smooth_field(np.random.default_rng(0), (400, 400), scale_px=8.0)
    near = np.corrcoef(field[:, 2:].ravel(), field[:, :-2].ravel())[0, 1]
    far = np.corrcoef(field[:, 60:].ravel(), field[:, :-60].ravel())[0, 1]
    assert near > 0.9
    assert abs(far) < 0.15


def test_light_falls_from_one_to_the_darkest_corner():
    light = illumination(np.random.default_rng(0), (50, 70), unevenness=0.4)
    assert light.max() == pytest.approx(1, abs=1e-3)
    assert light.min() == pytest.approx(0.6)
    assert min(light[0, 0], light[0, -1], light[-1, 0], light[-1, -1]) == light.min()


def test_blur_keeps_the_light_and_haze_adds_its_share():
    light = np.zeros((90, 90), np.float32)
    light[40:50, 40:50] = 1
    assert blur(light, sigma_px=2, haze=0, haze_px=9).sum() == pytest.approx(100, rel=1e-3)
    assert blur(light, sigma_px=2, haze=0.5, haze_px=9).sum() == pytest.approx(150, rel=0.1)


def test_counts_scatter_as_photons_and_read_noise_say():
    microscope = Microscope(
        psf_sigma_px=1, blurred_share=0, haze=0, unevenness=0, background=0, photons=100, read_noise=5
    )
    counts = record(np.random.default_rng(0), np.ones((300, 300), np.float32), microscope).astype(float)
    assert counts.mean() == pytest.approx(100 + 1200, rel=0.01)
    assert counts.std() == pytest.approx(12 * np.sqrt(100 + 25), rel=0.02)


def test_too_much_light_saturates_at_twelve_bits():
    microscope = Microscope(
        psf_sigma_px=1, blurred_share=0, haze=0, unevenness=0, background=0, photons=100, read_noise=5
    )
    assert (record(np.random.default_rng(0), np.full((9, 9), 50, np.float32), microscope) == 4095).all()
