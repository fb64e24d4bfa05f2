from __future__ import annotations

from dataclasses import replace
from itertools import compress, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage
from scipy.spatial import KDTree
from skimage.morphology import skeletonize

from cellproof.checks import InputError
from cellproof.refine.reconnect import close_gaps, find_gaps, reconnect
from cellproof.types import IGNORE

EDGES_AND_CORNERS = np.ones((3, 3), bool)
CLASSES = {"connected": 1, "rest": 0}


def pieces(mask, structure=None):
    return ndimage.label(mask, structure)[1]


def wall_with_a_gap(width_px=3):
    """A membrane across the image with 10 columns missing, and what the network thought of it."""
    class_map = np.zeros((40, 60), np.uint8)
    top = 20 - width_px // 2
    class_map[top : top + width_px] = 1
    evidence = np.where(class_map == 1, 0.9, 0.05)
    class_map[:, 25:35] = 0
    evidence[top : top + width_px, 25:35] = 0.15
    evidence[20, 25:35] = 0.3
    return class_map, evidence


def honeycomb(seed, size=220, spacing=34, width_px=3.0):
    """Relaxed cells; stretches of some membranes are dim (gaps), and faint lines cross some cells (decoys).

    Gives evidence, class map, dim stretches and faint lines.
    """
    rng = np.random.default_rng(seed)
    grid = np.arange(-spacing, size + spacing, spacing)
    points = np.stack(np.meshgrid(grid, grid, indexing="ij"), -1).reshape(-1, 2) + rng.normal(0, 6, (grid.size**2, 2))
    pixels = np.stack(np.mgrid[:size, :size], -1).reshape(-1, 2)
    distance, nearest = KDTree(points).query(pixels, k=2)
    between = np.linalg.norm(points[nearest[:, 0]] - points[nearest[:, 1]], axis=1)
    to_edge = ((distance[:, 1] ** 2 - distance[:, 0] ** 2) / (2 * between)).reshape(size, size)
    low, high = np.sort(nearest, axis=1).T
    edge, cell = (low * len(points) + high).reshape(size, size), nearest[:, 0].reshape(size, size)
    lines = to_edge < width_px / 2
    bright = lines.astype(float)
    stretches, decoys = [], []
    for number in rng.permutation(np.unique(edge[lines])):
        rows, columns = np.nonzero((edge == number) & lines)
        inside = min(rows.min(), columns.min(), size - 1 - rows.max(), size - 1 - columns.max()) > 8
        if rows.size < 45 or not inside or len(stretches) == 10:
            continue
        middle = np.hypot(rows - rows.mean(), columns - columns.mean()) < rng.uniform(3, 7)
        here = np.zeros_like(lines)
        here[rows[middle], columns[middle]] = True
        bright[here] = rng.uniform(0.15, 0.4)
        stretches.append(here)
    for number in rng.permutation(np.unique(cell))[:10]:
        here = (cell == number) & ~lines & (np.abs(np.arange(size)[:, None] - points[number, 0]) < 1.5)
        bright[here] = 0.1
        decoys.append(here)
    blurred = ndimage.gaussian_filter(bright, 1) / ndimage.gaussian_filter(lines.astype(float), 1).max()
    noise = ndimage.gaussian_filter(rng.normal(size=bright.shape), 1.2)
    evidence = np.clip(0.04 + 0.96 * blurred + 0.06 * noise / noise.std() * (0.5 + blurred), 0, 1)
    return evidence, (evidence > 0.5).astype(np.uint8), stretches, [here for here in decoys if here.any()]


def is_bridged(class_map, stretch):
    return (class_map[stretch] == 1).mean() > 0.6


def test_a_gap_with_evidence_is_closed_at_the_width_of_the_membrane():
    class_map, evidence = wall_with_a_gap()
    found = reconnect(class_map, evidence, **CLASSES)
    membrane = found.class_map == 1
    assert pieces(membrane, EDGES_AND_CORNERS) == 1
    assert pieces(~membrane) == 2
    assert membrane.sum(axis=0).tolist() == [3] * 60
    (gap,) = found.gaps
    assert found.accepted.tolist() == [True]
    np.testing.assert_array_equal(gap.pixels, [(20, column) for column in range(25, 35)])


@pytest.mark.parametrize(("dim", "closed"), [(0.05, False), (0.07, False), (0.3, True)])
def test_a_gap_is_closed_only_where_something_speaks_for_it_itself(dim, closed):
    class_map, evidence = wall_with_a_gap()
    evidence[19:22, 25:35] = 0.05
    evidence[20, 25:35] = dim
    assert bool(reconnect(class_map, evidence, **CLASSES).accepted.any()) is closed


def test_the_evidence_is_the_contrast_of_the_whole_boundary_which_its_missing_part_limits():
    class_map = np.zeros((60, 300), np.uint8)
    class_map[26:35] = 1
    class_map[:, 100:200] = 0
    for dim in (0.14, 0.3):
        evidence = np.where(class_map == 1, 0.9, 0.05)
        evidence[26:35, 100:200] = dim
        (gap,) = find_gaps(class_map, evidence, connected=1, longest_px=100)
        # Half of the dim band, the line aside, lies in either region.
        inside = 0.05 + (dim - 0.05) * (4 * 100) / (300 * 25.5 + 4 * 100)
        whole = (200 * 0.9 + 100 * dim) / 300 - inside
        assert gap.evidence == pytest.approx(min(whole, 4 * (dim - inside)), abs=0.035)


def test_one_search_serves_all_thresholds_and_widths():
    class_map, evidence = wall_with_a_gap()
    gaps = find_gaps(class_map, evidence, connected=1)
    level = gaps[0].evidence
    for threshold, width_px, added in ((level + 0.01, None, 0), (level, None, 30), (level, 1, 10), (level, 5, 50)):
        closed = close_gaps(class_map, gaps, threshold=threshold, width_px=width_px, spur_px=0, **CLASSES).class_map
        assert (closed == 1)[:, 25:35].sum() == added


def test_a_gap_longer_than_allowed_is_no_candidate():
    class_map, evidence = wall_with_a_gap()
    assert find_gaps(class_map, evidence, connected=1, longest_px=9) == ()


def test_the_path_follows_the_evidence_and_not_the_straight_line():
    class_map, evidence = wall_with_a_gap(1)
    evidence[20, 27:33] = 0.0
    detour = [(19, 26), (18, 27), (17, 28), (17, 29), (17, 30), (17, 31), (18, 32), (19, 33)]
    evidence[tuple(np.transpose(detour))] = 0.8
    (gap,) = find_gaps(class_map, evidence, connected=1)
    assert set(detour) <= set(map(tuple, gap.pixels.tolist()))


def test_an_end_is_joined_to_the_middle_of_another_membrane():
    class_map = np.zeros((50, 60), np.uint8)
    class_map[9:12] = 1
    class_map[20:, 29:32] = 1
    evidence = np.where(class_map == 1, 0.9, 0.05)
    evidence[12:20, 29:32] = 0.4
    found = reconnect(class_map, evidence, **CLASSES)
    assert found.accepted.tolist() == [True]
    assert pieces(found.class_map == 0) == 3


def test_a_cell_of_one_membrane_is_closed():
    rows, columns = np.mgrid[:60, :60]
    ring = np.abs(np.hypot(rows - 30, columns - 30) - 18) < 1.5
    opening = ring & (columns > 30) & (np.abs(rows - 30) < 4)
    class_map = (ring & ~opening).astype(np.uint8)
    evidence = np.where(ring, 0.9, 0.05)
    evidence[opening] = 0.35
    found = reconnect(class_map, evidence, **CLASSES)
    assert pieces(class_map == 0) == 1
    assert pieces(found.class_map == 0) == 2


def test_a_short_dead_end_is_taken_away_and_nothing_else():
    class_map = np.zeros((40, 60), np.uint8)
    class_map[19:22] = 1
    clean = class_map.copy()
    class_map[14:19, 30] = 1
    found = reconnect(class_map, np.where(class_map == 1, 0.9, 0.05), spur_px=8, **CLASSES)
    # The membrane keeps at most the foot of the dead end.
    assert (found.class_map != clean).sum() <= 1
    assert (found.class_map >= clean).all()


def test_a_long_dangling_membrane_is_kept():
    class_map = np.zeros((40, 60), np.uint8)
    class_map[29:32] = 1
    class_map[10:29, 30:32] = 1
    found = reconnect(class_map, np.where(class_map == 1, 0.9, 0.02), spur_px=8, **CLASSES)
    np.testing.assert_array_equal(found.class_map, class_map)


def test_a_stub_whose_gap_stays_open_is_taken_away():
    class_map = np.zeros((40, 60), np.uint8)
    class_map[9:12] = 1
    class_map[34:37] = 1
    class_map[29:34, 29:32] = 1
    evidence = np.where(class_map == 1, 0.9, 0.02)
    found = reconnect(class_map, evidence, spur_px=8, **CLASSES)
    assert not found.accepted.any()
    assert (found.class_map[:32] == 1).sum() == 3 * 60
    assert (found.class_map[34:37] == 1).all()


def test_pixels_without_annotation_stay_and_no_path_leads_through_them():
    class_map, evidence = wall_with_a_gap()
    class_map[5, 5] = class_map[23, 30] = IGNORE
    found = reconnect(class_map, evidence, width_px=9, **CLASSES)
    np.testing.assert_array_equal(found.class_map == IGNORE, class_map == IGNORE)
    assert found.accepted.tolist() == [True]
    class_map[:, 30] = IGNORE
    repaired = reconnect(class_map, evidence, **CLASSES).class_map
    np.testing.assert_array_equal(repaired == IGNORE, class_map == IGNORE)
    assert (repaired[20] != 0).all()


def test_a_membrane_that_ends_at_unknown_pixels_or_at_the_border_does_not_end():
    class_map = np.zeros((60, 60), np.uint8)
    class_map[:, 20:23] = 1
    class_map[40:43, :] = 1
    class_map[41:44, 30:] = 1
    class_map[:, 50:] = IGNORE
    assert find_gaps(class_map, np.full(class_map.shape, 0.5), connected=1) == ()
    np.testing.assert_array_equal(reconnect(class_map, np.full(class_map.shape, 0.5), **CLASSES).class_map, class_map)


@pytest.mark.parametrize("fill", [0, 1, 2, IGNORE])
def test_a_map_of_one_class_comes_back_unchanged(fill):
    class_map = np.full((20, 20), fill, np.uint8)
    found = reconnect(class_map, np.full((20, 20), 0.5, np.float32), **CLASSES)
    np.testing.assert_array_equal(found.class_map, class_map)
    assert found.gaps == ()


def test_a_closed_network_comes_back_unchanged():
    class_map = np.zeros((61, 61), np.uint8)
    class_map[::20] = class_map[:, ::20] = 1
    class_map = ndimage.binary_dilation(class_map).astype(np.uint8)
    found = reconnect(class_map, np.where(class_map == 1, 0.9, 0.05), threshold=0.0, **CLASSES)
    np.testing.assert_array_equal(found.class_map, class_map)
    assert found.gaps == ()


def test_no_region_below_the_smallest_is_closed_off():
    class_map = np.zeros((60, 60), np.uint8)
    class_map[29:32] = 1
    rows, columns = np.mgrid[:60, :60]
    pocket = (np.abs(np.hypot(rows - 28, columns - 30) - 7) < 1.5) & (rows < 29)
    evidence = np.where(pocket, 0.4, np.where(class_map == 1, 0.9, 0.05))
    enclosed = 65
    for smallest_px, pieces_of_rest in ((enclosed / 2, 3), (2 * enclosed, 2)):
        repaired = reconnect(class_map, evidence, smallest_px=smallest_px, **CLASSES).class_map
        assert pieces(repaired == 0) == pieces_of_rest


@pytest.mark.parametrize("turn", [np.transpose, np.flipud, np.fliplr, np.rot90])
def test_a_turned_picture_gives_the_turned_result(turn):
    class_map, evidence = wall_with_a_gap()
    turned = reconnect(turn(class_map), turn(evidence), **CLASSES).class_map
    np.testing.assert_array_equal(turned, turn(reconnect(class_map, evidence, **CLASSES).class_map))


def test_most_gaps_of_a_honeycomb_are_closed_few_falsely_and_the_width_stays():
    dim, closed, missing, falsely, widths = 0, 0, 0, 0, []
    for seed in range(3):
        evidence, class_map, gaps, decoys = honeycomb(seed)
        repaired = reconnect(class_map, evidence, **CLASSES).class_map
        open_gaps = [here for here in gaps if not is_bridged(class_map, here)]
        dim, closed = dim + len(open_gaps), closed + sum(is_bridged(repaired, here) for here in open_gaps)
        missing, falsely = missing + len(decoys), falsely + sum(is_bridged(repaired, here) for here in decoys)
        widths.append([mask.sum() / skeletonize(mask).sum() for mask in (class_map == 1, repaired == 1)])
    assert dim >= 20
    assert closed / dim >= 0.9
    assert falsely / missing <= 0.05
    for before, after in widths:
        assert after == pytest.approx(before, rel=0.05)


def test_reconnecting_adds_only_paths_and_takes_only_dead_ends():
    evidence, class_map, _, _ = honeycomb(5)
    found = reconnect(class_map, evidence, threshold=0.12, width_px=1, spur_px=0, **CLASSES)
    drawn = np.zeros(class_map.shape, bool)
    for gap, is_accepted in zip(found.gaps, found.accepted, strict=True):
        drawn[tuple(gap.pixels.T)] |= is_accepted
    np.testing.assert_array_equal(found.class_map == 1, (class_map == 1) | drawn)


@pytest.mark.parametrize("threshold", [0.05, 0.2, 0.4, 0.6])
def test_whatever_stands_at_a_threshold_encloses_regions(threshold):
    evidence, class_map, _, _ = honeycomb(6)
    found = reconnect(class_map, evidence, threshold=threshold, width_px=1, spur_px=0, longest_px=100, **CLASSES)
    regions, _ = ndimage.label(found.class_map == 0)
    for gap in compress(found.gaps, found.accepted):
        sides = {
            int(number)
            for row, column in gap.pixels.tolist()
            for number in np.unique(regions[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2])
        } - {0}
        assert len(sides) >= 2


def test_a_higher_threshold_closes_a_part_of_what_a_lower_one_does():
    evidence, class_map, _, _ = honeycomb(7)
    gaps = find_gaps(class_map, evidence, connected=1)
    closed = [close_gaps(class_map, gaps, threshold=t, spur_px=0, **CLASSES).class_map for t in (0.05, 0.2, 0.4, 0.6)]
    assert all((high <= low).all() for low, high in pairwise(closed))
    assert (closed[0] > closed[-1]).any()


@settings(max_examples=40, deadline=None)
@given(data=st.data(), shape=st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_whatever_comes_only_membrane_is_added_or_taken(data, shape):
    class_map = data.draw(arrays.arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 1, 2, IGNORE])))
    evidence = data.draw(arrays.arrays(np.float32, shape, elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])))
    repaired = reconnect(class_map, evidence, threshold=0.05, smallest_px=1, **CLASSES).class_map
    changed = repaired != class_map
    assert ((repaired[changed] == 1) | ((class_map[changed] == 1) & (repaired[changed] == 0))).all()
    np.testing.assert_array_equal(repaired == IGNORE, class_map == IGNORE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"evidence": np.zeros((3, 3))}, r"shapes differ: class_map \(4, 4\), evidence \(3, 3\)"),
        ({"evidence": np.full((4, 4), 1.5)}, "evidence reaches from 1.5 to 1.5"),
        ({"evidence": np.full((4, 4), np.nan)}, "evidence contains 16 NaN"),
        ({"class_map": np.zeros((4, 4))}, "expected whole numbers"),
        ({"connected": IGNORE}, "connected 255"),
        ({"rest": 1}, "expected different numbers"),
        ({"longest_px": 0}, "longest_px is 0"),
        ({"smallest_px": -1}, "smallest_px is -1"),
        ({"width_px": 0.5}, "width_px is 0.5, expected at least 1"),
    ],
)
def test_wrong_input_is_refused_in_one_line(change, message):
    given_ = {"class_map": np.zeros((4, 4), np.uint8), "evidence": np.zeros((4, 4)), **CLASSES} | change
    with pytest.raises(InputError, match=message):
        reconnect(given_.pop("class_map"), given_.pop("evidence"), **given_)


def test_what_was_decided_can_be_decided_anew():
    class_map, evidence = wall_with_a_gap()
    (gap,) = find_gaps(class_map, evidence, connected=1)
    surer = replace(gap, evidence=0.9)
    assert close_gaps(class_map, [gap, surer], threshold=0.8, **CLASSES).accepted.tolist() == [False, True]
