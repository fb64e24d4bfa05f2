from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import floats, integers
from scipy import ndimage

from cellproof.simulate._cells import Edges, draw_edges, enclosed, relaxed_centers, touching, trace
from cellproof.simulate._membranes import Pattern, draw_sheet
from cellproof.simulate._nuclei_in_cells import place_nuclei

SHAPE = (90, 90)


def _edge(angle, *, length=50.0, thickness_px=3.0, bow_px=0.0):
    half = length / 2 * np.array([math.cos(angle), math.sin(angle)])
    middle = np.array([44.6, 45.3])
    return Edges((middle - half)[None], (middle + half)[None], np.array([bow_px]), np.array([thickness_px]))


def _area(**options):
    return trace(_edge(**options), 0, SHAPE).mask.sum()


@settings(max_examples=40, deadline=None)
@given(angle=floats(0, math.pi), thickness_px=floats(2, 6), bow_px=floats(-4, 4))
def test_an_edge_is_as_thick_as_drawn_whatever_its_direction_and_bow(angle, thickness_px, bow_px):
    # Two lengths have the same ends, so that their difference is a piece of band alone.
    length_px = {reach: reach * (1 + 8 / 3 * (bow_px / reach) ** 2) for reach in (30.0, 60.0)}
    options = {"angle": angle, "thickness_px": thickness_px}
    short = _area(length=30.0, bow_px=bow_px, **options)
    long = _area(length=60.0, bow_px=bow_px, **options)
    measured = (long - short) / (length_px[60.0] - length_px[30.0])
    assert measured == pytest.approx(thickness_px, abs=0.65)


def test_the_mean_thickness_over_directions_is_exact():
    angles = np.linspace(0, math.pi, 60, endpoint=False)
    for thickness_px in (2.0, 3.3, 5.0):
        gained = [
            _area(angle=a, thickness_px=thickness_px, length=60.0)
            - _area(angle=a, thickness_px=thickness_px, length=30.0)
            for a in angles
        ]
        assert np.mean(gained) / 30 == pytest.approx(thickness_px, rel=0.02)


@settings(max_examples=40, deadline=None)
@given(angle=floats(0, math.pi), thickness_px=floats(2, 6), bow_px=floats(-8, 8))
def test_no_four_connected_path_leads_through_an_edge(angle, thickness_px, bow_px):
    edge = _edge(angle, length=150.0, thickness_px=thickness_px, bow_px=bow_px)
    band = trace(edge, 0, SHAPE)
    open_ = np.ones(SHAPE, bool)
    open_[band.window] = ~band.mask
    assert ndimage.label(open_)[1] == 2


def test_places_along_an_edge_run_from_its_start_to_its_end():
    band = trace(_edge(0.0, length=40.0), 0, SHAPE)
    along = np.zeros(SHAPE)
    along[band.window][band.mask] = band.along_px
    np.testing.assert_allclose(along[30:60, 45], np.arange(30, 60) - 24.6, atol=1e-4)
    assert along.max() == 40


def test_edges_that_show_are_those_that_are_touching():
    rng = np.random.default_rng(0)
    edges = draw_edges(rng, relaxed_centers(rng, SHAPE, diameter_px=20, rounds=1), thickness_px=(2, 5), bow=0.1)
    shown = {index for index in range(len(edges)) if trace(edges, index, SHAPE).mask.any()}
    assert shown <= set(touching(edges, SHAPE).tolist())
    assert len(shown) < len(edges) / 2


def test_relaxation_makes_cells_alike_and_keeps_their_mean_size():
    def areas(rounds):
        centers = relaxed_centers(np.random.default_rng(1), (300, 300), diameter_px=30, rounds=rounds)
        rows, columns = np.indices((300, 300))[:, ::2, ::2]
        distance = (rows[..., None] - centers[:, 0]) ** 2 + (columns[..., None] - centers[:, 1]) ** 2
        count = 4 * np.bincount(distance.argmin(axis=-1).ravel(), minlength=len(centers))
        inside = ((centers > 25) & (centers < 275)).all(axis=1)
        return count[inside]

    raw, relaxed = areas(0), areas(4)
    assert relaxed.std() / relaxed.mean() < 0.5 * raw.std() / raw.mean()
    assert relaxed.mean() == pytest.approx(math.pi / 4 * 30**2, rel=0.1)


def test_a_corner_too_small_for_a_cell_becomes_membrane():
    thickness = np.zeros((20, 20), np.float32)
    np.fill_diagonal(thickness[:, 17:], 3)
    thickness[10] = 2
    thickness[0, 16] = thickness[1, 17] = 3
    before = thickness.copy()
    cells = enclosed(thickness)
    assert cells.max() == 2
    corner = (before == 0) & (thickness > 0)
    assert 0 < corner.sum() < 12
    assert (thickness[corner] == 3).all()
    assert ((cells == 0) == (thickness > 0)).all()


@settings(max_examples=10, deadline=None)
@given(seed=integers(0, 2**32))
def test_membranes_of_a_sheet_are_as_thick_as_its_edges(seed):
    pattern = Pattern(diameter_px=40, rounds=3, thickness_px=(2, 5), bow=0.03, spread=0.3, dim_share=0.3)
    sheet = draw_sheet(np.random.default_rng(seed), (200, 200), pattern)
    edges, offsets = sheet.edges, np.arange(-6, 6, 0.1)
    drawn, measured = [], []
    for index in touching(edges, (200, 200)):
        start, end = edges.start[index], edges.end[index]
        length = np.linalg.norm(end - start)
        across = (end - start)[::-1] * (-1, 1) / length if length else np.zeros(2)
        points = (start + end) / 2 + np.outer(offsets + edges.bow_px[index], across)
        if length < 18 or points.min() < 0 or points.max() > 198:
            continue
        rows, columns = np.rint(points).astype(int).T
        drawn.append(edges.thickness_px[index])
        measured.append(0.1 * sheet.membrane[rows, columns].sum())
        assert sheet.thickness_px[tuple(np.rint((start + end) / 2 + across * edges.bow_px[index]).astype(int))] == (
            pytest.approx(drawn[-1])
        )
    assert len(drawn) > 10
    assert np.mean(measured) == pytest.approx(np.mean(drawn), abs=0.4)
    assert np.corrcoef(measured, drawn)[0, 1] > 0.75


def test_nuclei_lie_whole_in_their_cell_with_a_clear_rim():
    cells = np.zeros((60, 100), np.int32)
    cells[2:58, 2:48], cells[2:58, 51:98] = 1, 2
    nuclei = place_nuclei(np.random.default_rng(0), cells, size=0.4, binucleate=1.0)
    assert nuclei.labels.max() == len(nuclei.patches) == 4
    grown = ndimage.grey_dilation(nuclei.labels, size=3)
    for nucleus in range(1, 5):
        assert len(np.unique(cells[grown == nucleus])) == 1
        assert (cells[grown == nucleus] > 0).all()


def test_a_cell_too_small_for_a_nucleus_has_none():
    cells = np.zeros((20, 20), np.int32)
    cells[5:10, 5:10] = 1
    assert place_nuclei(np.random.default_rng(0), cells, size=0.4, binucleate=0.0).labels.max() == 0
