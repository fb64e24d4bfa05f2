"""The verdict at and beside each of its thresholds, of a record whose expectations are known numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cellproof.difficulty.image_trust import expected_count, expected_f1
from cellproof.difficulty.verdict import judge
from cellproof.types import ImageKind, LogisticModel, TrustRecord


def record(f1=0.9, *, accept_f1=0.8, accept_dice=0.8, right=0.9, **others):
    """Every image is expected to have this F1, and every object to be right with this probability."""
    return TrustRecord(
        objects=LogisticModel(("size",), (0.0,), (1.0,), (0.0,), math.log(right / (1 - right))),
        f1=LogisticModel(("flat",), (0.0,), (1.0,), (0.0,), math.log(f1 / (1 - f1))),
        accept_f1=accept_f1,
        accept_dice=accept_dice,
        promise_f1=0.7,
        promise_fraction=0.03,
        **{"count_log_ratio": (0.0,), "count_features": (), "count_error": (0.0, 0.1), **others},
    )


def verdict(trust, *, dice=0.9, objects=4, statistics=None):
    quality, right = judge(
        trust,
        objects={"size": np.zeros(objects)},
        image={"flat": 0.0},
        statistics={"red": 0.0} if statistics is None else statistics,
        expected_dice=dice,
        mean_confidence=0.95,
    )
    return quality, right


def test_an_image_at_its_thresholds_is_accepted_with_both_numbers():
    trust = record()
    found = expected_f1(trust, {"flat": 0.0})
    quality, right = verdict(record(accept_f1=found), dice=0.8)
    assert (quality.verdict, quality.why) == ("accept", "expected F1 0.90 and Dice 0.80")
    assert (quality.count, quality.expected_f1, quality.expected_dice) == (4, found, 0.8)
    assert quality.mean_confidence == 0.95
    assert right == pytest.approx([0.9] * 4)


@pytest.mark.parametrize(
    ("f1", "dice", "expected", "why"),
    [
        (0.9, 0.79, "review", "expected Dice 0.79 is below 0.8"),
        (0.9, 0.6, "review", "expected Dice 0.60 is below 0.8"),
        (0.9, 0.59, "reject", "expected Dice 0.59 is below 0.6"),
        (0.75, 0.9, "review", "expected F1 0.75 is below 0.8"),
        (0.5, 0.9, "review", "expected F1 0.50 is below 0.8"),
        (0.49, 0.9, "reject", "expected F1 0.49 is below 0.5"),
        (0.75, 0.7, "review", "expected F1 0.75 is below 0.8; expected Dice 0.70 is below 0.8"),
        (0.4, 0.7, "reject", "expected F1 0.40 is below 0.5; expected Dice 0.70 is below 0.8"),
    ],
)
def test_each_threshold_is_named_by_the_verdict_that_it_gives(f1, dice, expected, why):
    quality, _ = verdict(record(f1), dice=dice)
    assert (quality.verdict, quality.why) == (expected, why)


@pytest.mark.parametrize(
    ("dice", "expected", "why"),
    [
        (math.nan, "review", "nothing found and no pixel came near it: check that the image is really empty"),
        (0.0, "reject", "nothing found, though some pixels came near"),
    ],
)
def test_an_image_without_objects_has_no_expected_f1(dice, expected, why):
    quality, right = verdict(record(), dice=dice, objects=0)
    assert (quality.verdict, quality.why, quality.count, right.size) == (expected, why, 0, 0)
    assert math.isnan(quality.expected_f1)


def test_a_foreign_image_is_called_that_after_the_other_reasons():
    kind = ImageKind(name="dark", images=9, mean=(0.0,), whitening=(1.0,), line=2.0)
    trust = record(kinds=(kind,))
    assert verdict(trust, statistics={"red": 2.0})[0].verdict == "accept"
    quality, _ = verdict(trust, statistics={"red": 2.1}, dice=0.7)
    assert quality.verdict == "review"
    unlike = "unlike the training images (nearest kind: dark; differs most in red)"
    assert quality.why == f"expected Dice 0.70 is below 0.8; {unlike}"


@pytest.mark.parametrize(
    ("f1", "dice", "red", "gains", "asks"),
    [
        (0.9, 0.9, 0.0, False, False),
        (0.75, 0.9, 0.0, False, True),  # what was found is in doubt
        (0.9, 0.79, 0.0, False, True),
        (0.4, 0.9, 0.0, False, True),
        (0.9, 0.9, 9.0, False, False),  # only unlike the training images, which more views do not mend
        (0.75, 0.9, 9.0, False, True),
        (0.9, 0.9, 0.0, True, True),  # accepted, and of a kind that gains
        (0.9, 0.9, 9.0, True, True),
    ],
)
def test_more_views_are_asked_for_by_doubt_in_the_result_and_by_kinds_that_gain(f1, dice, red, gains, asks):
    kinds = (
        ImageKind(name="dark", images=9, mean=(0.0,), whitening=(1.0,), line=2.0, gains_by_views=gains),
        ImageKind(name="far", images=9, mean=(100.0,), whitening=(1.0,), line=2.0, gains_by_views=not gains),
    )
    quality, _ = verdict(record(f1, kinds=kinds), dice=dice, statistics={"red": red})
    assert quality.asks_views == asks
    assert ("unlike" in quality.why) == (red > 2)


def test_more_views_are_asked_for_where_nothing_is_found():
    assert verdict(record(), dice=math.nan, objects=0)[0].asks_views


def test_the_expected_count_by_hand():
    trust = record(0.75, count_log_ratio=(0.1, 2.0), count_features=("missed",), count_error=(0.02, 0.4))
    expected, sd = expected_count(trust, {"flat": 0.0, "missed": 0.2}, 10)
    assert expected == pytest.approx(10.5 * math.exp(0.5) - 0.5)
    assert sd == pytest.approx((0.02 + 0.4 * 0.25) * (expected + 1))


def test_a_count_is_corrected_by_a_factor_of_e_squared_at_most_and_is_never_negative():
    trust = record(count_log_ratio=(0.0, 1.0), count_features=("missed",), count_error=(0.0, 0.0))
    assert expected_count(trust, {"flat": 0.0, "missed": 9.0}, 10)[0] == pytest.approx(10.5 * math.exp(2) - 0.5)
    assert expected_count(trust, {"flat": 0.0, "missed": -9.0}, 100)[0] == pytest.approx(100.5 * math.exp(-2) - 0.5)
    assert expected_count(trust, {"flat": 0.0, "missed": -9.0}, 0) == (0.0, 0.0)
