"""Features at some pixels are those of whole filtered images there."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from cellproof.refine._pixel_features import FEATURES, Place, pixel_features

NEAREST = {"mode": "nearest"}


@pytest.fixture
def place():
    rng = np.random.default_rng(3)
    image = (5 + rng.normal(size=(2, 21, 34))).astype(np.float32)
    rings = rng.integers(-2, 3, image.shape[1:]).astype(np.int8)
    rows, columns = np.divmod(rng.permutation(21 * 34)[:300], 34)
    return Place(image, rng.random(rings.shape), rings, rows, columns)


def of_whole(place):
    gray = place.image.astype(float).mean(axis=0)
    mean = ndimage.uniform_filter(gray, 7, **NEAREST)
    return {
        "intensity": gray,
        "sobel": np.hypot(*(ndimage.sobel(gray, axis, **NEAREST) for axis in (0, 1))) / 8,
        "mean": mean,
        "sd": np.sqrt(ndimage.uniform_filter(gray**2, 7, **NEAREST) - mean**2),
        "laplacian": ndimage.laplace(gray, **NEAREST),
        "distance": place.rings,
        "probability": place.probability,
    }


def test_every_feature_is_that_of_the_filtered_image(place):
    expected = of_whole(place)
    assert list(expected) == list(FEATURES)
    found = pixel_features(list(FEATURES), place)
    assert found.dtype == np.float32
    for column, (name, values) in enumerate(expected.items()):
        np.testing.assert_allclose(
            found[:, column], values[place.rows, place.columns], rtol=1e-5, atol=2e-5, err_msg=name
        )


def test_the_spread_of_a_constant_image_on_a_pedestal_is_nothing():
    flat = np.full((1, 40, 40), 1e3, np.float32)
    at = Place(flat, flat[0], np.zeros((40, 40), np.int8), np.arange(40), np.arange(40))
    np.testing.assert_array_equal(pixel_features(["sd", "sobel", "mean"], at), [[0, 0, 1e3]] * 40)
