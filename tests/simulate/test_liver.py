from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import integers, sampled_from
from scipy import ndimage
from skimage.segmentation import clear_border

from cellproof.checks import InputError
from cellproof.simulate.liver import simulate_liver

QUALITIES = ("good", "low")


@pytest.fixture(scope="module")
def livers():
    """One image of each quality, of the same cells."""
    return {
        quality: simulate_liver(np.random.default_rng(3), shape=(300, 320), quality=quality) for quality in QUALITIES
    }


@settings(max_examples=15, deadline=None)
@given(seed=integers(0, 2**32), rows=integers(1, 130), columns=integers(1, 130), quality=sampled_from(QUALITIES))
def test_classes_cells_and_nuclei_agree_on_every_pixel(seed, rows, columns, quality):
    liver = simulate_liver(np.random.default_rng(seed), shape=(rows, columns), quality=quality)
    assert liver.image.shape == (rows, columns, 3)
    assert liver.image.dtype == liver.class_map.dtype == np.uint8
    membrane = liver.class_map == 1
    np.testing.assert_array_equal(membrane, liver.cells == 0)
    np.testing.assert_array_equal(membrane, liver.thickness_px > 0)
    np.testing.assert_array_equal(liver.class_map == 2, liver.nuclei > 0)
    assert not (liver.dim & ~membrane).any()
    assert set(np.unique(liver.class_map)) <= {0, 1, 2}


@settings(max_examples=8, deadline=None)
@given(seed=integers(0, 2**32), rows=integers(1, 200), columns=integers(1, 200))
def test_cells_are_exactly_what_membranes_enclose(seed, rows, columns):
    liver = simulate_liver(np.random.default_rng(seed), shape=(rows, columns))
    pieces, count = ndimage.label(liver.class_map != 1)
    np.testing.assert_array_equal(pieces, liver.cells)
    assert liver.cells.max() == count


@pytest.mark.parametrize("quality", QUALITIES)
def test_the_same_seed_gives_the_same_picture_and_another_seed_another(quality):
    first, again, other = (
        simulate_liver(np.random.default_rng(seed), shape=(100, 90), quality=quality) for seed in (1, 1, 2)
    )
    for name in ("image", "class_map", "cells", "nuclei", "dim", "thickness_px"):
        assert getattr(first, name).tobytes() == getattr(again, name).tobytes()
    assert (first.image != other.image).any()
    assert (first.cells != other.cells).any()


def test_the_quality_changes_the_picture_and_not_the_truth_of_membranes(livers):
    np.testing.assert_array_equal(livers["good"].cells, livers["low"].cells)
    np.testing.assert_array_equal(livers["good"].nuclei, livers["low"].nuclei)
    grain = {name: np.diff(liver.image[..., 0].astype(float)).std() for name, liver in livers.items()}
    assert grain["low"] > 1.3 * grain["good"]


@pytest.mark.parametrize("quality", QUALITIES)
def test_membranes_are_red_but_dim_stretches_hardly_differ_from_cytoplasm(livers, quality):
    liver = livers[quality]
    red = liver.image[..., 0].astype(float)
    # Beside membranes, where their blur reaches, cytoplasm is brighter than within cells.
    far = ndimage.distance_transform_edt(liver.class_map != 1) > 4
    cytoplasm = red[(liver.class_map == 0) & far].mean()
    shown = red[(liver.class_map == 1) & ~liver.dim].mean() - cytoplasm
    lost = red[ndimage.binary_erosion(liver.dim, np.ones((2, 2)))].mean() - cytoplasm
    assert shown > 0.3 * cytoplasm
    assert lost < 0.4 * shown
    assert 0.05 < liver.dim.sum() / (liver.class_map == 1).sum() < 0.3


@pytest.mark.parametrize("quality", QUALITIES)
def test_nuclei_are_green_and_membranes_less_so(livers, quality):
    liver = livers[quality]
    green = liver.image[..., 1].astype(float)
    assert green[liver.class_map == 2].mean() > 1.5 * green[liver.class_map == 1].mean()


def best_shift(channel, truth, reach=3):
    """Shift of the truth, in rows and columns, at which it is most alike to the image."""
    inner = channel[reach:-reach, reach:-reach].astype(float).ravel()
    height, width = truth.shape
    shifts = {
        (rows, columns): np.corrcoef(
            inner, truth[reach + rows : height - reach + rows, reach + columns : width - reach + columns].ravel()
        )[0, 1]
        for rows in range(-reach, reach + 1)
        for columns in range(-reach, reach + 1)
    }
    return max(shifts, key=shifts.get)


@pytest.mark.parametrize("quality", QUALITIES)
def test_the_picture_lies_on_its_truth(livers, quality):
    liver = livers[quality]
    assert best_shift(liver.image[..., 0], (liver.class_map == 1) & ~liver.dim) == (0, 0)
    assert best_shift(liver.image[..., 1], liver.class_map == 2) == (0, 0)
    moved = np.roll(liver.image, 2, axis=0)
    assert best_shift(moved[..., 0], (liver.class_map == 1) & ~liver.dim) == (-2, 0)


def test_whole_cells_are_of_the_stated_size_and_have_one_or_two_nuclei():
    areas, nuclei = [], []
    for seed in range(2):
        liver = simulate_liver(np.random.default_rng(seed), shape=(400, 400))
        whole = clear_border(liver.cells)
        for cell in np.unique(whole[whole > 0]):
            inside = liver.cells == cell
            areas.append(inside.sum())
            nuclei.append(np.unique(liver.nuclei[inside & (liver.nuclei > 0)]).size)
    diameters = 2 * np.sqrt(np.array(areas) / np.pi)
    assert 50 < np.median(diameters) < 62
    assert np.quantile(diameters, 0.05) > 36
    assert np.quantile(diameters, 0.95) < 74
    counts = np.bincount(nuclei)
    assert counts.size == 3
    assert counts[0] < 0.02 * len(nuclei)
    assert 0.15 < counts[2] / len(nuclei) < 0.35


def test_each_nucleus_is_one_piece_inside_one_cell():
    liver = simulate_liver(np.random.default_rng(8), shape=(256, 256))
    assert ndimage.label(liver.nuclei > 0)[1] == liver.nuclei.max() > 15
    for nucleus in range(1, liver.nuclei.max() + 1):
        assert np.unique(liver.cells[liver.nuclei == nucleus]).size == 1


def test_thicknesses_lie_evenly_between_two_and_five_pixels():
    liver = simulate_liver(np.random.default_rng(0))
    values, pixels = np.unique(liver.thickness_px[liver.thickness_px > 0], return_counts=True)
    assert values.min() >= 2
    assert values.max() <= 5
    # A thick membrane has more pixels: divided by its thickness, they are its length.
    lengths = pixels / values
    assert np.average(values, weights=lengths) == pytest.approx(3.5, abs=0.2)
    assert lengths[values < 3.5].sum() / lengths.sum() == pytest.approx(0.5, abs=0.12)


def test_the_picture_uses_its_range_and_is_hardly_cut(livers):
    for liver in livers.values():
        assert liver.image[..., 0].max() > 200
        assert (liver.image == 255).mean() < 0.01


def test_a_picture_without_pixels_is_refused():
    with pytest.raises(InputError, match="shape is"):
        simulate_liver(np.random.default_rng(0), shape=(0, 5))


def test_the_dose_changes_the_noise_and_not_the_specimen():
    doses = {
        photons: simulate_liver(np.random.default_rng(4), shape=(200, 200), quality="low", photons=photons)
        for photons in (12, 16, 200)
    }
    as_ever = simulate_liver(np.random.default_rng(4), shape=(200, 200), quality="low")
    np.testing.assert_array_equal(doses[16].image, as_ever.image)
    for liver in doses.values():
        np.testing.assert_array_equal(liver.class_map, as_ever.class_map)
    # What differs between neighbors in cytoplasm is mostly noise.
    spread = {
        photons: np.diff(liver.image[..., 0].astype(float), axis=1)[as_ever.class_map[:, 1:] == 0].std()
        for photons, liver in doses.items()
    }
    assert spread[12] > spread[16] > 1.5 * spread[200]


def test_an_image_without_photons_is_refused():
    with pytest.raises(InputError, match="photons is 0, expected a number above 0"):
        simulate_liver(np.random.default_rng(0), shape=(20, 20), photons=0)
