"""Which kinds gain by more views: drawn maps of which one view is worse, as good, or worse by chance."""

from __future__ import annotations

import numpy as np
import pytest

from cellproof.inference.activate import Maps
from cellproof.metrics.objects import ObjectCounts
from cellproof.records import ImageKind
from cellproof.types import IGNORE, InstanceOptions, LogisticModel, Sample, TrustRecord
from cellproof.workflows.train.views import gain, is_gain, with_gains

OPTIONS = InstanceOptions(method="components", smallest_area_px=5)


def squares(seed: int) -> Sample:
    rng = np.random.default_rng(seed)
    instances = np.zeros((60, 60), np.int32)
    for place in range(9):
        top, left = 20 * (place // 3) + 3, 20 * (place % 3) + 3
        instances[top : top + rng.integers(8, 14), left : left + 10] = place + 1
    return Sample(instances[None].astype(np.float32), (instances > 0).astype(np.uint8), instances)


def maps_of(one: Sample, missing: int) -> Maps:
    """Perfect but for the first so many objects, which are not found."""
    assert one.instances is not None
    found = np.where(one.instances > missing, 0.9, 0.1).astype(np.float32)
    return Maps(np.stack([1 - found, found]), {})


def record(*names: str) -> TrustRecord:
    """One that says of every kind that it gains."""
    nothing = LogisticModel()
    kinds = tuple(ImageKind(name, 5, (0.0,), (1.0,), 2.0, gains_by_views=True) for name in names)
    return TrustRecord(nothing, nothing, (0.0,), (), (0.1, 0.1), accept_f1=0.8, accept_dice=0.8, kinds=kinds)


def gaining(kinds: list[str], missing_in_one: list[int], missing_in_more: list[int], *names: str):
    samples = [squares(seed) for seed in range(len(kinds))]
    said: list[str] = []
    found = with_gains(
        record(*names),
        samples,
        kinds,
        lambda i: maps_of(samples[i], missing_in_one[i]),
        lambda i: maps_of(samples[i], missing_in_more[i]),
        options=OPTIONS,
        say=said.append,
    )
    return {kind.name: kind.gains_by_views for kind in found.kinds}, said


def test_a_kind_that_gains_on_every_image_is_said_to_gain_and_the_other_is_not():
    kinds = ["light"] * 6 + ["dark"] * 6
    gains, said = gaining(kinds, [3] * 6 + [1] * 6, [0] * 6 + [1] * 6, "light", "dark")
    assert gains == {"light": True, "dark": False}  # what the record said before is not kept
    # Three of nine objects are missed by one view: AP is 6/9 instead of 1 at every threshold.
    assert len(said) == 1
    assert "'light' gain 0.333 in AP by four views instead of one" in said[0]


def test_a_gain_that_chance_explains_is_none():
    gains, said = gaining(["light"] * 6, [2, 0, 2, 0, 1, 0], [0, 2, 0, 1, 0, 2], "light")
    assert gains == {"light": False}
    assert not said


def test_fewer_than_five_images_show_no_gain_and_unknown_kinds_are_passed_over():
    gains, _ = gaining(["light"] * 4 + ["new"] * 5, [3] * 9, [0] * 9, "light")
    assert gains == {"light": False}


def test_pixels_without_annotation_do_not_count():
    one = squares(0)
    assert one.instances is not None
    class_map = np.where(one.instances == 1, IGNORE, one.class_map).astype(np.uint8)
    hidden = Sample(one.image, class_map, one.instances)
    found = with_gains(
        record("light"),
        [hidden] * 5,
        ["light"] * 5,
        lambda i: maps_of(hidden, 1),
        lambda i: maps_of(hidden, 0),
        options=OPTIONS,
        say=pytest.fail,
    )
    assert not found.kinds[0].gains_by_views


def test_a_gain_is_the_mean_over_thresholds_of_each_images_difference():
    def counts(right: int) -> list[ObjectCounts]:
        return [ObjectCounts(right, 0, 4 - right, 0.9 * right)] * 3

    found = gain([counts(4), counts(3), counts(2), counts(4), counts(4)], [counts(2)] * 5)
    assert found.difference == pytest.approx((0.5 + 0.25 + 0 + 0.5 + 0.5) / 5)
    assert is_gain(found)
    assert not is_gain(gain([counts(2)] * 5, [counts(4)] * 5))
