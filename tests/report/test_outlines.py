from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from hypothesis.strategies import integers
from scipy.ndimage import distance_transform_edt
from skimage.segmentation import find_boundaries

from cellproof.report._outlines import color_numbers, outline_mask, touching_pairs

LABELS = arrays(np.int32, (9, 11), elements=integers(0, 4))


@settings(max_examples=60, deadline=None)
@given(labels=LABELS)
def test_thin_outlines_are_the_inner_boundaries_of_scikit_image(labels):
    expected = find_boundaries(labels, connectivity=1, mode="inner", background=0)
    np.testing.assert_array_equal(outline_mask(labels, width_px=1), expected)


@settings(max_examples=30, deadline=None)
@given(labels=LABELS)
def test_touching_pairs_equal_a_walk_over_all_sides(labels):
    pairs = set()
    for (row, column), one in np.ndenumerate(labels):
        for below in ((row + 1, column), (row, column + 1)):
            if below[0] < labels.shape[0] and below[1] < labels.shape[1]:
                other = labels[below]
                if one != other and one and other:
                    pairs.add((int(min(one, other)), int(max(one, other))))
    assert {tuple(pair) for pair in touching_pairs(labels).tolist()} == pairs


@settings(max_examples=30, deadline=None)
@given(seed=integers(0, 2**32), count=integers(1, 200))
def test_six_colors_keep_all_touching_objects_apart(seed, count):
    rng = np.random.default_rng(seed)
    seeds = np.ones((60, 60), bool)
    seeds.ravel()[rng.choice(3600, count, replace=False)] = False
    nearest = distance_transform_edt(seeds, return_distances=False, return_indices=True)
    labels = rng.permutation(3600).reshape(60, 60)[tuple(nearest)] + 1  # a Voronoi tiling, shuffled numbers
    pairs = touching_pairs(labels)
    colors = color_numbers(pairs, largest_label=int(labels.max()))
    assert colors.max() < 6
    assert (colors[pairs[:, 0]] != colors[pairs[:, 1]]).all()


def test_more_mutual_neighbors_than_colors_are_colored_all_the_same():
    pairs = np.array([(one, other) for one in range(1, 9) for other in range(one + 1, 9)])
    colors = color_numbers(pairs, largest_label=8)
    assert np.unique(colors[1:]).size == 6


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1)])
def test_lines_of_one_pixel_have_outlines_at_their_ends_only(shape):
    labels = np.ones(shape, int)
    assert not outline_mask(labels, width_px=2).any()
    labels.ravel()[0] = 0
    assert outline_mask(labels, width_px=1).sum() == min(1, labels.size - 1)
