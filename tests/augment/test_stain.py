"""Laws of changed dyes: light in, light out, by Beer and Lambert."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb_from_hed

from cellproof.augment.stain import (
    DAB,
    EOSIN,
    HEMATOXYLIN,
    Restain,
    StainJitter,
    StainParams,
    optical_density,
    separate,
)
from cellproof.checks import InputError
from cellproof.types import Sample

SAME = StainParams(np.stack([HEMATOXYLIN, EOSIN, DAB]), (1.0, 1.0, 1.0))


def section(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rgb = np.random.default_rng(seed).integers(60, 256, (3, 12, 16)).astype(np.uint8)
    instances = np.zeros((12, 16), np.int32)
    instances[2:8, 2:8], instances[2:8, 10:15] = 1, 2
    return rgb, instances


def test_the_dyes_are_those_of_ruifrok_and_johnston_as_scikit_image_has_them():
    # scikit-image rounds its first and third rows to two digits.
    ours = np.stack([HEMATOXYLIN, EOSIN, DAB])
    np.testing.assert_allclose(ours, rgb_from_hed, atol=0.01)


def test_unchanged_dyes_give_the_section_again():
    rgb, instances = section()
    assert np.array_equal(Restain().apply(rgb, instances, SAME), rgb)


def test_amounts_and_rest_add_up_to_the_density_and_known_amounts_are_found():
    density = optical_density(section()[0])
    dyes = np.stack([HEMATOXYLIN, EOSIN])
    amounts, rest = separate(density, dyes)
    np.testing.assert_allclose(np.tensordot(dyes.T, amounts, axes=1) + rest, density, atol=1e-5)
    mixed = np.tensordot(dyes.T, np.array([0.7, 0.2], np.float32), axes=1)[:, None, None]
    np.testing.assert_allclose(separate(mixed, dyes)[0].ravel(), [0.7, 0.2], atol=1e-3)


def test_twice_the_dye_squares_the_light():
    light = 256 * 10 ** (-0.5 * HEMATOXYLIN) - 1
    rgb = np.repeat(np.rint(light).astype(np.uint8), 4).reshape(3, 2, 2)
    doubled = StainParams(SAME.dyes, (2.0, 1.0, 1.0))
    changed = Restain().apply(rgb, np.zeros((2, 2), np.int32), doubled)
    # The rest, which rounding to 8 bits leaves, is not doubled.
    np.testing.assert_allclose((changed[:, 0, 0] + 1) / 256, ((rgb[:, 0, 0] + 1) / 256) ** 2, atol=0.01)


def test_only_marked_nuclei_turn_brown():
    instances = np.zeros((20, 40), np.int32)
    instances[4:16, 4:16], instances[4:16, 24:36] = 1, 2
    light = np.where(instances > 0, (256 * 10 ** (-0.8 * HEMATOXYLIN) - 1)[:, None, None], 255)
    rgb = np.rint(light).astype(np.uint8)
    changed = Restain().apply(rgb, instances, StainParams(SAME.dyes, (1.0, 1.0, 1.0), 1.0, (2,)))
    red, _, blue = changed[:, 10, 30].astype(int)
    assert red > blue + 40  # brown
    assert np.array_equal(changed[:, :, :20], rgb[:, :, :20])


def pale_section() -> tuple[np.ndarray, np.ndarray]:
    """A nucleus of hematoxylin in a band of eosin, white glass beside it."""
    instances = np.zeros((60, 90), np.int32)
    instances[24:36, 24:36] = 1
    amounts = np.zeros((2, 60, 90), np.float32)
    amounts[0][instances > 0] = 0.5
    amounts[1][:, :60] = np.where(instances[:, :60] > 0, 0, 0.4)
    light = 256 * 10 ** -np.tensordot(np.stack([HEMATOXYLIN, EOSIN]).T, amounts, axes=1) - 1
    return np.rint(np.clip(light, 0, 255)).astype(np.uint8), instances


def test_brown_cytoplasm_leaves_blue_nuclei_and_white_glass():
    rgb, instances = pale_section()
    changed = Restain().apply(rgb, instances, StainParams(SAME.dyes, (1.0, 0.0, 1.0), 1.0, (), 3.0, 0.2)).astype(int)
    cytoplasm, nucleus, glass = changed[:, 10, 30], changed[:, 30, 30], changed[:, 30, 80]
    assert cytoplasm[0] > cytoplasm[2] + 60  # brown: red passes, blue does not
    assert nucleus[2] > nucleus[0]  # blue
    assert glass.min() == 255
    # In proportion to the density that was there, averaged over colors: 0.4 of eosin times three.
    expected = 256 * 10 ** (-3.0 * 0.4 * EOSIN.mean() * DAB) - 1
    np.testing.assert_allclose(cytoplasm, expected, atol=3)


def test_brown_on_nuclei_follows_what_is_beside_them():
    rgb, instances = pale_section()
    less, more = (
        Restain().apply(rgb, instances, StainParams(SAME.dyes, (1.0, 0.0, 1.0), 1.0, (), 0.0, inside))[:, 30, 30]
        for inside in (0.5, 1.0)
    )
    # On the nucleus twice the amount, of the eosin around it and not of its own hematoxylin.
    before = (rgb[:, 30, 30].astype(float) + 1) / 256
    brown = [-np.log10((one.astype(float) + 1) / 256 / before) for one in (less, more)]
    np.testing.assert_allclose(brown[1], 2 * brown[0], atol=0.02)
    np.testing.assert_allclose(brown[1], 0.4 * EOSIN.mean() * DAB, atol=0.03)


def test_only_chosen_regions_turn_brown():
    rgb, instances = pale_section()
    left = np.array([[1.0, 1.0, 0.0, 0.0, 0.0]], np.float32)
    plain = Restain().apply(rgb, instances, StainParams(SAME.dyes, (1.0, 1.0, 1.0)))
    changed = Restain().apply(rgb, instances, StainParams(SAME.dyes, (1.0, 1.0, 1.0), 1.0, (), 3.0, 0.2, left))
    assert np.array_equal(changed[:, :, 45:], plain[:, :, 45:])
    assert (changed[2, :, :18].astype(int) < plain[2, :, :18].astype(int) - 40).all()


def test_drawn_sections_with_dab_have_it_around_nuclei_as_often_as_asked():
    _, instances = section()
    never, always = (
        [
            Restain(dab=1.0, foreign=0.0, cytoplasm=p).draw(np.random.default_rng(seed), instances).around
            for seed in range(50)
        ]
        for p in (0.0, 1.0)
    )
    assert set(never) == {0.0}
    assert 0.5 <= min(always) < max(always) <= 4.0


def test_the_same_chance_gives_the_same_section_and_drawn_dyes_are_of_unit_length():
    rgb, instances = section()
    step = Restain()
    first = step.draw(np.random.default_rng(3), instances)
    again = step.draw(np.random.default_rng(3), instances)
    assert np.array_equal(step.apply(rgb, instances, first), step.apply(rgb, instances, again))
    for seed in range(20):
        dyes = step.draw(np.random.default_rng(seed), instances).dyes
        np.testing.assert_allclose(np.linalg.norm(dyes, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("rgb", [np.zeros((1, 4, 4), np.uint8), np.zeros((3, 4, 4), np.float32)])
def test_what_is_no_eight_bit_color_image_is_refused(rgb):
    with pytest.raises(InputError, match="expected \\(3, H, W\\) of uint8"):
        Restain().apply(rgb, np.zeros((4, 4), np.int32), SAME)


def test_jitter_changes_each_dye_in_normalized_patches_by_its_gain():
    dye = (HEMATOXYLIN / np.linalg.norm(HEMATOXYLIN))[:, None, None] * np.full((1, 4, 5), 0.4, np.float32)
    sample = Sample((10**-dye).astype(np.float32), np.zeros((4, 5), np.uint8))
    stronger = StainJitter().apply(sample, (1.5, 1.0)).image
    np.testing.assert_allclose(stronger, 10 ** (-1.5 * dye), rtol=1e-4)
    # No eosin is there to change.
    np.testing.assert_allclose(StainJitter().apply(sample, (1.0, 3.0)).image, sample.image, rtol=1e-4)


def test_jitter_without_change_changes_nothing_even_beyond_the_normalized_range():
    image = np.random.default_rng(0).uniform(-0.1, 1.2, (3, 8, 8)).astype(np.float32)
    sample = Sample(image, np.zeros((8, 8), np.uint8))
    np.testing.assert_allclose(StainJitter().apply(sample, (1.0, 1.0)).image, image, atol=1e-5)


def test_jitter_needs_color():
    gray = Sample(np.ones((1, 3, 3), np.float32), np.zeros((3, 3), np.uint8))
    with pytest.raises(InputError, match="no two dyes"):
        StainJitter().apply(gray, (1.0, 1.0))
