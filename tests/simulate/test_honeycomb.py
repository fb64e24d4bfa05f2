from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import integers, sampled_from
from scipy import ndimage
from skimage.segmentation import clear_border

from cellproof.checks import InputError
from cellproof.simulate.honeycomb import simulate_honeycomb

QUALITIES = ("good", "low")


@settings(max_examples=12, deadline=None)
@given(seed=integers(0, 2**32), rows=integers(1, 90), columns=integers(1, 90), quality=sampled_from(QUALITIES))
def test_cells_are_exactly_what_borders_enclose(seed, rows, columns, quality):
    sheet = simulate_honeycomb(np.random.default_rng(seed), shape=(rows, columns), quality=quality)
    assert sheet.image.shape == (rows, columns)
    pieces, count = ndimage.label(sheet.class_map == 0)
    np.testing.assert_array_equal(pieces, sheet.cells)
    assert sheet.cells.max() == count
    np.testing.assert_array_equal(sheet.thickness_px > 0, sheet.class_map == 1)
    assert not sheet.nuclei.any()


def test_the_same_seed_gives_the_same_picture_and_another_seed_another():
    first, again, other = (simulate_honeycomb(np.random.default_rng(seed), shape=(80, 70)) for seed in (1, 1, 2))
    assert first.image.tobytes() == again.image.tobytes()
    assert first.cells.tobytes() == again.cells.tobytes()
    assert (first.image != other.image).any()


@pytest.mark.parametrize("quality", QUALITIES)
def test_borders_are_dark_but_for_some_stretches(quality):
    sheet = simulate_honeycomb(np.random.default_rng(2), shape=(256, 256), quality=quality)
    # Against the light around, which differs across the field.
    light = sheet.image - ndimage.gaussian_filter(sheet.image.astype(float), 15)
    border = sheet.class_map == 1
    shown = light[~border].mean() - light[border & ~sheet.dim].mean()
    lost = light[~border].mean() - light[ndimage.binary_erosion(sheet.dim, np.ones((2, 2)))].mean()
    assert shown > 10
    assert lost < 0.6 * shown
    assert 0.02 < sheet.dim.sum() / border.sum() < 0.2


def test_most_cells_have_six_neighbors_and_nearly_one_size():
    sheet = simulate_honeycomb(np.random.default_rng(4), shape=(300, 300))
    whole = clear_border(sheet.cells)
    ids = np.unique(whole[whole > 0])
    areas = np.bincount(sheet.cells.ravel())[ids]
    assert areas.std() / areas.mean() < 0.25
    neighbors = []
    for cell in ids:
        grown = ndimage.binary_dilation(sheet.cells == cell, iterations=5)
        neighbors.append(np.setdiff1d(sheet.cells[grown], (0, cell)).size)
    assert np.mean(neighbors) == pytest.approx(6, abs=0.5)


def test_a_picture_without_pixels_is_refused():
    with pytest.raises(InputError, match="shape is"):
        simulate_honeycomb(np.random.default_rng(0), shape=(5, 0))
