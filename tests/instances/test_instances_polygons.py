"""Areas and common areas of polygons against shapes drawn on a fine grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.draw import polygon2mask

from cellproof.instances.polygons import Polygons, Samples, covered, covered_fraction, near_pairs


def blobs(seed: int, count: int, *, rays: int = 32, side: int = 80, largest: float = 14) -> Polygons:
    """Smooth shapes of different size around random pixels."""
    rng = np.random.default_rng(seed)
    angles = 2 * np.pi * np.arange(rays) / rays
    radii = rng.uniform(3, largest, (count, 1))
    phases, heights = rng.uniform(0, 6, (2, count, 1)), rng.uniform(-0.25, 0.25, (2, count, 1))
    waves = heights[0] * np.cos(2 * angles + phases[0]) + heights[1] * np.cos(3 * angles + phases[1])
    return Polygons.of(rng.integers(0, side, (count, 2)), (radii * (1 + waves)).astype(np.float32))


def corners(polygons: Polygons, number: int) -> np.ndarray:
    angles = 2 * np.pi * np.arange(polygons.rays.shape[1]) / polygons.rays.shape[1]
    return polygons.centers[number] + polygons.rays[number][:, None] * np.stack([np.sin(angles), np.cos(angles)], 1)


def drawn(polygons: Polygons, number: int, *, zoom: int = 8, margin: int = 20, side: int = 80) -> np.ndarray:
    size = (side + 2 * margin) * zoom
    return polygon2mask((size, size), (corners(polygons, number) + margin) * zoom)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), rays=st.sampled_from([4, 12, 32]))
def test_areas_are_those_of_the_shoelace_formula(seed, rays):
    polygons = blobs(seed, 5, rays=rays)
    for number, area in enumerate(polygons.areas):
        row, column = (corners(polygons, number) - polygons.centers[number]).T
        assert area == pytest.approx(abs(row @ np.roll(column, 1) - column @ np.roll(row, 1)) / 2, rel=1e-5)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), rays=st.sampled_from([4, 12, 32]))
def test_covered_pixels_are_those_inside_the_drawn_polygon(seed, rays):
    polygons, shape = blobs(seed, 6, rays=rays), (80, 80)
    masks = np.zeros((6, *shape), bool)
    for owners, pixels, depth in covered(polygons, shape):
        masks.reshape(6, -1)[owners, pixels] = True
        assert depth.max() <= 1
    for number, mask in enumerate(masks):
        expected = polygon2mask(shape, corners(polygons, number))
        # Pixels on the outline itself may fall on either side.
        assert (mask != expected).sum() <= 2


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_the_common_area_is_that_of_shapes_drawn_eight_times_as_fine(seed):
    polygons = blobs(seed, 6, side=24)
    first, second = np.triu_indices(6, 1)
    found = covered_fraction(polygons, Samples.of(polygons), first, second)
    masks = [drawn(polygons, number, side=24) for number in range(6)]
    for one, other, fraction in zip(first, second, found, strict=True):
        common = (masks[one] & masks[other]).sum()
        assert fraction == pytest.approx(common / min(masks[one].sum(), masks[other].sum()), abs=0.04)


def test_points_stand_for_the_whole_area_and_lie_inside():
    polygons = blobs(1, 20, rays=8)
    samples = Samples.of(polygons)
    np.testing.assert_allclose(samples.weights.sum(axis=1), 1, rtol=1e-5)
    assert polygons.depth(np.arange(20)[:, None], samples.rows, samples.columns).max() < 1


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), largest=st.sampled_from([6, 14, 60]))
def test_near_pairs_are_all_pairs_whose_circles_meet(seed, largest):
    ones, others = blobs(seed, 30, largest=largest), blobs(seed + 1, 20)
    apart = np.linalg.norm(ones.centers[:, None] - others.centers[None], axis=2)
    expected = np.argwhere(apart <= ones.radii[:, None] + others.radii[None])
    found = np.stack(near_pairs(ones, others), axis=1)
    np.testing.assert_array_equal(found[np.lexsort(found.T[::-1])], expected)


def test_rays_of_no_length_cover_their_center_alone():
    ((owners, pixels, _depth),) = covered(Polygons.of([[2, 3]], np.zeros((1, 8), np.float32)), (5, 6))
    assert (owners.tolist(), pixels.tolist()) == ([0], [2 * 6 + 3])
