"""Topology of membranes: drawn rings, Euler's number as oracle, laws of cells and center lines, degenerate cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from skimage.measure import euler_number

from cellproof.checks import InputError
from cellproof.metrics import _masks
from cellproof.metrics.topology import (
    Betti,
    Centerlines,
    betti_errors,
    betti_numbers,
    cells,
    cl_dice,
    count_centerlines,
    topology_precision,
    topology_sensitivity,
)

seeds = st.integers(0, 2**32 - 1)
turns = st.sampled_from([lambda m: m[::-1], lambda m: m[:, ::-1], np.transpose, np.rot90])
NAN = float("nan")


def mask_of(*lines: str) -> np.ndarray:
    return np.array([[mark == "#" for mark in line] for line in lines])


def random_mask(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = gaussian_filter(rng.random(rng.integers(1, 30, 2)), rng.choice([0.0, 0.7, 1.5]))
    return noise > np.quantile(noise, rng.uniform(0.1, 0.9))


RINGS = {
    "a ring": (("......", ".####.", ".#..#.", ".####.", "......"), Betti(1, 1)),
    "a ring with a gap": (("......", ".####.", ".#....", ".####.", "......"), Betti(1, 0)),
    "a ring closed over a corner": (("......", "..###.", ".#..#.", ".####.", "......"), Betti(1, 1)),
    "a theta": ((".....", ".###.", ".#.#.", ".###.", ".#.#.", ".###.", "....."), Betti(1, 2)),
    "two rings": (("###.###", "#.#.#.#", "###.###"), Betti(2, 2)),
    "two rings that touch at a corner": (("###...", "#.#...", "###...", "...###", "...#.#", "...###"), Betti(1, 2)),
    "a ring along the image's edge": (("####", "#..#", "####"), Betti(1, 1)),
    "a ring cut by the image's edge": (("#..#", "#..#", "####"), Betti(1, 0)),
    "a ring in a ring": (("#####", "#...#", "#.#.#", "#...#", "#####"), Betti(2, 1)),
    "holes that touch at a corner are two": (("####", "#.##", "##.#", "####"), Betti(1, 2)),
    "no membrane": (("...", "..."), Betti(0, 0)),
    "all membrane": (("###", "###"), Betti(1, 0)),
}


@pytest.mark.parametrize("case", RINGS.values(), ids=RINGS.keys())
def test_drawn_rings_have_the_betti_numbers_that_one_sees(case) -> None:
    drawing, wanted = case
    assert betti_numbers(mask_of(*drawing)) == wanted


@given(seed=seeds)
@settings(max_examples=60, deadline=None)
def test_components_less_holes_are_scikit_images_euler_number(seed: int) -> None:
    mask = random_mask(seed)
    found = betti_numbers(mask)
    assert found.components - found.holes == euler_number(mask, connectivity=2)


@given(seed=seeds, turn=turns)
@settings(max_examples=30, deadline=None)
def test_turning_a_mask_changes_neither_betti_numbers_nor_the_number_of_cells(seed: int, turn) -> None:
    mask = random_mask(seed)
    assert betti_numbers(turn(mask)) == betti_numbers(mask)
    assert cells(turn(mask)).max() == cells(mask).max()


def test_betti_errors_are_absolute_and_add_up() -> None:
    ring, theta, nothing = (mask_of(*RINGS[name][0]) for name in ("a ring", "a theta", "no membrane"))
    assert betti_errors(ring, ring) == Betti(0, 0)
    assert betti_errors(np.zeros_like(theta), theta) == betti_errors(theta, np.zeros_like(theta)) == Betti(1, 2)
    assert betti_errors(nothing, nothing) + Betti(1, 2) == Betti(1, 2)


@given(seed=seeds)
@settings(max_examples=60, deadline=None)
def test_a_skeleton_has_the_components_and_holes_of_its_mask(seed: int) -> None:
    mask = random_mask(seed)
    line = _masks.skeleton(mask)
    assert not (line & ~mask).any()
    assert betti_numbers(line) == betti_numbers(mask)


@pytest.mark.parametrize("width", range(1, 8))
@pytest.mark.parametrize("turn", [np.asarray, np.fliplr])
def test_diagonal_lines_keep_their_skeletons(width: int, turn) -> None:
    rows, columns = np.mgrid[:40, :40]
    line = (rows - columns >= -2) & (rows - columns < width - 2)
    assert _masks.skeleton(turn(line)).sum() > 30


def test_cells_are_regions_of_four_neighbors_without_the_smallest() -> None:
    drawing = mask_of("..#..#.", "..#..##", "###..#.", "...#..#")
    found = cells(drawing, smallest_px=4)
    np.testing.assert_array_equal(found > 0, mask_of("##.##..", "##.##..", "...##..", "....##.") & (found > 0))
    assert sorted(np.bincount(found.ravel())[1:].tolist()) == [4, 8]
    assert cells(drawing, smallest_px=1).max() == 5
    assert found.dtype == np.int32


def test_cells_of_no_membrane_are_one_and_of_all_membrane_none() -> None:
    assert np.unique(cells(np.zeros((5, 5), bool))).tolist() == [1]
    assert np.unique(cells(np.ones((5, 5), bool))).tolist() == [0]


def test_pixels_without_annotation_separate_cells_like_membrane() -> None:
    ignored = mask_of("...#...", "...#...")
    assert cells(np.zeros((2, 7), bool), smallest_px=1, ignored=ignored).tolist() == [[1, 1, 1, 0, 2, 2, 2]] * 2


@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_a_mask_has_its_own_center_lines(seed: int) -> None:
    mask = random_mask(seed)
    mask[0, 0] = True
    assert cl_dice(count_centerlines(mask, mask)) == 1


@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_exchanging_the_masks_exchanges_precision_and_sensitivity(seed: int) -> None:
    first = random_mask(seed)
    second = np.roll(first, 1, axis=0)
    there, back = count_centerlines(first, second), count_centerlines(second, first)
    np.testing.assert_equal(topology_precision(there), topology_sensitivity(back))
    np.testing.assert_equal(cl_dice(there), cl_dice(back))


def test_a_missing_half_of_a_line_costs_sensitivity_only() -> None:
    line = np.zeros((9, 40), bool)
    line[4, :] = True
    half = line & (np.arange(40) < 20)
    counts = count_centerlines(half, line)
    assert counts == Centerlines(20, 20, 40, 20)
    assert (topology_precision(counts), topology_sensitivity(counts)) == (1, 0.5)
    assert cl_dice(counts) == pytest.approx(2 / 3)
    assert cl_dice(counts + count_centerlines(line, line)) == pytest.approx(2 * 0.75 / 1.75)


def test_thickening_a_membrane_costs_no_center_line() -> None:
    line = np.zeros((15, 40), bool)
    line[7] = True
    thick = line.copy()
    thick[5:10] = True
    assert cl_dice(count_centerlines(thick, line)) == 1


@pytest.mark.parametrize(
    ("prediction", "reference", "wanted"),
    [("....", "....", NAN), ("....", ".##.", 0), (".##.", "....", 0), ("#...", "...#", 0), ("####", "####", 1)],
)
def test_centerline_dice_of_degenerate_masks_is_as_documented(prediction: str, reference: str, wanted: float) -> None:
    found = count_centerlines(mask_of(*[prediction] * 3), mask_of(*[reference] * 3))
    np.testing.assert_equal(cl_dice(found), wanted)


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_what_is_predicted_in_pixels_without_annotation_changes_nothing(seed: int) -> None:
    reference = random_mask(seed)
    rng = np.random.default_rng(seed)
    prediction, elsewhere, ignored = (rng.random(reference.shape) < share for share in (0.4, 0.5, 0.2))
    other = np.where(ignored, elsewhere, prediction)
    for score in (betti_errors, count_centerlines):
        assert score(other, reference, ignored=ignored) == score(prediction, reference, ignored=ignored)
    np.testing.assert_array_equal(cells(other, ignored=ignored), cells(prediction, ignored=ignored))


@pytest.mark.parametrize(
    ("prediction", "reference", "message"),
    [
        (np.zeros((2, 3), bool), np.zeros((3, 2), bool), "shapes differ"),
        (np.zeros((2, 2), np.uint8), np.zeros((2, 2), bool), "prediction has dtype uint8, expected a boolean mask"),
        (np.zeros((1, 2, 2), bool), np.zeros((1, 2, 2), bool), "expected 2 axes"),
    ],
)
def test_arrays_that_are_no_masks_are_refused(prediction, reference, message: str) -> None:
    for score in (betti_errors, count_centerlines):
        with pytest.raises(InputError, match=message):
            score(prediction, reference)
