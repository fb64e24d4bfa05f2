"""`cellproof.augment.tone`: what each step does to drawn values."""

from __future__ import annotations

import numpy as np
import pytest

from cellproof.augment.tone import Contrast, ContrastParams, Gamma, Illumination, Inversion
from cellproof.types import Sample


def flat(*values):
    image = np.array(values, np.float32).reshape(1, 1, -1)
    return Sample(image, np.zeros(image.shape[1:], np.uint8))


def values(sample):
    return sample.image.ravel()


def test_gamma_is_a_power_that_keeps_signs_and_the_ends_of_the_range():
    changed = values(Gamma().apply(flat(-0.25, 0, 0.25, 1, 4), 0.5))
    np.testing.assert_allclose(changed, [-0.5, 0, 0.5, 1, 2], rtol=1e-6)


def test_gamma_draws_brightening_and_darkening_equally_often():
    rng = np.random.default_rng(0)
    exponents = [Gamma(low=0.5, high=2.0).draw(rng, flat(0)) for _ in range(2000)]
    assert 0.5 <= min(exponents) < 0.51 < 1.98 < max(exponents) <= 2
    assert np.median(exponents) == pytest.approx(1, abs=0.05)


def test_contrast_turns_about_the_mean_and_then_shifts():
    changed = values(Contrast().apply(flat(0, 0.5, 1), ContrastParams(gain=2, offset=0.1)))
    np.testing.assert_allclose(changed, [-0.4, 0.6, 1.6], rtol=1e-6)


def test_inversion_twice_is_nothing():
    sample = flat(0, 0.25, 1, 1.5)
    once = Inversion().apply(sample, None)
    np.testing.assert_array_equal(values(once), [1, 0.75, 0, -0.5])
    np.testing.assert_array_equal(values(Inversion().apply(once, None)), values(sample))


def test_uneven_light_is_positive_smooth_and_the_same_for_every_channel():
    step = Illumination(strength=0.3)
    sample = Sample(np.ones((2, 60, 80), np.float32), np.zeros((60, 80), np.uint8))
    field = step.apply(sample, step.draw(np.random.default_rng(0), sample)).image
    np.testing.assert_array_equal(field[0], field[1])
    assert field.min() > 0
    assert field.max() / field.min() > 1.1
    assert max(np.abs(np.diff(field[0], axis=axis)).max() for axis in (0, 1)) < 0.05


def test_uneven_light_has_about_the_strength_asked_for():
    step = Illumination(strength=0.2)
    sample = Sample(np.ones((1, 20, 20), np.float32), np.zeros((20, 20), np.uint8))
    rng = np.random.default_rng(0)
    logs = [np.log(step.apply(sample, step.draw(rng, sample)).image) for _ in range(400)]
    assert np.std(logs) == pytest.approx(0.2, rel=0.1)
