"""Dead ends are taken away, and links that only look like them are kept."""

from __future__ import annotations

import numpy as np
import pytest

from cellproof.refine._skeleton import find_skeleton
from cellproof.refine._spurs import without_spurs


def bars(distance_px: int) -> np.ndarray:
    """Two membranes across the image, three pixels wide."""
    mask = np.zeros((50, 60), bool)
    mask[9:12] = mask[9 + distance_px : 12 + distance_px] = True
    return mask


def cleaned(mask: np.ndarray, spur_px: float, walls: np.ndarray | None = None) -> np.ndarray:
    walls = np.zeros(mask.shape, bool) if walls is None else walls
    return without_spurs(mask, find_skeleton(mask, walls=walls), spur_px=spur_px)


def test_a_short_link_between_two_membranes_is_no_dead_end():
    linked = bars(8)
    linked[9:20, 29:32] = True
    np.testing.assert_array_equal(cleaned(linked, 15), linked)


@pytest.mark.parametrize(("length_px", "is_taken"), [(5, True), (8, True), (14, False)])
def test_a_dead_end_is_taken_away_below_its_least_length_only(length_px, is_taken):
    mask = bars(30)
    mask[12 : 12 + length_px, 30] = True
    found = cleaned(mask, 10)
    assert bool(found[13:39].any()) is not is_taken
    np.testing.assert_array_equal(found[:12], mask[:12])


def test_a_line_that_ends_at_unknown_pixels_may_go_on_there():
    mask, walls = bars(30), np.zeros((50, 60), bool)
    mask[12:17, 30] = True
    walls[17:22, 25:36] = True
    np.testing.assert_array_equal(cleaned(mask, 10, walls), mask)


def test_a_piece_that_hangs_on_nothing_is_measured_from_end_to_end():
    mask = bars(30)
    mask[25, 20:27] = True
    mask[30, 20:40] = True
    found = cleaned(mask, 10)
    assert not found[25].any()
    assert found[30, 20:40].all()


def test_three_pixels_about_a_joint_hold_no_line_between_them():
    mask = np.zeros((7, 4), bool)
    mask[4, [0, 2]] = mask[5, 1] = mask[6, 0] = True
    np.testing.assert_array_equal(cleaned(mask, 8), mask)
