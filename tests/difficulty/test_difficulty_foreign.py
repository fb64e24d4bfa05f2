from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from cellproof.checks import InputError
from cellproof.difficulty.appearance import image_statistics
from cellproof.difficulty.foreign import Look, fit_kinds, foreignness
from cellproof.types import ImageKind

NAMES = ("one", "two", "three")


def drawn(count, *, middle, seed):
    rng = np.random.default_rng(seed)
    root = np.array([[1, 0, 0], [0.9, 0.3, 0], [0, 0, 2]])
    return [dict(zip(NAMES, middle + root @ rng.normal(size=3), strict=True)) for _ in range(count)]


def looked_at(images, names, **options):
    return fit_kinds([Look(one, name) for one, name in zip(images, names, strict=True)], **options).kinds


@pytest.fixture(scope="module")
def kinds():
    images = drawn(200, middle=np.zeros(3), seed=0) + drawn(100, middle=np.full(3, 20.0), seed=1)
    return looked_at(images, ["dark"] * 200 + ["bright"] * 100)


def test_one_in_a_hundred_fresh_images_of_a_kind_lies_beyond_its_line(kinds):
    fresh = [foreignness(one, kinds) for one in drawn(2000, middle=np.zeros(3), seed=2)]
    assert np.mean([one.ratio > 1 for one in fresh]) == pytest.approx(0.01, abs=0.01)
    assert {one.kind for one in fresh} == {"dark"}


def test_what_breaks_a_correlation_is_foreign_though_each_number_is_usual(kinds):
    assert foreignness({"one": 1.5, "two": 1.35, "three": 0.0}, kinds).ratio < 1
    assert foreignness({"one": 1.5, "two": -1.35, "three": 0.0}, kinds).ratio > 1.2


def test_the_nearest_kind_and_the_oddest_statistic_are_named(kinds):
    odd = foreignness({"one": 20.0, "two": 20.0, "three": 90.0}, kinds)
    assert (odd.kind, odd.statistic) == ("bright", "three")
    assert odd.note == "unlike the training images (nearest kind: bright; differs most in three)"
    assert foreignness({"one": 20.0, "two": 20.0, "three": 20.0}, kinds).note == ""


def test_numbers_that_an_image_cannot_tell_do_not_count(kinds):
    assert foreignness(dict.fromkeys(NAMES, np.nan), kinds).ratio == 0
    with pytest.raises(InputError, match="statistics"):
        foreignness({"one": 1.0}, kinds)
    with pytest.raises(InputError, match="at least 2 images"):
        looked_at([{"one": 1.0}], ["only"])


def test_statistics_of_an_image_drawn_by_hand():
    labels = np.zeros((40, 50), np.int32)
    labels[5:15, 5:15], labels[20:30, 20:30] = 1, 2
    image = np.where(labels > 0, 0.8, 0.2)[None].astype(np.float32)
    found = image_statistics(image, labels, (labels > 0) * 1.0, solidity=np.ones(2))
    assert found["object_contrast"] == pytest.approx(5 * 0.6)
    assert found["covered"] == pytest.approx(5 * 200 / 2000)
    assert found["diameter"] == pytest.approx(2 * np.log(np.sqrt(400 / np.pi)))
    assert found["density"] == pytest.approx(np.log(2 * 1e4 / 2000))
    assert found["saturation"] == 0
    assert found["undecided"] == pytest.approx(np.log(0.01))
    red = np.stack([image[0], 0 * image[0], 0 * image[0]])
    assert image_statistics(red, labels, labels * 1.0, solidity=np.ones(2))["object_red_green"] == pytest.approx(4.0)


def test_an_image_without_objects_tells_the_rest():
    empty = np.zeros((9, 9), np.int32)
    found = image_statistics(np.zeros((1, 9, 9)), empty, empty * 0.0, solidity=np.zeros(0))
    assert np.isnan(found["diameter"])
    assert found["covered"] == pytest.approx(5 / 81)


def test_the_oddest_statistic_is_told_in_standard_deviations_not_in_units():
    rng = np.random.default_rng(0)
    images = [{"narrow": rng.normal(0, 1), "wide": rng.normal(0, 50)} for _ in range(300)]
    kinds = looked_at(images, ["dark"] * 300)
    # 8 standard deviations against 2, though the second differs by more than ten times as much.
    assert foreignness({"narrow": 8.0, "wide": 100.0}, kinds).statistic == "narrow"
    assert foreignness({"narrow": 2.0, "wide": 400.0}, kinds).statistic == "wide"


def test_intensities_colors_and_textures_of_drawn_pixels():
    # Ten columns of 0, 0.1, … 0.9 in 20 rows: percentiles and deviations are those of the ten numbers.
    values = np.repeat(np.arange(10) / 10, 4)[None].repeat(20, axis=0)
    labels = np.zeros((20, 40), np.int32)
    labels[:, :4] = 1
    image = np.stack([values, values / 2, np.full_like(values, 0.3)])
    found = image_statistics(image, labels, np.zeros((20, 40)), solidity=np.array([0.9]))
    gray = image.mean(axis=0)
    assert found["dark_intensity"] == pytest.approx(5 * np.percentile(gray, 10), abs=1e-5)
    assert found["median_intensity"] == pytest.approx(5 * np.median(gray), abs=1e-5)
    assert found["bright_intensity"] == pytest.approx(5 * np.percentile(gray, 90), abs=1e-5)
    assert found["intensity_sd"] == pytest.approx(5 * gray.std(), abs=1e-5)
    assert found["red_green"] == pytest.approx(5 * 0.225)
    assert found["yellow_blue"] == pytest.approx(5 * (0.45 * 1.5 / 2 - 0.3))
    # Largest less smallest channel: 0.3 less v/2 below 0.3, v less v/2 up to 0.6, v less 0.3 beyond.
    spread = [0.3, 0.25, 0.2, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6]
    assert found["saturation"] == pytest.approx(5 * np.mean(spread))
    assert found["object_red_green"] == pytest.approx(0)
    assert found["object_yellow_blue"] == pytest.approx(5 * -0.3)
    assert found["solidity"] == pytest.approx(9)


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_contrast_is_measured_between_successive_blurs_on_the_networks_grid(scale):
    image = np.random.default_rng(0).random((64, 64)).astype(np.float32)
    found = image_statistics(image[None], np.zeros((64, 64), int), image, solidity=np.zeros(0), scale=scale)
    blurs = [image, *(ndimage.gaussian_filter(image, width / scale, truncate=2.0) for width in (1, 2, 4, 8, 16))]
    for width, before, after in zip((1, 2, 4, 8, 16), blurs, blurs[1:], strict=False):
        assert found[f"contrast_at_{width}_px"] == pytest.approx(np.log((before - after).std() + 1e-3), abs=0.05)


def test_sizes_density_and_texture_of_objects():
    labels = np.zeros((60, 60), np.int32)
    labels[2:6, 2:6], labels[10:20, 10:20], labels[30:50, 30:50] = 1, 2, 4  # id 3 has no pixels
    image = np.random.default_rng(0).random((60, 60)).astype(np.float32)
    found = image_statistics(image[None], labels, image, solidity=np.array([1.0, 0.8, 0.9]), scale=2.0)
    diameters = np.log(2 * np.sqrt(4 * np.array([16, 100, 400]) / np.pi))
    assert found["diameter"] == pytest.approx(2 * diameters[1])
    low, high = np.percentile(diameters, (10, 90))
    assert found["diameter_spread"] == pytest.approx(high - low)
    assert found["density"] == pytest.approx(np.log(3e4 / (3600 * 4)))
    fine = image - ndimage.gaussian_filter(image, 2.0, truncate=2.0)
    assert found["object_texture"] == pytest.approx(np.log(fine[labels > 0].std() + 1e-3), abs=0.01)


def test_an_object_that_fills_the_image_has_no_contrast():
    found = image_statistics(np.ones((1, 5, 5)), np.ones((5, 5), int), np.ones((5, 5)), solidity=np.ones(1))
    assert (found["object_contrast"], found["covered"]) == (0, 5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_undecided_pixels_are_counted_between_limits_the_last_of_which_is_within(dtype):
    foreground = np.array([[0.0, 0.019, 0.02, 0.05, 0.1, 0.2, 0.29, 0.3, 0.5, 0.7, 0.8, 0.9, 0.91, 1.0]], dtype)
    labels = (foreground > 0.6).astype(int)
    found = image_statistics(foreground[None], labels, foreground, solidity=np.ones(1))
    between = np.histogram(foreground.astype(float), [0.02, 0.1, 0.3, 0.7, 0.9])[0]
    for name, count in zip(("hardly_probable", "improbable", "undecided", "probable"), between, strict=True):
        assert found[name] == pytest.approx(np.log(count / labels.sum() + 0.01)), name


def test_a_kind_is_its_mean_and_a_covariance_drawn_toward_that_of_all():
    images = [{"one": value} for value in (0.0, 2.0, 10.0, 10.0, 10.0, 16.0)]
    first, second = looked_at(images, ["a", "a", "b", "b", "b", "b"], folds=2)
    assert (first.name, first.images, first.mean) == ("a", 2, (1.0,))
    assert (second.name, second.images, second.mean) == ("b", 4, (11.5,))
    pooled = (1.0 + (3 * 1.5**2 + 4.5**2) / 4) / 2
    own = (2 * 1.0 + 10 * pooled) / 12 + 0.05**2
    assert first.whitening[0] == pytest.approx(1 / np.sqrt(own), abs=1e-4)


def test_a_line_is_drawn_by_images_that_their_own_fit_did_not_see():
    values = np.random.default_rng(0).normal(size=40)
    (kind,) = looked_at([{"one": value} for value in values], ["a"] * 40, folds=2)
    even, odd = values[::2], values[1::2]
    far = [np.abs(out - fit.mean()) / np.sqrt(fit.var() + 0.05**2) for out, fit in ((even, odd), (odd, even))]
    assert kind.line == pytest.approx(np.quantile(np.concatenate(far), 0.99), abs=1e-3)


def test_a_kind_of_a_single_image_is_none():
    made = looked_at([{"one": 1.0}, {"one": 2.0}, {"one": 9.0}], ["a", "a", "b"], folds=2)
    assert [kind.name for kind in made] == ["a"]
    with pytest.raises(InputError, match="expected at least one pixel"):
        image_statistics(np.zeros((1, 0, 4)), np.zeros((0, 4), int), np.zeros((0, 4)), solidity=np.zeros(0))


def test_an_image_on_the_line_is_not_foreign():
    kind = ImageKind(name="", images=5, mean=(1.0, 1.0), whitening=(1.0, 0.0, 0.5), line=2.0)
    at = foreignness({"a": 3.0, "b_c": 1.0}, [kind])
    assert (at.ratio, at.note) == (1.0, "")
    beyond = foreignness({"a": 1.0, "b_c": 6.0}, [kind])
    assert beyond.ratio == pytest.approx(1.25)
    assert beyond.note == "unlike the training images (differs most in b c)"


def degraded(images, seed):
    """Copies that differ from their images by much in the second number alone."""
    rng = np.random.default_rng(seed)
    return [{**one, "two": one["two"] + rng.normal(0, 5)} for one in images]


def test_a_kind_is_as_wide_as_its_degraded_copies_but_its_line_is_that_of_images_as_they_are():
    images = drawn(200, middle=np.zeros(3), seed=0)
    looks = [Look(one, "dark", group=str(place)) for place, one in enumerate(images)]
    copies = [Look(one, "dark", group=str(place), copy="bad") for place, one in enumerate(degraded(images, 1))]
    narrow, wide = fit_kinds(looks).kinds, fit_kinds([*looks, *copies]).kinds
    assert wide[0].images == 200
    fresh = drawn(500, middle=np.zeros(3), seed=2)
    bad = degraded(fresh, 3)
    assert np.mean([foreignness(one, narrow).ratio > 1 for one in bad]) > 0.7
    assert np.mean([foreignness(one, wide).ratio > 1 for one in bad]) < 0.2
    assert np.mean([foreignness(one, wide).ratio > 1 for one in fresh]) <= 0.02
    assert foreignness({"one": 9.0, "two": 0.0, "three": 0.0}, wide).ratio > 1


def test_an_image_of_usual_statistics_is_foreign_by_its_deep_features():
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(4, 40))
    deep = rng.normal(size=(120, 4)) @ mixing + rng.normal(0, 0.1, (120, 40))
    images = drawn(120, middle=np.zeros(3), seed=4)
    looks = [Look(one, "dark", deep=own) for one, own in zip(images, deep, strict=True)]
    familiar = fit_kinds(looks)

    def ratio(features):
        usual = dict.fromkeys(NAMES, 0.0)
        return foreignness(usual, familiar.kinds, projection=familiar.projection, deep=features).ratio

    assert ratio(rng.normal(size=4) @ mixing + rng.normal(0, 0.1, 40)) < 1
    assert ratio(rng.normal(size=40) * deep.std(axis=0)) > 1
    assert ratio(None) < 1
