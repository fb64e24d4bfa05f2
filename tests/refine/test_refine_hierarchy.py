"""Levels at which boundaries fall: worked out by hand, and the law that what stands encloses regions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import DisjointSet
from scipy.ndimage import gaussian_filter

from cellproof.refine._boundaries import Boundaries, find_boundaries
from cellproof.refine._hierarchy import fall_levels


def row_of_three(inside: tuple[float, float, float], walls: tuple[float, float]) -> Boundaries:
    """Three basins of two columns beside each other, with the evidence inside and on the lines between them."""
    relief = np.repeat([[inside[0]] * 2 + [walls[0]] + [inside[1]] * 2 + [walls[1]] + [inside[2]] * 2], 4, axis=0)
    basins = np.repeat([[1, 1, 0, 2, 2, 0, 3, 3]], 4, axis=0).astype(np.int32)
    pixels = np.array([(row, column) for column in (2, 5) for row in range(4)])
    return Boundaries(relief.astype(np.float32), basins, np.array([[1, 2], [2, 3]]), np.array([0, 4, 8]), pixels)


def levels_of(boundaries: Boundaries, network: np.ndarray | None = None, smallest_px: float = 0) -> list[float]:
    lacking = np.zeros(boundaries.basins.shape, bool)
    return fall_levels(boundaries, lacking if network is None else network, smallest_px=smallest_px).tolist()


def test_the_contrast_is_to_the_brighter_of_the_two_regions():
    # 0.5 - 0.3, and 0.9 - mean(0.0, 0.3) = 0.75 after the first two are one region (0.9 - 0.3 = 0.6 before).
    assert levels_of(row_of_three((0.0, 0.3, 0.0), (0.5, 0.9))) == pytest.approx([0.2, 0.75])
    assert levels_of(row_of_three((0.3, 0.0, 0.1), (0.5, 0.9))) == pytest.approx([0.2, 0.75])


def test_a_level_never_falls_from_one_union_to_the_next():
    # The first boundary falls at 0.5 - 0.4 = 0.1. Then the dark region is as bright as mean(0.4, 0) = 0.2, and the
    # second boundary's contrast is 0.25 - 0.2 = 0.05, less than what was taken down before.
    assert levels_of(row_of_three((0.4, 0.0, 0.0), (0.5, 0.25))) == pytest.approx([0.1, 0.1])


def test_a_boundary_counts_four_times_its_missing_part_at_most_and_never_falls_without_one():
    boundaries = row_of_three((0.0, 0.0, 0.0), (0.9, 0.9))
    boundaries.relief[0, 2] = 0.1
    network = np.zeros((4, 8), bool)
    network[1:, 2] = network[:, 5] = True
    # Mean evidence of the first is (0.1 + 3 x 0.9) / 4 = 0.7, of its missing pixel 0.1.
    assert levels_of(boundaries, network) == pytest.approx([0.4, np.inf])


def test_what_divides_a_region_that_is_too_small_falls_first():
    found = levels_of(row_of_three((0.0, 0.0, 0.0), (0.5, 0.9)), smallest_px=9)
    # Basins of 8 pixels: the first union makes one of 16, and the second is as small as before.
    assert found == pytest.approx([0.5 - 2, 0.9 - 2])


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_the_boundaries_above_any_level_enclose_regions(seed):
    rng = np.random.default_rng(seed)
    evidence = gaussian_filter(rng.random((48, 48)), 2)
    evidence = (evidence - evidence.min()) / np.ptp(evidence)
    network = evidence > 0.75
    boundaries = find_boundaries(evidence, network, unknown=np.zeros((48, 48), bool))
    levels = fall_levels(boundaries, network, smallest_px=0)
    for level in np.unique(levels):
        regions = DisjointSet(range(boundaries.basins.max() + 1))
        for one, two in boundaries.pairs[levels <= level].tolist():
            regions.merge(one, two)
        assert not any(regions.connected(one, two) for one, two in boundaries.pairs[levels > level].tolist())
