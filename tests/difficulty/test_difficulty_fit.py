"""The record of a model and its scores, from images whose expectations are given."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cellproof.checks import InputError
from cellproof.difficulty.fit import Judged, OutOfSample, area_under_roc, fit_trust, is_accepted, measure_trust
from cellproof.types import LogisticModel, TrustRecord

RECORD = TrustRecord(
    objects=LogisticModel(),
    f1=LogisticModel(),
    count_log_ratio=(0.0,),
    count_features=(),
    count_error=(0.0, 0.0),
    accept_f1=0.8,
    accept_dice=0.8,
    promise_f1=0.7,
)


def judged(f1, *, dice=0.9, right=(1.0,), group="a", is_copy=False, quality=0.0):
    return Judged(
        group=group,
        is_copy=is_copy,
        objects={"evidence": np.asarray(right) + np.linspace(-1, 1, len(right))},
        right=np.asarray(right, float),
        image={"dice": quality, "missed": 0.0},
        statistics={"size": 0.0},
        expected_dice=dice,
        f1=f1,
        dice=0.9,
        count=len(right),
    )


def apart(f1, foreign=None, right=None, counts=None):
    size = len(f1)
    return OutOfSample(
        right or [np.array([0.75])] * size,
        np.array(f1),
        np.zeros((size, 2)) if counts is None else np.array(counts),
        np.zeros(size) if foreign is None else foreign,
        np.full(size, 0.8),
    )


def test_an_image_is_accepted_at_all_three_thresholds_and_at_none_beyond():
    images = [judged(0.9, dice=dice) for dice in (0.8, 0.79, 0.8, 0.8, math.nan)]
    found = is_accepted(images, apart([0.8, 0.8, 0.79, 0.8, 0.8], np.array([1.0, 0, 0, 1.01, 0])))
    assert found.tolist() == [True, False, False, False, False]
    assert is_accepted(images, apart([0.8] * 5), accept_dice=0.79).tolist() == [True] * 4 + [False]
    assert not is_accepted([judged(0.9, right=())], apart([0.9], right=[np.zeros(0)])).any()


def test_scores_of_a_record_by_hand():
    images = [judged(0.95), judged(0.6), judged(0.92), judged(0.9), judged(math.nan), judged(0.7)]
    given = apart([0.9, 0.85, 0.7, 0.81, 0.9, 0.8], counts=[[1, 0], [1.5, 0.5], [1.5, 0.4], [0, 1], [3, 1], [2, 1]])
    found = measure_trust(images, given, RECORD)
    # Accepted are all but the third; the fifth has no truth; the sixth keeps the promise; good are the first and third.
    assert found["accepted"] == 5
    assert found["accepted_below_promise"] == 1 / 5
    assert found["good_accepted"] == 1 / 2
    assert found["f1_error"] == pytest.approx((0.05 + 0.25 + 0.22 + 0.09 + 0.1) / 5)
    assert found["objects"] == 6
    assert found["object_calibration_error"] == pytest.approx(0.25)
    assert found["f1_rank_correlation"] == pytest.approx(1 - 6 * 18 / 120)  # Spearman: ranks 5 1 4 3 2 and 5 4 1 3 2
    assert "object_auroc" not in found  # all are right
    assert found["count_within_sd"] == round(4 / 6, 4)  # each shows one object


def test_objects_of_unknown_truth_are_not_scored():
    images = [judged(f1, right=(1.0, 0.0, math.nan)) for f1 in (0.8, 0.9)]
    found = measure_trust(images, apart([0.8, 0.9], right=[np.array([0.9, 0.2, 0.0])] * 2), RECORD)
    assert found["objects"] == 4
    assert found["object_auroc"] == 1
    assert found["object_calibration_error"] == pytest.approx(0.15)


def test_a_single_known_image_has_no_rank():
    found = measure_trust([judged(0.9), judged(math.nan)], apart([0.8, 0.8]), RECORD)
    assert "f1_rank_correlation" not in found
    assert found["f1_error"] == pytest.approx(0.1)
    assert area_under_roc(np.array([0.5, 0.5]), np.array([True, False])) == 0.5


def many(count, *, wrong=2):
    """Images of ten objects, of which two are wrong, expected to be as they are."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(count):
        f1 = rng.uniform(0.3, 1)
        right = [0.0] * wrong + [1.0] * (10 - wrong)
        made.append(
            judged(f1, right=right, group=str(number), quality=math.log(f1 / (1 - f1)), is_copy=number % 3 == 0)
        )
    return made


@pytest.mark.parametrize(("wrong", "is_enough"), [(2, True), (1, False), (8, True), (9, False)])
def test_twenty_wrong_objects_and_twenty_right_ones_are_just_enough(wrong, is_enough):
    images = many(10, wrong=wrong)
    if is_enough:
        assert fit_trust(images).images == 10
    else:
        with pytest.raises(InputError, match="10 images, 10 right or wrong objects, expected 10 and 20"):
            fit_trust(images)


def test_the_record_keeps_what_the_promise_is_about_rounded_to_four_digits():
    images = many(60)
    hidden = [judged(0.9, right=[1.0] * 5, group="low", dice=0.79), judged(math.nan, group="empty", dice=0.9)]
    record = fit_trust([*images, *hidden])
    truths = [one.f1 for one in images]
    assert record.held_out_true == tuple(np.round(truths, 4))
    assert len(record.held_out_expected) == 60
    assert all(round(value, 4) == value for value in record.held_out_expected)
    assert round(record.accept_f1, 4) == record.accept_f1
    assert (record.images, record.accept_dice) == (62, 0.8)


def test_an_image_teaches_as_much_as_four_copies():
    rng = np.random.default_rng(1)
    sure = [judged(0.9, right=[1.0] * 7 + [0.0] * 3, group=str(n)) for n in range(12)]
    bad = [judged(0.9, right=[0.0] * 7 + [1.0] * 3, group=str(n), is_copy=True) for n in range(12)]
    for one in [*sure, *bad]:
        one.objects["evidence"][:] = rng.normal(size=10) * 1e-12  # tells nothing: only the intercept is left
    record = fit_trust([*sure, *bad])
    expected = (4 * 0.7 + 0.3) / 5
    assert record.objects.intercept == pytest.approx(math.log(expected / (1 - expected)), abs=2e-3)
