"""Basins and the lines between them, drawn so that they can be counted."""

from __future__ import annotations

import numpy as np
import pytest

from cellproof.refine._boundaries import find_boundaries


def nothing() -> np.ndarray:
    return np.zeros((40, 60), bool)


def test_a_line_of_evidence_divides_two_basins_along_all_of_its_length():
    evidence = np.full((40, 60), 0.05)
    evidence[:, 29:32] = 0.4
    found = find_boundaries(evidence, nothing(), unknown=nothing())
    assert found.pairs.tolist() == [[1, 2]]
    assert found.basins.max() == 2
    assert found.start.tolist() == [0, 40]
    assert found.pixels.tolist() == [[row, 30] for row in range(40)]


@pytest.mark.parametrize(("depth", "basins"), [(4, 1), (6, 2)])
def test_a_hollow_that_is_less_deep_than_five_levels_is_no_basin(depth, basins):
    # Depths are counted in steps of 1/255; slopes are so gentle that smoothing leaves them.
    column = np.arange(-120, 120)
    relief = (100 - np.minimum(np.abs(column), 100) / 100 * np.where(column < 0, 40, depth)) / 255
    found = find_boundaries(
        np.repeat(relief[None], 30, axis=0), np.zeros((30, 240), bool), unknown=np.zeros((30, 240), bool)
    )
    assert found.basins.max() == basins


def test_unknown_pixels_are_walls_and_neither_a_basin_nor_a_boundary():
    unknown = nothing()
    unknown[:, 20:40] = True
    found = find_boundaries(np.full((40, 60), 0.05), nothing(), unknown=unknown)
    assert found.basins.max() == 2
    assert found.basins[0, 0] != found.basins[0, -1]
    assert len(found.pairs) == len(found.pixels) == 0


def test_the_network_is_sure_whatever_the_evidence_says():
    network = nothing()
    network[:, 29:32] = True
    found = find_boundaries(np.zeros((40, 60)), network, unknown=nothing())
    assert found.pairs.tolist() == [[1, 2]]
    # A line of three pixels keeps 87 % of its height under the filter.
    assert found.relief[20, 30] == pytest.approx(0.5 * 0.866, abs=0.02)


def test_where_three_basins_meet_the_pixel_belongs_to_three_boundaries():
    evidence = np.full((40, 60), 0.05)
    evidence[19:22] = 0.4
    evidence[:20, 29:32] = 0.4
    found = find_boundaries(evidence, nothing(), unknown=nothing())
    assert found.basins.max() == 3
    assert len(found.pairs) == 3
    pixels, times = np.unique(found.pixels, axis=0, return_counts=True)
    assert times.max() == 3
    assert np.abs(pixels[times == 3] - [20, 30]).max() <= 1
