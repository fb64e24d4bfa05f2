from __future__ import annotations

import numpy as np
import pytest

from cellproof.simulate._optics import Microscope, blur, develop, illumination, offset_counts, record, smooth_field


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
    # Read noise of 5 photons is 60 counts; the offset is four times that.
    assert offset_counts(microscope) == 240
    assert counts.mean() == pytest.approx(240 + 1200, rel=0.01)
    assert counts.std() == pytest.approx(12 * np.sqrt(100 + 25), rel=0.02)


@pytest.mark.parametrize(("photons", "read_noise", "offset"), [(16, 4, 1200), (250, 1, 100)])
def test_in_the_dark_noise_is_not_cut(photons, read_noise, offset):
    microscope = Microscope(
        psf_sigma_px=1, blurred_share=0, haze=0, unevenness=0, background=0, photons=photons, read_noise=read_noise
    )
    counts = record(np.random.default_rng(0), np.zeros((300, 300), np.float32), microscope).astype(float)
    noise = read_noise * 1200 / photons
    assert counts.mean() == pytest.approx(offset, abs=4 * noise / 300)
    assert counts.std() == pytest.approx(noise, rel=0.01)
    assert (counts == 0).mean() < 1e-4
    # Exported, 40 counts below the offset are black and the noise below them is cut.
    levels = develop(counts.astype(np.uint16), microscope, full_scale=1.7)
    assert (levels == 0).mean() == pytest.approx((counts < offset - 40 + 4).mean(), abs=0.01)


@pytest.mark.parametrize("row", range(20, 28))
def test_a_point_of_light_has_its_haze_wherever_it_lies(row):
    light = np.zeros((61, 66), np.float32)
    light[row, 2 * row - 10] = 1
    haze = blur(light, sigma_px=1, haze=0.5, haze_px=12) - blur(light, sigma_px=1, haze=0, haze_px=12)
    assert haze.sum() == pytest.approx(0.5, rel=0.05)
    places = np.indices(light.shape)
    center = [(axis * haze).sum() / haze.sum() for axis in places]
    # A block of 4 px: its middle lies up to 1.5 px from the point, and haze is cut at the image's edge.
    assert np.hypot(center[0] - row, center[1] - (2 * row - 10)) < 2.5


def test_too_much_light_saturates_at_twelve_bits():
    microscope = Microscope(
        psf_sigma_px=1, blurred_share=0, haze=0, unevenness=0, background=0, photons=100, read_noise=5
    )
    assert (record(np.random.default_rng(0), np.full((9, 9), 50, np.float32), microscope) == 4095).all()
