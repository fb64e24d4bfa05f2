"""Walls, harmed cells and added centerline: drawn membranes, and the law that flooding loses to doing nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, label

from cellproof.checks import InputError
from cellproof.metrics.objects import overlap
from cellproof.metrics.partition import adapted_rand_error, count_partition
from cellproof.metrics.topology import cells
from cellproof.metrics.walls import (
    AddedLines,
    Walls,
    added_precision,
    count_added_lines,
    count_walls,
    fraction_closed,
    fraction_harmed,
    missing_recovered,
    walls_gained,
)
from cellproof.simulate.liver import simulate_liver


def window() -> np.ndarray:
    """Four cells of 19 x 19 pixels, and the surroundings, a fifth."""
    mask = np.zeros((60, 60), bool)
    for middle in (10, 30, 50):
        mask[middle, 10:51] = mask[10:51, middle] = True
    return mask


def opened(mask: np.ndarray, *windows: tuple[slice, slice]) -> np.ndarray:
    changed = mask.copy()
    for part in windows:
        changed[part] = False
    return changed


UPPER = (slice(18, 22), slice(30, 31))
"""A hole in the wall between the two upper cells."""
LOWER = (slice(38, 42), slice(30, 31))


def test_four_cells_of_a_window_have_four_walls_inside_and_four_to_the_surroundings():
    # Cells that meet in a corner only have none.
    assert count_walls(window(), window(), window()) == Walls(8, 0, 0, 0, 5, 0)


def test_an_open_wall_is_closed_where_the_repair_closes_it_and_not_by_shortening_it():
    network = opened(window(), UPPER, LOWER)
    closed = opened(window(), LOWER)
    assert count_walls(network, network, window()) == Walls(8, 2, 0, 0, 5, 0)
    assert count_walls(network, closed, window()) == Walls(8, 2, 1, 0, 5, 0)
    shorter = network.copy()
    shorter[18:21, 30] = True
    assert count_walls(network, shorter, window()).closed == 0


def test_a_wall_that_is_opened_counts_against_the_repair():
    network = opened(window(), UPPER)
    found = count_walls(network, opened(window(), LOWER), window())
    assert found == Walls(8, 1, 1, 1, 5, 0)
    assert walls_gained(found) == 0


def test_a_cell_that_is_filled_is_harmed_and_closes_none_of_its_walls():
    network = opened(window(), UPPER)
    filled = network.copy()
    filled[10:31, 10:31] = True
    found = count_walls(network, filled, window())
    # Three walls of the filled cell: one was open and stays so, one to another cell and one to the surroundings open.
    assert found == Walls(8, 1, 0, 2, 5, 1)
    assert walls_gained(found) == -3


@pytest.mark.parametrize(("rows", "harmed"), [(9, 0), (10, 1)])
def test_a_cell_is_harmed_when_no_more_than_half_of_it_is_left(rows: int, harmed: int):
    eaten = window()
    eaten[11 : 11 + rows, 11:30] = True
    assert count_walls(window(), eaten, window()).harmed == harmed


def test_a_cell_cut_into_small_pieces_is_harmed_and_one_that_the_network_lacked_is_not():
    cut = window()
    cut[11:30, 20] = cut[20, 11:30] = True
    assert count_walls(window(), cut, window()).harmed == 1
    assert count_walls(cut, cut, window()).harmed == 0
    assert count_walls(cut, window(), window()) == Walls(8, 3, 3, 0, 5, 0)


def test_pixels_without_annotation_have_no_wall_and_no_cell():
    ignored = np.zeros((60, 60), bool)
    ignored[:, 25:] = True
    everything = window() | ignored
    found = count_walls(window(), everything, window(), ignored=ignored)
    # Two cells and the surroundings; the two have a wall between them and one each to the surroundings.
    assert found == Walls(3, 0, 0, 0, 3, 0)


def test_without_cells_there_are_no_walls_and_fractions_are_undefined():
    full = np.ones((9, 9), bool)
    found = count_walls(full, full, full)
    assert found == Walls(0, 0, 0, 0, 0, 0)
    assert math.isnan(fraction_closed(found))
    assert math.isnan(fraction_harmed(found))


def test_fractions_are_those_of_pooled_counts():
    pooled = Walls(8, 3, 2, 1, 5, 1) + Walls(2, 1, 1, 0, 5, 2)
    assert pooled == Walls(10, 4, 3, 1, 10, 3)
    assert (fraction_closed(pooled), fraction_harmed(pooled), walls_gained(pooled)) == (0.75, 0.3, -1)
    lines = AddedLines(3, 1, 8, 2) + AddedLines(1, 1, 0, 0)
    assert (added_precision(lines), missing_recovered(lines)) == (0.5, 0.25)
    assert math.isnan(added_precision(AddedLines(0, 0, 1, 0)))
    assert math.isnan(missing_recovered(AddedLines(1, 0, 0, 0)))


def line(row: int = 20, columns: slice = slice(0, 60)) -> np.ndarray:
    mask = np.zeros((40, 60), bool)
    mask[row, columns] = True
    return mask


@pytest.mark.parametrize(("offset_px", "right"), [(0, 14), (2, 14), (3, 14), (4, 0), (8, 0)])
def test_added_centerline_is_right_within_the_tolerance_of_the_references(offset_px: int, right: int):
    network = line() & ~line(columns=slice(20, 40))
    added = network | line(20 + offset_px, slice(23, 37))
    found = count_added_lines(network, added, line(), tolerance_px=3)
    assert (found.added_px, found.added_right_px) == (14, right)
    # Of the 20 missing pixels, 14 lie more than 3 px from what is there.
    assert found.missing_px == 14
    assert found.recovered_px == (14 if right and offset_px < 3 else right)


def test_thickening_adds_no_centerline_and_doing_nothing_adds_none():
    network = line() & ~line(columns=slice(20, 40))
    thick = distance_transform_edt(~network) <= 2
    assert count_added_lines(network, thick, line(), tolerance_px=3).added_px == 0
    assert count_added_lines(network, network, line(), tolerance_px=3) == AddedLines(0, 0, 14, 0)


def test_centerline_near_pixels_without_annotation_is_not_looked_at():
    network = line() & ~line(columns=slice(20, 40))
    ignored = np.zeros((40, 60), bool)
    ignored[:, 28:32] = True
    # Columns 25…27 and 32…34 lie within 3 px of ignored ones.
    assert count_added_lines(network, line(), line(), tolerance_px=3, ignored=ignored) == AddedLines(10, 10, 4, 4)


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(InputError, match="tolerance_px is -1"):
        count_added_lines(window(), window(), window(), tolerance_px=-1)
    with pytest.raises(InputError, match="refined has dtype uint8"):
        count_walls(window(), window().astype(np.uint8), window())
    with pytest.raises(InputError, match="shapes differ: network"):
        count_walls(window()[1:], window(), window())


def leaky_liver(seed: int, *, lost: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A simulated liver's membrane, a network that lost a part of its dim stretches, and cells."""
    liver = simulate_liver(np.random.default_rng(seed), shape=(320, 320))
    reference = liver.class_map == 1
    stretches, count = label(liver.dim, np.ones((3, 3)))
    gone = np.random.default_rng(seed).permutation(count)[: round(lost * count)] + 1
    return reference, reference & ~np.isin(stretches, gone), liver.cells


def floods(network: np.ndarray, of_cells: np.ndarray) -> dict[str, np.ndarray]:
    """Repairs that close gaps and destroy cells."""
    numbers = np.random.default_rng(0).permutation(np.arange(1, of_cells.max() + 1))
    half = np.isin(of_cells, numbers[: len(numbers) // 2])
    return {
        "everything is membrane": np.ones_like(network),
        "half of the cells are filled": network | half,
        "dilated by 8 px": distance_transform_edt(~network) <= 8,
    }


def rand_error(mask: np.ndarray, reference: np.ndarray) -> float:
    return adapted_rand_error(count_partition(overlap(cells(mask), cells(reference))))


@pytest.mark.parametrize("seed", [0, 1])
def test_flooding_loses_to_doing_nothing(seed: int):
    reference, network, of_cells = leaky_liver(seed, lost=0.35)
    assert walls_gained(count_walls(network, network, reference)) == 0
    assert count_walls(network, network, reference).open_walls >= 10
    for name, flood in floods(network, of_cells).items():
        assert walls_gained(count_walls(network, flood, reference)) < -40, name
        assert rand_error(flood, reference) > rand_error(network, reference) + 0.05, name
    repaired = count_walls(network, reference, reference)
    assert walls_gained(repaired) == repaired.open_walls
    assert rand_error(reference, reference) == 0


def test_flooding_loses_walls_even_where_it_wins_rand_error():
    # A network that merges nearly all cells: who fills half of them is right about more pairs of the others' pixels.
    # So the adapted Rand error never stands alone.
    reference, network, of_cells = leaky_liver(0, lost=1)
    filled = floods(network, of_cells)["half of the cells are filled"]
    assert rand_error(filled, reference) < rand_error(network, reference) - 0.2
    assert walls_gained(count_walls(network, filled, reference)) < -40
