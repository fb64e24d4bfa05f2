"""`cellproof.augment._smooth`: laws of the spline, and scipy's as oracle."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import BSpline

from cellproof.augment._smooth import SPREAD_KEPT, spline_field


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (32, 17)])
def test_equal_control_points_give_a_constant_field(shape):
    np.testing.assert_allclose(spline_field(np.full((2, 5, 4), 3.5), shape), np.full((2, *shape), 3.5), rtol=1e-6)


def test_control_points_on_a_slope_give_that_slope():
    points = np.arange(7.0)[:, None] + np.zeros(4)
    np.testing.assert_allclose(spline_field(points, (41, 3))[:, 1], np.linspace(1, 5, 41), atol=1e-6)


def test_the_field_equals_scipys_uniform_b_spline():
    points = np.random.default_rng(0).normal(size=(6, 4))
    knots = np.arange(-3, 7)
    wanted = BSpline(knots, points[:, 0], 3)(np.linspace(0, 3, 50))
    alike = np.repeat(points[:, :1], 4, axis=1)
    np.testing.assert_allclose(spline_field(alike, (50, 2))[:, 0], wanted, atol=1e-6)


def test_white_control_points_keep_the_stated_share_of_their_spread():
    points = np.random.default_rng(0).normal(size=(300, 9, 9))
    assert spline_field(points, (60, 60)).std() == pytest.approx(SPREAD_KEPT, rel=0.03)
