"""Hulls of all objects at once against a library, one object after the other."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import ConvexHull
from skimage.measure import regionprops

from cellproof.instances.hull import Spans, hull_areas, solidity
from cellproof.instances.measure import measure


def blobs(seed):
    """Connected regions of smooth noise, of all sizes, many of them concave and some with holes."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=rng.integers(1, 40, 2)), rng.uniform(0.3, 3))
    return ndimage.label(field > 0)[0].astype(np.int32)


@pytest.mark.parametrize("seed", range(25))
def test_solidity_is_that_of_hulls_of_the_corners(seed):
    labels = blobs(seed)
    found = solidity(labels)
    assert found.shape == (labels.max(),)
    for number in range(1, labels.max() + 1):
        pixels = np.argwhere(labels == number)
        corners = np.concatenate([pixels + step for step in ((0, 0), (0, 1), (1, 0), (1, 1))])
        assert found[number - 1] == pytest.approx(len(pixels) / ConvexHull(corners).volume, rel=1e-12)


@pytest.mark.parametrize("seed", range(25))
def test_pixels_of_hulls_are_those_of_scikit_image(seed):
    labels = blobs(seed)
    table = measure(labels)
    for region in regionprops(labels):
        # A line of pixels is its own hull; scikit-image takes it for degenerate.
        expected = region.area if 1 in region.image.shape else region.area_convex
        assert table["area"][region.label - 1] / table["solidity"][region.label - 1] == pytest.approx(expected)


def test_objects_without_pixels_have_no_hull():
    assert solidity(np.array([[3, 3], [0, 3]])).tolist() == pytest.approx([1, 1, 3 / 3.5])
    nothing = np.zeros(0, int)
    assert hull_areas(Spans(nothing, nothing, nothing, nothing, 2)).tolist() == [0, 0]
    assert solidity(np.zeros((4, 4), int)).shape == (0,)
