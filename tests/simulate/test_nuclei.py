from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import floats, integers, sampled_from
from skimage.measure import label
from skimage.segmentation import clear_border

from cellproof.checks import InputError
from cellproof.simulate.nuclei import BLURRED, DIM, SHARP, simulate_nuclei

FIELDS = {
    "seed": integers(0, 2**32),
    "rows": integers(1, 120),
    "columns": integers(1, 120),
    "count": integers(0, 25),
    "clumping": floats(0, 1),
    "microscope": sampled_from([SHARP, DIM, BLURRED]),
}


def _field(seed, rows, columns, count, clumping, microscope):
    return simulate_nuclei(
        rng=np.random.default_rng(seed),
        shape=(rows, columns),
        count=count,
        diameter_px=(8.0, 20.0),
        clumping=clumping,
        microscope=microscope,
    )


@settings(max_examples=20, deadline=None)
@given(**FIELDS)
def test_the_same_seed_gives_the_same_nuclei_bit_for_bit(**drawn):
    first, second = _field(**drawn), _field(**drawn)
    assert first.image.tobytes() == second.image.tobytes()
    assert first.labels.tobytes() == second.labels.tobytes()


@settings(max_examples=30, deadline=None)
@given(**FIELDS)
def test_nuclei_are_numbered_without_gaps_and_each_is_one_piece(**drawn):
    labels = _field(**drawn).labels
    assert labels.shape == (drawn["rows"], drawn["columns"])
    ids = np.unique(labels[labels > 0])
    np.testing.assert_array_equal(ids, np.arange(1, ids.size + 1))
    assert label(labels, connectivity=1, background=0).max() == ids.size <= drawn["count"]


@pytest.mark.parametrize("clumping", [0.0, 0.5, 1.0])
def test_a_field_with_room_holds_the_nuclei_asked_for(clumping):
    labels = simulate_nuclei(
        rng=np.random.default_rng(3), shape=(300, 300), count=30, diameter_px=(12, 20), clumping=clumping
    ).labels
    assert 27 <= labels.max() <= 30


@pytest.mark.parametrize("microscope", [SHARP, DIM, BLURRED])
@pytest.mark.parametrize("seed", range(4))
def test_nuclei_are_brighter_than_their_background(microscope, seed):
    field = simulate_nuclei(rng=np.random.default_rng(seed), shape=(200, 200), count=25, microscope=microscope)
    inside = field.labels > 0
    assert field.image[inside].mean() > 1.5 * field.image[~inside].mean()


def test_areas_follow_the_diameters_asked_for():
    field = simulate_nuclei(
        rng=np.random.default_rng(1), shape=(400, 400), count=40, diameter_px=(20, 20), clumping=0.0
    )
    whole = clear_border(field.labels)
    areas = np.bincount(whole[whole > 0])
    assert np.median(areas[areas > 0]) == pytest.approx(np.pi * 10**2, rel=0.05)


def test_without_clumping_no_two_nuclei_touch():
    field = simulate_nuclei(rng=np.random.default_rng(5), shape=(200, 200), count=30, diameter_px=(10, 20), clumping=0)
    assert label(field.labels > 0).max() == field.labels.max() > 20


def test_with_clumping_most_nuclei_touch_another():
    field = simulate_nuclei(rng=np.random.default_rng(5), shape=(300, 300), count=30, diameter_px=(12, 20), clumping=1)
    assert label(field.labels > 0).max() < field.labels.max() / 2


def test_no_nuclei_leave_background_alone():
    field = simulate_nuclei(rng=np.random.default_rng(0), shape=(50, 60), count=0)
    assert not field.labels.any()
    assert 90 < field.image.mean() < 300


def test_shot_noise_grows_as_the_photons_fall():
    def grain(microscope):
        image = simulate_nuclei(rng=np.random.default_rng(0), shape=(64, 64), count=0, microscope=microscope).image
        return np.diff(image.astype(float)).std()

    assert grain(DIM) > 2 * grain(SHARP)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (0, 5)}, "shape is"),
        ({"count": -1}, "count is -1"),
        ({"diameter_px": (30, 20)}, "diameter_px is"),
        ({"clumping": 1.5}, "clumping is 1.5"),
    ],
)
def test_impossible_fields_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        simulate_nuclei(rng=np.random.default_rng(0), **options)
