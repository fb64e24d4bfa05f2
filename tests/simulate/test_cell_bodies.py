from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import integers, sampled_from
from scipy import ndimage

from cellproof.simulate._cell_bodies import BodyPlan, draw_body
from cellproof.simulate.phase_contrast import CELL_TYPES

DISC = BodyPlan((15, 15), 1.0, (0, 0), (0, 0), (0, 0), (0, 0), 1.0)


@settings(max_examples=15, deadline=None)
@given(integers(0, 2**32), sampled_from(list(CELL_TYPES)))
def test_a_body_is_one_piece_that_its_grid_holds_whole(seed, name):
    body = draw_body(np.random.default_rng(seed), CELL_TYPES[name].plan)
    assert ndimage.label(body.mask)[1] == 1
    assert not body.mask[[0, -1]].any()
    assert not body.mask[:, [0, -1]].any()
    middle = body.mask.shape[0] // 2
    assert body.mask[middle, middle]
    np.testing.assert_array_equal(body.depth_px > 0, body.mask)
    assert not body.nucleus[~body.mask].any()


def test_without_corners_and_processes_it_is_about_a_disc():
    areas = [draw_body(np.random.default_rng(seed), DISC).area_px for seed in range(12)]
    assert np.mean(areas) == pytest.approx(np.pi * 15**2, rel=0.15)


def test_processes_reach_out_and_are_thin():
    plain, branched = (
        draw_body(np.random.default_rng(3), BodyPlan((9, 9), 1.0, (0, 0), (0, 0), (n, n), (40, 40), 3.0))
        for n in (0, 3)
    )
    reach = [np.abs(np.argwhere(one.mask) - one.mask.shape[0] // 2).max() for one in (plain, branched)]
    assert reach[1] > reach[0] + 15
    assert branched.area_px < 3 * plain.area_px
