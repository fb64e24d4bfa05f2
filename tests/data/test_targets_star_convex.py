"""Object probability and rays against drawn shapes, turned shapes, and StarDist's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.draw import disk

from cellproof.checks import InputError
from cellproof.data.targets import find_head, heads_of, make_targets
from cellproof.data.targets.star_convex import object_probability, ray_lengths
from cellproof.inference.tta import EIGHT_VIEWS
from cellproof.types import IGNORE, Heads, Sample


def overlapping_discs(seed: int, side: int = 50) -> np.ndarray:
    rng = np.random.default_rng(seed)
    labels = np.zeros((side, side + 9), np.int32)
    for number in rng.permutation(300)[:9] + 1:
        rows, columns = disk(rng.integers(0, side, 2), rng.uniform(0.6, side / 4), shape=labels.shape)
        labels[rows, columns] = number
    return labels


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), rays=st.sampled_from([4, 8, 16, 32, 64]))
def test_rays_and_probability_are_those_of_stardist(seed, rays):
    geometry = pytest.importorskip("stardist.geometry", reason="StarDist is not installed")
    utils = pytest.importorskip("stardist.utils")
    labels = overlapping_discs(seed)
    expected = geometry.star_dist(labels, rays, mode="cpp").transpose(2, 0, 1)
    # A ray that passes exactly between two pixels may end in either; rounding decides.
    differ = np.abs(ray_lengths(labels, rays=rays) - expected) > 1e-4
    assert differ.mean() < 1e-3
    np.testing.assert_allclose(object_probability(labels), utils.edt_prob(labels), atol=1e-6)


def test_rays_of_a_rectangle_end_at_its_sides():
    labels = np.zeros((20, 20), np.int32)
    labels[4:11, 5:16] = 7
    found = ray_lengths(labels, rays=8)[:, 6, 8]
    # To the right 7 more pixels, down 4, left 3, up 2; diagonals as far as the nearer side lets them, within half a
    # step of one pixel.
    assert found[0::2].tolist() == [7.5, 4.5, 3.5, 2.5]
    np.testing.assert_allclose(found[1::2], np.sqrt(2) * np.array([4.5, 3.5, 2.5, 2.5]), atol=0.5)
    assert (ray_lengths(labels, rays=8)[:, labels == 0] == 0).all()


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), rays=st.sampled_from([8, 12, 24, 32]))
def test_targets_of_a_turned_image_are_the_turned_targets(seed, rays):
    labels = overlapping_discs(seed, 24)
    heads = Heads(1, (find_head("star_convex", {"rays": rays}),))

    def maps(ids: np.ndarray) -> np.ndarray:
        return np.concatenate([ids[None] > 0, object_probability(ids)[None], ray_lengths(ids, rays=rays)])

    for view in EIGHT_VIEWS:
        turned = view.forward(labels[None])[0]
        np.testing.assert_allclose(view.forward(maps(labels), heads=heads), maps(turned), atol=1e-5)


def test_touching_objects_end_at_each_other_and_new_ids_change_nothing():
    labels = overlapping_discs(3)
    renumbered = np.where(labels > 0, 1000 - labels, 0)
    np.testing.assert_array_equal(ray_lengths(renumbered, rays=8), ray_lengths(labels, rays=8))
    np.testing.assert_array_equal(object_probability(renumbered), object_probability(labels))
    pair = np.repeat([[1, 1, 1, 2, 2, 2]], 3, axis=0)
    assert ray_lengths(pair, rays=4)[0, 1].tolist() == [2.5, 1.5, 0.5, 2.5, 1.5, 0.5]
    assert object_probability(pair)[1] == pytest.approx([1, 2 / 3, 1 / 3, 1 / 3, 2 / 3, 1])


def test_pixels_without_annotation_end_rays_but_not_the_depth():
    instances = np.zeros((9, 13), np.int32)
    instances[1:8, 1:12] = 4
    classes = (instances > 0).astype(np.uint8)
    classes[:, 6:] = IGNORE
    fields = make_targets(Sample(np.zeros((1, 9, 13), np.float32), classes, instances), heads_of(2, ["star_convex"]))
    probability, right = fields.fields[0], fields.fields[1]
    # Deepest in the middle rows at the edge of what is annotated: the object goes on behind it.
    assert probability[4].tolist() == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1, 0, 0, 0, 0, 0, 0, 0])
    assert right[4, 1:6].tolist() == [4.5, 3.5, 2.5, 1.5, 0.5]
    assert not fields.fields[:, classes == IGNORE].any()


def test_an_object_without_an_end_is_deep_everywhere_and_none_is_nowhere():
    assert object_probability(np.full((4, 5), 3)).tolist() == np.ones((4, 5)).tolist()
    assert not object_probability(np.zeros((4, 5), int)).any()
    assert not ray_lengths(np.zeros((4, 5), int), rays=4).any()


@pytest.mark.parametrize("unit", [0, -16.0, float("inf"), float("nan"), "16"])
def test_units_that_are_no_length_are_refused(unit):
    with pytest.raises(InputError, match="unit_px is"):
        find_head("star_convex", {"unit_px": unit})


@pytest.mark.parametrize("rays", [0, 6, -4, 8.0, True, "many"])
def test_numbers_of_rays_that_quarter_turns_would_not_keep_are_refused(rays):
    with pytest.raises(InputError, match="expected a multiple of 4"):
        find_head("star_convex", {"rays": rays})
