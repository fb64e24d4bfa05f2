from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from cellproof.simulate._shapes import Outline, arrange, draw_outline, rasterize


def _ellipse(row, column, *, radius_px=10.0, elongation=1.0, angle=0.0):
    return Outline(row, column, radius_px, elongation, angle, np.zeros(0), np.zeros(0))


def test_a_smooth_outline_fills_the_pixels_of_its_ellipse():
    patch = rasterize(_ellipse(20, 30, radius_px=8, elongation=4, angle=math.pi / 2), (40, 60))
    mask = np.zeros((40, 60), bool)
    mask[patch.window] = patch.mask
    rows, columns = np.indices((40, 60))
    np.testing.assert_array_equal(mask, ((columns - 30) / 16) ** 2 + ((rows - 20) / 4) ** 2 < 1)


def test_an_outline_beyond_the_picture_has_an_empty_window():
    patch = rasterize(_ellipse(-100, 10), (20, 20))
    assert patch.level.size == 0


def test_a_drawn_outline_keeps_about_the_area_of_its_circle():
    outline = replace(
        draw_outline(np.random.default_rng(0), radius_px=20, elongation=1.5, roughness=0.05), row=60, column=60
    )
    assert rasterize(outline, (120, 120)).mask.sum() == pytest.approx(math.pi * 400, rel=0.05)


def test_a_pixel_of_two_outlines_goes_to_the_one_in_which_it_lies_deeper():
    outlines = [_ellipse(0, 0, radius_px=12) for _ in range(2)]
    places = arrange(np.random.default_rng(4), outlines, shape=(80, 80), clumping=1.0)
    assert places.labels.max() == 2
    levels = np.full((2, 80, 80), np.inf)
    for level, patch in zip(levels, places.patches, strict=True):
        level[patch.window] = patch.level
    both = (levels < 1).all(axis=0)
    assert both.any()
    np.testing.assert_array_equal(places.labels[both], 1 + (levels[1] < levels[0])[both])


def test_centers_lie_only_where_allowed_and_angles_count_from_the_direction_there():
    allowed = np.zeros((100, 100), bool)
    allowed[:, 60:] = True
    outlines = [_ellipse(0, 0, radius_px=6, elongation=4) for _ in range(6)]
    directions = np.full((100, 100), math.pi / 2)
    places = arrange(
        np.random.default_rng(0), outlines, shape=(100, 100), clumping=0, allowed=allowed, directions=directions
    )
    for index in range(1, places.labels.max() + 1):
        rows, columns = np.nonzero(places.labels == index)
        assert columns.mean() > 55
        assert np.ptp(columns) > np.ptp(rows) or columns.max() == 99
