"""Gaps: drawn membranes with holes, bridges and blobs, laws, degenerate cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from cellproof.checks import InputError
from cellproof.metrics.gaps import Gaps, count_gaps, share_closed, share_false

SIZE = 60


def picture() -> np.ndarray:
    return np.zeros((SIZE, SIZE), bool)


def window(width_px: int = 1) -> np.ndarray:
    """A square of membrane with a cross in it: four cells."""
    mask = picture()
    for middle in (10, 30, 50):
        near = slice(middle - width_px // 2, middle + (width_px + 1) // 2)
        mask[near, 10:51] = True
        mask[10:51, near] = True
    return mask


def without(mask: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
    changed = mask.copy()
    changed[rows, columns] = False
    return changed


def having(mask: np.ndarray, rows: slice | int, columns: slice | int) -> np.ndarray:
    changed = mask.copy()
    changed[rows, columns] = True
    return changed


def count(network: np.ndarray, refined: np.ndarray, reference: np.ndarray, **options) -> Gaps:
    return count_gaps(network, refined, reference, **{"tolerance_px": 2, **options})


@pytest.mark.parametrize("width_px", [1, 3])
def test_an_untouched_network_without_gaps_has_none(width_px: int) -> None:
    assert count(window(width_px), window(width_px), window(width_px)) == Gaps(0, 0, 0)


@pytest.mark.parametrize(("length_px", "gaps"), [(1, 0), (2, 0), (3, 1), (5, 1), (15, 1)])
def test_a_hole_of_three_pixels_or_more_is_a_gap_of_its_own_length(length_px: int, gaps: int) -> None:
    network = without(window(), slice(8, 13), slice(14, 14 + length_px))
    assert count(network, network, window()) == Gaps(gaps, 0, 0)
    assert count(network, window(), window()) == Gaps(gaps, gaps, 0)


def test_a_gap_is_closed_by_a_detour_within_twice_the_tolerance_and_not_by_one_beyond() -> None:
    network = without(window(), slice(10, 11), slice(16, 24))
    for offset_px, closed in ((0, 1), (1, 1), (2, 1), (4, 1), (5, 0)):
        refined = having(network, 10 + offset_px, slice(15, 25))
        refined[10 : 11 + offset_px, [15, 24]] = True
        assert count(network, refined, window()).closed == closed


def test_a_stretch_that_the_network_has_beside_the_references_is_displaced_and_no_gap() -> None:
    network = without(window(), slice(10, 11), slice(16, 24))
    for offset_px, found in ((3, Gaps(0, 0, 0, 1)), (4, Gaps(0, 0, 0, 1)), (6, Gaps(1, 0, 0, 0))):
        beside = having(network, 10 + offset_px, slice(15, 25))
        beside[10 : 11 + offset_px, [15, 24]] = True
        assert count(beside, beside, window()) == found


def test_two_ends_beside_each_other_bridge_nothing() -> None:
    network = without(window(), slice(10, 11), slice(14, 26))
    network = having(network, slice(10, 15), [13, 26])
    assert count(network, network, window()) == Gaps(1, 0, 0, 0)


def test_a_gap_that_is_only_shortened_is_not_closed() -> None:
    network = without(window(), slice(10, 11), slice(13, 27))
    assert count(network, having(network, 10, slice(13, 22)), window()) == Gaps(1, 0, 0)


def test_each_of_two_gaps_counts_and_so_does_a_whole_missing_edge() -> None:
    network = without(window(), slice(10, 11), slice(15, 20))
    network = without(network, slice(11, 30), slice(30, 31))
    assert count(network, network, window()) == Gaps(2, 0, 0)
    assert count(network, having(network, slice(10, 31), 30), window()) == Gaps(2, 1, 0)


def test_a_gap_at_a_crossing_is_one() -> None:
    network = without(window(), slice(25, 36), slice(25, 36))
    assert count(network, window(), window()) == Gaps(1, 1, 0)


def test_a_shifted_network_within_the_tolerance_has_no_gap() -> None:
    assert count(np.roll(window(3), (1, 1), (0, 1)), window(3), window(3)).gaps == 0


@pytest.mark.parametrize(("missing_px", "gaps"), [(2, 0), (4, 0), (5, 1), (20, 1)])
def test_at_the_pictures_edge_a_gap_counts_by_what_lies_inside(missing_px: int, gaps: int) -> None:
    line = picture()
    line[30] = True
    network = without(line, slice(30, 31), slice(0, missing_px))
    assert count(network, line, line) == Gaps(gaps, gaps, 0)


def test_gaps_in_and_beside_pixels_without_annotation_are_not_counted() -> None:
    network = without(window(), slice(10, 11), slice(14, 26))
    ignored = having(picture(), slice(5, 15), slice(12, 28))
    assert count(network, window(), window(), ignored=ignored) == Gaps(0, 0, 0)


def test_a_bridge_through_a_cell_is_a_false_closing() -> None:
    assert count(window(), having(window(), 20, slice(10, 31)), window()) == Gaps(0, 0, 1)
    assert count(window(), having(window(), slice(18, 22), slice(10, 31)), window()) == Gaps(0, 0, 1)


@pytest.mark.parametrize(("offset_px", "false"), [(3, 0), (4, 0), (5, 1), (8, 1)])
def test_a_bridge_that_would_close_a_gap_beside_it_is_not_false(offset_px: int, false: int) -> None:
    beside = having(window(), 10 + offset_px, slice(10, 31))
    assert count(window(), beside, window()) == Gaps(0, 0, false)


def test_a_false_cross_joins_three_times() -> None:
    refined = having(window(), 20, slice(10, 31))
    assert count(window(), having(refined, slice(10, 31), 20), window()) == Gaps(0, 0, 3)


def test_a_bridge_to_the_pictures_edge_cuts_a_region_in_two_only_with_another() -> None:
    assert count(window(), having(window(), 30, slice(0, 10)), window()) == Gaps(0, 0, 1)


def test_blobs_spurs_thickening_and_a_filled_cell_join_nothing() -> None:
    blob = having(window(), slice(18, 22), slice(18, 22))
    spur = having(window(), slice(10, 24), 20)
    thick = window(9)
    filled = having(window(), slice(10, 31), slice(10, 31))
    for refined in (blob, spur, thick, filled):
        assert count(window(), refined, window()) == Gaps(0, 0, 0)


def test_rough_thickening_that_leaves_a_pit_joins_nothing() -> None:
    rough = window(9)
    rough[11, 20] = rough[12, 20] = rough[13, 20] = False
    assert count(window(), rough, window()) == Gaps(0, 0, 0)


def test_a_speck_that_is_swallowed_is_no_part_that_was_joined() -> None:
    network = having(window(), slice(16, 18), slice(20, 22))
    assert count(network, having(network, slice(10, 24), slice(18, 24)), window()) == Gaps(0, 0, 0)


def test_joining_two_parts_without_enclosing_anything_is_a_false_closing() -> None:
    bars = picture()
    bars[15, 10:50] = bars[45, 10:50] = True
    assert count(bars, having(bars, slice(15, 46), 30), bars) == Gaps(0, 0, 1)


@pytest.mark.parametrize("network_has_membrane", [False, True])
def test_without_reference_membrane_there_are_no_gaps(network_has_membrane: bool) -> None:
    network = window() if network_has_membrane else picture()
    assert count(network, network, picture()) == Gaps(0, 0, 0)


def test_a_missing_network_is_one_gap_for_each_part_of_the_reference() -> None:
    assert count(picture(), picture(), window()) == Gaps(1, 0, 0)
    assert count(picture(), window(), window()) == Gaps(1, 1, 0)
    bars = picture()
    bars[15, 10:50] = bars[45, 10:50] = True
    assert count(picture(), picture(), bars).gaps == 2


def test_all_membrane_closes_all_gaps() -> None:
    network = without(window(), slice(10, 11), slice(15, 20))
    assert count(network, np.ones_like(network), window()).closed == 1
    assert count(np.ones_like(network), np.ones_like(network), np.ones_like(network)) == Gaps(0, 0, 0)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_counts_keep_their_order_and_no_repair_closes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network, refined, reference = (gaussian_filter(rng.random((40, 40)), 1.5) > 0.52 for _ in range(3))
    found = count(network, refined | network, reference)
    assert 0 <= found.closed <= found.gaps
    assert found.falsely_closed >= 0
    assert count(network, network, reference) == Gaps(found.gaps, 0, 0, found.displaced)
    assert count(network, reference | network, reference) == Gaps(found.gaps, found.gaps, 0, found.displaced)


@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, np.transpose])
def test_turning_drawn_membranes_changes_no_count(turn) -> None:
    network = without(window(), slice(10, 11), slice(15, 20))
    refined = having(network, 20, slice(10, 31))
    assert count(*(turn(mask) for mask in (network, refined, window()))) == count(network, refined, window())


def test_shares_are_those_of_pooled_counts_and_undefined_without_any() -> None:
    pooled = Gaps(3, 1, 0, 1) + Gaps(1, 2, 1, 4)
    assert pooled == Gaps(4, 3, 1, 5)
    assert (share_closed(pooled), share_false(pooled)) == (0.75, 0.25)
    assert math.isnan(share_closed(Gaps(0, 0, 1)))
    assert math.isnan(share_false(Gaps(4, 0, 0)))


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(InputError, match="tolerance_px is -1"):
        count(window(), window(), window(), tolerance_px=-1)
    with pytest.raises(InputError, match="refined has dtype uint8"):
        count(window(), window().astype(np.uint8), window())
    with pytest.raises(InputError, match="shapes differ: network"):
        count(window()[1:], window(), window())
