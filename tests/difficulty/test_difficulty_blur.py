"""Blurs that are known at samples are those of the whole image."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from cellproof.checks import InputError
from cellproof.difficulty._blur import sampled_blurs


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.mark.parametrize("widths", [(1, 2, 4, 8, 16), (0.5, 1, 2), (3.0,), (4, 6.5, 20)])
def test_samples_are_those_of_scipys_blur_of_a_smooth_image(rng, widths):
    image = ndimage.gaussian_filter(rng.random((200, 261)).astype(np.float32), 3) * 10
    steps = []
    for width, (step, found) in zip(widths, sampled_blurs(image, widths), strict=True):
        whole = ndimage.gaussian_filter(image, width, truncate=4)[::step, ::step]
        assert found.shape == whole.shape
        assert np.corrcoef(found.ravel(), whole.ravel())[0, 1] > 0.98
        assert found.std() == pytest.approx(whole.std(), rel=0.1)
        assert found.mean() == pytest.approx(whole.mean(), rel=0.01)
        steps.append(step)
    assert steps == sorted(steps)
    assert all(step == 1 or step <= width for step, width in zip(steps, widths, strict=True))


def test_the_first_blur_is_scipys_to_rounding(rng):
    image = rng.random((61, 40)).astype(np.float32)
    ((step, found),) = sampled_blurs(image, [1.5])
    assert step == 1
    np.testing.assert_allclose(found, ndimage.gaussian_filter(image, 1.5, truncate=3.0), atol=1e-6)


def test_a_constant_image_stays_so_even_of_one_pixel():
    for shape in ((1, 1), (3, 70), (64, 64)):
        for step, blurred in sampled_blurs(np.full(shape, 0.7, np.float32), [1, 2, 4, 8, 16]):
            np.testing.assert_allclose(blurred, 0.7, atol=1e-5)
            assert blurred.shape == (-(-shape[0] // step), -(-shape[1] // step))


def test_widths_ascend():
    with pytest.raises(InputError, match="ascending order"):
        list(sampled_blurs(np.zeros((9, 9)), [2, 2]))
    with pytest.raises(InputError, match="widths above 0"):
        list(sampled_blurs(np.zeros((9, 9)), [0]))
