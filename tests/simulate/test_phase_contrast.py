from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import integers, sampled_from
from scipy import ndimage
from skimage.measure import label, regionprops

from cellproof.checks import InputError
from cellproof.simulate import phase_contrast
from cellproof.simulate.phase_contrast import CELL_TYPES, CLEAR, POOR, PhaseOptics, simulate_phase_contrast


@pytest.fixture(scope="module")
def fields():
    return {
        name: simulate_phase_contrast(np.random.default_rng(5), shape=(256, 256), cell_type=name) for name in CELL_TYPES
    }


@settings(max_examples=6, deadline=None)
@given(
    integers(0, 2**32), integers(1, 90), integers(1, 90), sampled_from(list(CELL_TYPES)), sampled_from([CLEAR, POOR])
)
def test_cells_are_numbered_without_gaps_in_one_piece_and_drawn_alike_by_one_seed(seed, rows, columns, name, optics):
    first, second = (
        simulate_phase_contrast(np.random.default_rng(seed), shape=(rows, columns), cell_type=name, optics=optics)
        for _ in range(2)
    )
    assert first.image.tobytes() == second.image.tobytes()
    assert first.labels.tobytes() == second.labels.tobytes()
    ids = np.unique(first.labels[first.labels > 0])
    np.testing.assert_array_equal(ids, np.arange(1, ids.size + 1))
    assert label(first.labels, connectivity=1, background=0).max() == ids.size


def test_a_thin_phase_object_is_dark_with_a_bright_halo_and_fades_toward_its_middle():
    # A disc far larger than the halo: dark inside its edge, bright outside of it, like the ground in its middle.
    rows, columns = np.mgrid[:400, :400]
    radius = np.hypot(rows - 200, columns - 200)
    optics = PhaseOptics(halo_px=12, transmission=0.5, blur_px=0.5, unevenness=0, noise=0, debris=0)
    seen = phase_contrast._interfere(np.where(radius < 110, 0.05, 0).astype(np.float32), optics)
    inside, outside, middle = (
        seen[(radius > low) & (radius < high)].mean() for low, high in ((100, 108), (112, 120), (0, 40))
    )
    assert inside < 0.96 < 1.04 < outside
    assert middle == pytest.approx(1, abs=0.005)
    assert seen[:20, :20] == pytest.approx(1, abs=1e-4)


def test_without_anything_in_the_light_the_image_is_even():
    optics = PhaseOptics(halo_px=9, transmission=0.6, blur_px=0.7, unevenness=0, noise=0, debris=0)
    assert phase_contrast._interfere(np.zeros((20, 20), np.float32), optics) == pytest.approx(1, abs=1e-5)


def test_types_differ_as_their_names_say(fields):
    solidity, area = {}, {}
    for name, field in fields.items():
        cells = regionprops(field.labels)
        solidity[name] = np.median([cell.solidity for cell in cells])
        area[name] = np.median([cell.area for cell in cells])
    assert solidity["branching"] < solidity["round"]
    assert area["flat"] > 3 * area["round"]
    assert fields["round"].labels.max() > 2 * fields["flat"].labels.max()


def test_cells_stand_out_by_their_texture_from_the_ground(fields):
    for field in fields.values():
        gray = field.image.astype(float)
        rough = ndimage.gaussian_filter((gray - ndimage.gaussian_filter(gray, 3)) ** 2, 3)
        far = ndimage.distance_transform_edt(field.labels == 0) > 15
        assert np.median(rough[field.labels > 0]) > 4 * np.median(rough[far])


def test_the_table_names_the_type_that_is_drawn():
    for number in range(4):
        told = phase_contrast.KIND.attributes(np.random.default_rng([7, number]))["cell_type"]
        rng = np.random.default_rng([7, number])
        rng.integers(len(CELL_TYPES))
        drawn = simulate_phase_contrast(rng, shape=(64, 64), cell_type=told)
        picture = phase_contrast.KIND.draw(np.random.default_rng([7, number]), 64, "good")
        np.testing.assert_array_equal(picture.image, drawn.image)


def test_an_unknown_type_is_refused():
    with pytest.raises(InputError, match="cell_type is 'astro', expected one of round, branching, flat"):
        simulate_phase_contrast(np.random.default_rng(0), shape=(8, 8), cell_type="astro")
