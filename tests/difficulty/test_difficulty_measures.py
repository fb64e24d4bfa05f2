from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellproof.checks import InputError
from cellproof.difficulty import measure
from cellproof.difficulty.confidence import difficult_pixels, mean_confidence
from cellproof.difficulty.measures import difficulty_maps

# Three classes on 2 × 3 pixels; f = 0.9 0.5 0.6 / 0.4 1.0 0.8, so that α = 4.2 / 6 = 0.7.
PAPER = np.array(
    [
        [[0.90, 0.50, 0.20], [0.40, 0.00, 0.10]],
        [[0.05, 0.30, 0.60], [0.30, 1.00, 0.80]],
        [[0.05, 0.20, 0.20], [0.30, 0.00, 0.10]],
    ]
)
HARD = [[False, True, True], [True, False, False]]


def test_the_papers_map_of_an_array_worked_out_by_hand():
    maps = difficulty_maps(PAPER)
    assert maps.alpha == pytest.approx(0.7)
    assert maps.difficult.tolist() == HARD
    # (1 - f) · 3 / 2.
    np.testing.assert_allclose(maps.confidence, [[0.15, 0.75, 0.6], [0.9, 0, 0.3]])
    np.testing.assert_allclose(maps.margin, [[0.15, 0.8, 0.6], [0.9, 0, 0.3]])
    # The second pixel: -(0.5 ln 0.5 + 0.3 ln 0.3 + 0.2 ln 0.2) / ln 3 = 1.029653 / 1.098612.
    assert maps.entropy[0, 1] == pytest.approx(0.937231, abs=1e-6)


def test_pixels_outside_the_picture_are_never_difficult_and_have_no_say_in_the_mean():
    within = np.array([[True, True, True], [False, True, False]])
    # α = (0.9 + 0.5 + 0.6 + 1.0) / 4 = 0.75.
    maps = difficulty_maps(PAPER, within=within)
    assert maps.alpha == pytest.approx(0.75)
    assert maps.difficult.tolist() == [[False, True, True], [False, False, False]]


def test_a_picture_without_any_annotated_pixel_has_no_mean_and_no_difficult_pixel():
    nowhere = np.zeros((2, 3), bool)
    assert np.isnan(mean_confidence(PAPER.max(axis=0), within=nowhere))
    assert not difficult_pixels(PAPER.max(axis=0), within=nowhere).any()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), padding=st.integers(1, 5))
def test_padding_left_out_of_the_mean_changes_no_pixel(seed, padding):
    sure = np.random.default_rng(seed).uniform(0.4, 1, (7, 6))
    padded = np.pad(sure, padding, constant_values=1.0)
    inside = np.pad(np.ones(sure.shape, bool), padding)
    found = difficult_pixels(padded, within=inside)
    np.testing.assert_array_equal(found[padding:-padding, padding:-padding], difficult_pixels(sure))
    assert found.sum() == difficult_pixels(sure).sum()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_written_difficulty_holds_the_same_difficult_pixels_as_the_confidence(seed):
    maps = difficulty_maps(np.random.default_rng(seed).dirichlet([0.5] * 3, (6, 7)).transpose(2, 0, 1))
    np.testing.assert_array_equal(difficult_pixels(1 - maps.confidence), maps.difficult)


def test_measures_are_named_as_far_as_they_are_there():
    views = np.full((2, 3), 0.25)
    assert [name for name, _ in difficulty_maps(PAPER).named()] == ["confidence", "entropy", "margin"]
    named = difficulty_maps(PAPER, tta=views, ensemble=views / 2).named()
    assert [name for name, _ in named] == ["confidence", "entropy", "margin", "tta", "ensemble"]
    assert (named[3][1] == 0.25).all()
    assert (named[4][1] == 0.125).all()


def test_maps_and_masks_of_another_shape_are_refused():
    with pytest.raises(InputError, match=r"shapes differ: probabilities of a class \(2, 3\), ensemble \(3, 3\)"):
        difficulty_maps(PAPER, ensemble=np.zeros((3, 3)))
    with pytest.raises(InputError, match="shapes differ: confidence"):
        difficulty_maps(PAPER, within=np.ones((3, 3), bool))


@pytest.mark.parametrize(("values", "is_right"), [((0.0, 1.0), True), ((0.0, 1.5), False), ((-0.1, 1.0), False)])
def test_a_measure_of_ones_own_must_stay_between_0_and_1(monkeypatch, values, is_right):
    module = SimpleNamespace(measure=lambda probabilities: np.array([values]))
    monkeypatch.setattr("cellproof.difficulty.find_part", lambda *args, **kwargs: module)
    probabilities = np.full((2, 1, 2), 0.5)
    if is_right:
        assert measure("own", probabilities).tolist() == [list(values)]
    else:
        with pytest.raises(InputError, match=r"difficulty/own\.py gave values of shape \(1, 2\) or beyond \[0, 1\]"):
            measure("own", probabilities)
