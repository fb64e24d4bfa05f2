"""Mean width: drawn bars and honeycombs of known width, pooling, degenerate cases."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cellproof.metrics.width import Extent, mean_width_px, measure_extent

ANGLES = (0, 7, 22.5, 45, 60, 90, 135)


def bar(width_px: float, angle: float, offset_px: float = 0.0, size: int = 480) -> np.ndarray:
    """A straight bar through the whole image."""
    rows, columns = np.mgrid[:size, :size] - size / 2 + 0.3
    radians = math.radians(angle)
    return np.abs(rows * math.cos(radians) - columns * math.sin(radians) + offset_px) <= width_px / 2


def drawn_width_px(mask: np.ndarray, angle: float) -> float:
    """Area over the length of the bar's middle line, which pixels of a slanted bar realize only roughly."""
    radians = math.radians(angle)
    return mask.sum() * max(abs(math.cos(radians)), abs(math.sin(radians))) / len(mask)


@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize("width_px", [1, 2, 3, 4, 5, 7, 9])
def test_bars_are_as_wide_as_drawn_within_five_percent(width_px: int, angle: float) -> None:
    mask = bar(width_px, angle)
    assert mean_width_px(measure_extent(mask)) == pytest.approx(drawn_width_px(mask, angle), rel=0.05)


@pytest.mark.parametrize("angle", [0, 22.5, 45])
def test_a_dilated_bar_is_wider_by_what_was_added(angle: float) -> None:
    widths = [mean_width_px(measure_extent(bar(width_px, angle))) for width_px in (3.0, 6.0)]
    assert widths[1] - widths[0] == pytest.approx(3, abs=0.4)


def test_extents_of_two_images_pool_to_the_width_weighted_by_length() -> None:
    thin, thick = measure_extent(bar(1, 0)), measure_extent(bar(5, 0))
    pooled = mean_width_px(thin + thick)
    assert mean_width_px(thin) < pooled < mean_width_px(thick)
    assert pooled == pytest.approx((thin.area_px + thick.area_px) / (thin.length_px + thick.length_px))


def test_no_membrane_and_a_speck_have_no_width() -> None:
    speck = np.zeros((9, 9), bool)
    assert measure_extent(speck) == Extent(0, 0.0)
    assert math.isnan(mean_width_px(measure_extent(speck)))
    speck[4, 4] = True
    assert math.isnan(mean_width_px(measure_extent(speck)))


def test_a_corner_cut_by_a_diagonal_is_counted_once() -> None:
    mask = np.zeros((7, 7), bool)
    mask[3, 1:4] = mask[3:6, 3] = True
    without_corner = mask.copy()
    without_corner[3, 3] = False
    assert measure_extent(without_corner).length_px == pytest.approx(0.98 * 2 + 1.406 - 0.091 * 2)
    assert measure_extent(mask).length_px <= 0.98 * 4


def test_pixels_without_annotation_count_neither_as_area_nor_as_length() -> None:
    mask = bar(3, 0)
    ignored = np.zeros_like(mask)
    ignored[:, 240:] = True
    half = measure_extent(mask, ignored=ignored)
    assert half.area_px == mask.sum() / 2
    assert mean_width_px(half) == pytest.approx(3, rel=0.05)
