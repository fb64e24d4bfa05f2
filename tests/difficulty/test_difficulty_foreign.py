from __future__ import annotations

import numpy as np
import pytest

from cellproof.checks import InputError
from cellproof.difficulty.appearance import image_statistics
from cellproof.difficulty.foreign import Look, fit_kinds, foreignness

NAMES = ("one", "two", "three")


def drawn(count, *, middle, seed):
    rng = np.random.default_rng(seed)
    root = np.array([[1, 0, 0], [0.9, 0.3, 0], [0, 0, 2]])
    return [dict(zip(NAMES, middle + root @ rng.normal(size=3), strict=True)) for _ in range(count)]


def looked_at(images, names):
    return fit_kinds([Look(one, name) for one, name in zip(images, names, strict=True)]).kinds


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
