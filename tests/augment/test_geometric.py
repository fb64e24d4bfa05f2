"""`cellproof.augment.geometric`: laws of moving image and labels together, and scipy as oracle."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from cellproof.augment.geometric import Geometric, GeometricParams
from cellproof.checks import InputError
from cellproof.types import IGNORE, Sample

IDENTITY = ((1.0, 0.0), (0.0, 1.0))
EVERYTHING = Geometric(
    patch_px=(40, 56),
    rotate="any",
    scale=(0.6, 1.6),
    shear=0.2,
    anisotropy=0.2,
    elastic_px=2,
    elastic_sigma_px=20,
    foreground_bias=0.5,
)
examples = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def noise_sample(shape=(70, 90), *, channels=2, seed=0):
    """An image of noise with blocky labels: objects 5, 10, …, classes 1 and 3."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 5, (math.ceil(shape[0] / 8), math.ceil(shape[1] / 8)))
    labels = np.kron(blocks, np.ones((8, 8), int))[: shape[0], : shape[1]]
    class_map = np.choose(labels, [0, 1, 3, 1, 3]).astype(np.uint8)
    return Sample(rng.random((channels, *shape), dtype=np.float32), class_map, (5 * labels).astype(np.int32))


def disc_sample(shape, center, radius):
    """One bright disc of class 2 and id 7 on black."""
    rows, columns = np.indices(shape)
    disc = (rows - center[0]) ** 2 + (columns - center[1]) ** 2 <= radius**2
    return Sample(disc[None].astype(np.float32), 2 * disc.astype(np.uint8), 7 * disc.astype(np.int32))


def middle(shape):
    return (shape[0] - 1) / 2, (shape[1] - 1) / 2


def arrays(sample):
    return sample.image, sample.class_map, sample.instances


def same(first, second):
    return all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(arrays(first), arrays(second), strict=True))


@examples
@given(seed=seeds, rows=st.integers(1, 70), columns=st.integers(1, 90))
def test_without_any_change_the_patch_is_a_crop_bit_for_bit(seed, rows, columns):
    sample = noise_sample()
    geometric = Geometric(patch_px=(rows, columns), flip=False, rotate="none")
    params = geometric.draw(np.random.default_rng(seed), sample)
    patch = geometric.apply(sample, params)
    top, left = round(params.center[0] - (rows - 1) / 2), round(params.center[1] - (columns - 1) / 2)
    window = np.s_[..., top : top + rows, left : left + columns]
    assert same(patch, Sample(sample.image[window], sample.class_map[window], sample.instances[window]))


@pytest.mark.parametrize("matrix", [((-1, 0), (0, 1)), ((1, 0), (0, -1)), ((-1, 0), (0, -1)), ((0, 1), (1, 0))])
@pytest.mark.parametrize("shape", [(24, 24), (25, 25)])
def test_flips_and_half_turns_twice_are_nothing(matrix, shape):
    sample = noise_sample(shape)
    geometric = Geometric(patch_px=shape)
    params = GeometricParams(middle(shape), matrix)
    once = geometric.apply(sample, params)
    assert not np.array_equal(once.image, sample.image)
    assert same(geometric.apply(once, params), sample)


def test_a_quarter_turn_is_rot90_and_four_are_nothing():
    sample = noise_sample((30, 30))
    geometric = Geometric(patch_px=(30, 30))
    quarter = GeometricParams(middle((30, 30)), ((0, 1), (-1, 0)))
    turned = geometric.apply(sample, quarter)
    np.testing.assert_array_equal(turned.image, np.rot90(sample.image, axes=(-2, -1)))
    np.testing.assert_array_equal(turned.class_map, np.rot90(sample.class_map))
    for _ in range(3):
        turned = geometric.apply(turned, quarter)
    assert same(turned, sample)


@examples
@given(seed=seeds, rows=st.integers(1, 60), columns=st.integers(1, 60))
def test_copying_equals_resampling_bit_for_bit_where_both_can_be_done(seed, rows, columns):
    sample = noise_sample((50, 60))
    geometric = Geometric(patch_px=(rows, columns), foreground_bias=0.5)
    params = geometric.draw(np.random.default_rng(seed), sample)
    unbent = replace(params, bend_px=np.zeros((2, 4, 4), np.float32))
    assert same(geometric.apply(sample, params), geometric.apply(sample, unbent))


@examples
@given(seed=seeds)
def test_flips_and_quarter_turns_keep_every_value(seed):
    sample = noise_sample((40, 40))
    geometric = Geometric(patch_px=(40, 40))
    patch = geometric.apply(sample, geometric.draw(np.random.default_rng(seed), sample))
    np.testing.assert_array_equal(np.sort(patch.image, axis=None), np.sort(sample.image, axis=None))
    np.testing.assert_array_equal(np.bincount(patch.instances.ravel()), np.bincount(sample.instances.ravel()))


def test_all_eight_symmetries_are_drawn():
    sample = noise_sample((9, 9))
    geometric = Geometric(patch_px=(9, 9))
    rng = np.random.default_rng(0)
    drawn = {geometric.apply(sample, geometric.draw(rng, sample)).image.tobytes() for _ in range(200)}
    assert len(drawn) == 8


@examples
@given(seed=seeds)
def test_affine_patches_equal_scipys_map_coordinates(seed):
    sample = noise_sample((64, 80))
    geometric = replace(EVERYTHING, elastic_px=0.0, scale=(0.75, 2.0))
    params = geometric.draw(np.random.default_rng(seed), sample)
    patch = geometric.apply(sample, params)
    offsets = np.indices(geometric.patch_px) - np.reshape(middle(geometric.patch_px), (2, 1, 1))
    places = np.tensordot(params.matrix, offsets, axes=1) + np.reshape(params.center, (2, 1, 1))
    for plane, wanted in zip(patch.image, sample.image, strict=True):
        # float32 places within a window of about 100 px are exact to 1e-5 px.
        np.testing.assert_allclose(plane, ndimage.map_coordinates(wanted, places, order=1, mode="mirror"), atol=3e-5)
    decided = (np.abs(places - np.floor(places) - 0.5) > 1e-4).all(axis=0)
    wanted = ndimage.map_coordinates(sample.class_map, places, order=0, mode="grid-constant", cval=IGNORE)
    np.testing.assert_array_equal(patch.class_map[decided], wanted[decided])
    wanted = ndimage.map_coordinates(sample.instances, places, order=0, mode="grid-constant", cval=0)
    np.testing.assert_array_equal(patch.instances[decided], wanted[decided])


@examples
@given(seed=seeds)
def test_image_and_labels_move_together(seed):
    sample = disc_sample((160, 160), (80, 80), 9)
    geometric = replace(EVERYTHING, patch_px=(96, 96), foreground_bias=1.0)
    patch = geometric.apply(sample, geometric.draw(np.random.default_rng(seed), sample))
    assert np.array_equal(patch.instances == 7, patch.class_map == 2)
    # Interpolated to half a pixel or taken from the nearest one, a disc of 55 pixels and more differs at its rim alone:
    # by at most 0.29 px of its center in 6,000 draws. Labels a pixel, or half a pixel, off would show.
    level_set, labeled = patch.image[0] > 0.5, patch.instances > 0
    np.testing.assert_allclose(ndimage.center_of_mass(labeled), ndimage.center_of_mass(level_set), atol=0.4)
    assert np.count_nonzero(level_set != labeled) < 0.2 * np.count_nonzero(labeled)


@examples
@given(seed=seeds)
def test_classes_and_ids_are_never_invented(seed):
    sample = noise_sample((50, 45))
    patch = EVERYTHING.apply(sample, EVERYTHING.draw(np.random.default_rng(seed), sample))
    assert patch.image.shape == (2, 40, 56)
    assert set(np.unique(patch.class_map)) <= {0, 1, 3, IGNORE}
    assert set(np.unique(patch.instances)) <= {0, 5, 10, 15, 20}
    assert not patch.instances[patch.class_map == IGNORE].any()
    assert sample.image.min() - 1e-6 <= patch.image.min() <= patch.image.max() <= sample.image.max() + 1e-6


@pytest.mark.parametrize("magnification", [0.5, 0.8, 2.0, 3.0])
def test_areas_grow_with_the_square_of_the_magnification(magnification):
    sample = disc_sample((200, 200), (99.3, 100.1), 20)
    geometric = Geometric(patch_px=(150, 150), rotate="any", scale=(magnification, magnification))
    params = replace(geometric.draw(np.random.default_rng(1), sample), center=(99.5, 99.5))
    patch = geometric.apply(sample, params)
    wanted = magnification**2 * np.count_nonzero(sample.instances)
    assert np.count_nonzero(patch.instances) == pytest.approx(wanted, rel=0.02)
    assert patch.image.sum() == pytest.approx(wanted, rel=0.02)


def test_anisotropy_and_shear_keep_areas():
    sample = disc_sample((120, 120), (60, 60), 25)
    geometric = Geometric(patch_px=(120, 120), rotate="any", shear=0.3, anisotropy=0.4)
    rng = np.random.default_rng(0)
    for _ in range(10):
        params = replace(geometric.draw(rng, sample), center=(60, 60))
        assert abs(np.linalg.det(np.array(params.matrix))) == pytest.approx(1)
        area = np.count_nonzero(geometric.apply(sample, params).instances)
        assert area == pytest.approx(np.count_nonzero(sample.instances), rel=0.02)


def test_magnifications_are_drawn_log_uniformly():
    sample = noise_sample((20, 20))
    geometric = Geometric(patch_px=(8, 8), scale=(0.5, 2.0))
    rng = np.random.default_rng(0)
    determinants = [np.linalg.det(np.array(geometric.draw(rng, sample).matrix)) for _ in range(2000)]
    logs = -np.log2(np.abs(determinants)) / 2
    assert -1 <= logs.min() < -0.99 < 0.99 < logs.max() <= 1
    assert logs.mean() == pytest.approx(0, abs=0.05)


def test_turns_and_crops_happen_as_often_as_asked_and_as_far():
    sample = noise_sample((20, 20))
    geometric = Geometric(
        patch_px=(8, 8), flip=False, rotate="any", rotate_degrees=90, rotate_p=0.5, scale=(4 / 3, 4 / 3), scale_p=0.5
    )
    rng = np.random.default_rng(0)
    drawn = np.array([geometric.draw(rng, sample).matrix for _ in range(2000)])
    lengths = np.sqrt(np.linalg.det(drawn))
    np.testing.assert_allclose(np.unique(np.round(lengths, 9)), [0.75, 1])
    assert np.mean(lengths < 0.9) == pytest.approx(0.5, abs=0.04)
    angles = np.degrees(np.arctan2(drawn[:, 0, 1], drawn[:, 0, 0]))
    assert np.mean(angles == 0) == pytest.approx(0.5, abs=0.04)
    assert -90 <= angles.min() < -89
    assert 89 < angles.max() <= 90


def test_the_strength_of_bending_is_drawn_between_its_ends():
    sample = noise_sample((20, 20))
    geometric = Geometric((64, 64), elastic_px=0.54, elastic_least_px=0.27, elastic_sigma_px=5.4)
    rng = np.random.default_rng(0)
    spread = np.array([geometric.draw(rng, sample).bend_px.std() for _ in range(300)]) * 151 / 315
    assert spread.min() == pytest.approx(0.27, rel=0.1)
    assert spread.max() == pytest.approx(0.54, rel=0.1)
    assert spread.mean() == pytest.approx((0.27 + 0.54) / 2, rel=0.03)


@examples
@given(seed=seeds)
def test_the_same_draw_gives_the_same_patch(seed):
    sample = noise_sample()
    first = EVERYTHING.draw(np.random.default_rng(seed), sample)
    second = EVERYTHING.draw(np.random.default_rng(seed), sample)
    assert same(EVERYTHING.apply(sample, first), EVERYTHING.apply(sample, first))
    assert same(EVERYTHING.apply(sample, first), EVERYTHING.apply(sample, second))


def test_the_sample_is_not_changed_and_not_shared():
    sample = noise_sample()
    kept = [array.copy() for array in arrays(sample)]
    for geometric in (EVERYTHING, Geometric(patch_px=(70, 90), rotate="none", flip=False)):
        patch = geometric.apply(sample, geometric.draw(np.random.default_rng(0), sample))
        for array in arrays(patch):
            array[...] = 1
    assert same(sample, Sample(*kept))


@examples
@given(seed=seeds)
def test_patches_lie_inside_images_that_are_large_enough(seed):
    sample = noise_sample((100, 110))
    geometric = Geometric(patch_px=(40, 50), rotate="any", scale=(0.8, 2.0), shear=0.1, foreground_bias=0.5)
    patch = geometric.apply(sample, geometric.draw(np.random.default_rng(seed), sample))
    assert not (patch.class_map == IGNORE).any()


def test_every_place_of_the_image_is_drawn_equally_often():
    sample = noise_sample((6, 4))
    geometric = Geometric(patch_px=(4, 4))
    rng = np.random.default_rng(0)
    starts = np.array([geometric.draw(rng, sample).center[0] - 1.5 for _ in range(3000)])
    np.testing.assert_allclose([np.mean(starts == start) for start in (0, 1, 2)], 1 / 3, atol=0.04)


@pytest.mark.parametrize("geometric", [Geometric(patch_px=(9, 8), flip=False, rotate="none"), Geometric((9, 8))])
def test_beyond_the_edges_the_image_is_mirrored_and_nothing_is_annotated(geometric):
    sample = noise_sample((5, 4))
    params = GeometricParams((2.0, 1.5), IDENTITY)
    patch = geometric.apply(sample, params)
    around = ((2, 2), (2, 2))
    np.testing.assert_array_equal(patch.image, np.pad(sample.image, ((0, 0), *around), mode="reflect"))
    np.testing.assert_array_equal(patch.class_map, np.pad(sample.class_map, around, constant_values=IGNORE))
    np.testing.assert_array_equal(patch.instances, np.pad(sample.instances, around))


@examples
@given(seed=seeds, rows=st.integers(1, 12), columns=st.integers(1, 12))
def test_images_of_any_size_fill_a_patch(seed, rows, columns):
    sample = noise_sample((rows, columns))
    for geometric in (replace(EVERYTHING, patch_px=(16, 17)), Geometric(patch_px=(16, 17))):
        patch = geometric.apply(sample, geometric.draw(np.random.default_rng(seed), sample))
        assert patch.image.shape == (2, 16, 17)
        assert sample.image.min() - 1e-6 <= patch.image.min() <= patch.image.max() <= sample.image.max() + 1e-6
        # An image of a pixel or two may fall between the places of a shrinking patch.
        assert (patch.class_map != IGNORE).any() or min(rows, columns) < 3


def test_semantic_samples_stay_without_instances():
    sample = replace(noise_sample(), instances=None)
    assert EVERYTHING.apply(sample, EVERYTHING.draw(np.random.default_rng(0), sample)).instances is None


def test_biased_patches_show_every_class_about_equally_often_however_rare():
    class_map = np.zeros((600, 700), np.uint8)
    class_map[:300] = 1
    class_map[550:556, 600:606] = 2
    class_map[:, :50] = IGNORE
    sample = Sample(np.zeros((1, 600, 700), np.float32), class_map)
    geometric = Geometric(patch_px=(32, 32), foreground_bias=1.0)
    rng = np.random.default_rng(0)
    patches = [geometric.apply(sample, geometric.draw(rng, sample)).class_map for _ in range(300)]
    assert np.mean([(patch == 2).any() for patch in patches]) == pytest.approx(0.5, abs=0.08)
    assert np.mean([(patch == 1).any() for patch in patches]) == pytest.approx(0.5, abs=0.08)


def test_rare_pixels_are_found_in_pictures_larger_than_the_searched_grid():
    class_map = np.zeros((1500, 1500), np.uint8)
    class_map[700:706, 900:906] = 1
    sample = Sample(np.zeros((1, 1500, 1500), np.float32), class_map)
    geometric = Geometric(patch_px=(64, 64), foreground_bias=1.0)
    rng = np.random.default_rng(0)
    assert all((geometric.apply(sample, geometric.draw(rng, sample)).class_map == 1).any() for _ in range(20))


@pytest.mark.parametrize("value", [0, IGNORE])
def test_a_bias_toward_foreground_does_not_need_any(value):
    sample = Sample(np.zeros((1, 20, 20), np.float32), np.full((20, 20), value, np.uint8))
    geometric = Geometric(patch_px=(8, 8), foreground_bias=1.0)
    assert (geometric.apply(sample, geometric.draw(np.random.default_rng(0), sample)).class_map == value).all()


def test_shrinking_a_checkerboard_gives_gray_and_no_moire():
    board = (np.indices((128, 128)).sum(axis=0) % 2).astype(np.float32)
    sample = Sample(board[None], np.zeros((128, 128), np.uint8))
    geometric = Geometric(patch_px=(48, 48), rotate="any", scale=(0.4, 0.4))
    patch = geometric.apply(sample, geometric.draw(np.random.default_rng(0), sample))
    assert patch.image.mean() == pytest.approx(0.5, abs=0.01)
    assert patch.image.std() < 0.03


def test_the_elastic_displacement_has_about_the_standard_deviation_asked_for():
    rows = np.arange(200, dtype=np.float32)[:, None] + np.zeros(200, np.float32)
    sample = Sample(np.stack([rows, rows.T]), np.zeros((200, 200), np.uint8))
    geometric = Geometric(patch_px=(100, 100), flip=False, rotate="none", elastic_px=3, elastic_sigma_px=30)
    rng = np.random.default_rng(0)
    still = np.stack([rows, rows.T])[:, 50:150, 50:150]
    moved = []
    for _ in range(20):
        params = replace(geometric.draw(rng, sample), center=middle((200, 200)))
        moved.append(geometric.apply(sample, params).image - still)
    assert np.std(moved) == pytest.approx(3, rel=0.1)
    assert np.mean(moved) == pytest.approx(0, abs=0.3)


@examples
@given(seed=seeds)
def test_the_strongest_elastic_deformation_does_not_fold(seed):
    rows = np.arange(200, dtype=np.float32)[:, None] + np.zeros(200, np.float32)
    sample = Sample(np.stack([rows, rows.T]), np.zeros((200, 200), np.uint8))
    geometric = Geometric(patch_px=(80, 80), flip=False, rotate="none", elastic_px=2.4, elastic_sigma_px=24)
    params = replace(geometric.draw(np.random.default_rng(seed), sample), center=middle((200, 200)))
    (a, b), (c, d) = (np.gradient(plane) for plane in geometric.apply(sample, params).image)
    assert (a * d - b * c).min() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch_px": (0, 5)}, "patch_px is"),
        ({"rotate": "sometimes"}, "rotate is 'sometimes'"),
        ({"scale": (0.0, 1.0)}, "scale is"),
        ({"scale": (2.0, 1.0)}, "scale is"),
        ({"rotate_degrees": 0.0}, "rotate_degrees 0.0"),
        ({"scale_p": 1.5}, "scale_p 1.5"),
        ({"elastic_least_px": 1.0}, "elastic_least_px is 1.0"),
        ({"shear": -0.1}, "must not be negative"),
        ({"anisotropy": -0.1}, "must not be negative"),
        ({"foreground_bias": 1.5}, "foreground_bias is 1.5"),
        ({"elastic_px": 20.0, "elastic_sigma_px": 40.0}, "would fold"),
        ({"elastic_sigma_px": 0.0}, "elastic_sigma_px"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        Geometric(**options)
