from __future__ import annotations

import math
import re
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from cellproof.checks import InputError
from cellproof.difficulty.fit import Judged, fit_trust, is_accepted, out_of_sample
from cellproof.difficulty.foreign import Look, fit_kinds
from cellproof.difficulty.image_trust import (
    accept_from,
    expected_count,
    fit_count,
    image_features,
    mean_features,
    missed_candidates,
    right_features,
    with_image,
    with_promise,
)
from cellproof.difficulty.object_trust import fold_masks
from cellproof.difficulty.verdict import judge
from cellproof.types import Promise, TrustRecord

STATISTICS = ("contrast", "size")


def simulated(count=60, *, seed=0, objects=20):
    """Objects are right with a probability that one feature tells; what is missed is seen as candidates."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        quality = rng.normal(1.5, 1.5)
        evidence = rng.normal(quality, 1, objects)
        right = (rng.random(objects) < 1 / (1 + np.exp(-evidence))).astype(float)
        missed = int(rng.integers(0, 8))
        image = {"dice": quality, "undecided": 0.1, "missed": math.log1p(missed / objects), "log_count": 3.0}
        made.append(
            Judged(
                group=str(number),
                is_copy=number % 2 == 1,
                objects=with_image({"evidence": evidence}, image),
                right=right,
                image=image,
                statistics=dict(zip(STATISTICS, rng.normal(0, 1, 2), strict=True)),
                expected_dice=0.9,
                f1=2 * right.sum() / (objects + right.sum() + missed),
                dice=0.9,
                count=int(right.sum() + missed),
            )
        )
    return made


@pytest.fixture(scope="module")
def trust() -> TrustRecord:
    made = simulated(200)
    return fit_trust(made, fit_kinds([Look(one.statistics, "simulated") for one in made]))


def test_the_threshold_is_the_lowest_that_keeps_the_promise():
    expected = np.linspace(0, 1, 1001)
    true = np.where(expected < 0.6, 0.5, 0.9)
    threshold = accept_from(expected, true, below=0.7, fraction=0.05)
    accepted = true[expected >= threshold]
    assert (accepted < 0.7).mean() <= 0.05 < (true[expected >= threshold - 0.01] < 0.7).mean()


def test_where_no_threshold_keeps_the_promise_none_is_accepted():
    expected = np.linspace(0, 1, 50)
    assert accept_from(expected, np.zeros(50), below=0.7, fraction=0.03) > 1
    assert accept_from(np.array([0.9]), np.array([1.0]), below=0.7, fraction=0.03) > 0.9


def test_candidates_are_regions_outside_objects():
    labels = np.array([[1, 1, 0, 0, 0, 0]])
    assert missed_candidates(labels, np.array([[1, 1, 0, 2, 0, 3]])) == 2
    assert missed_candidates(np.zeros((2, 2), int), np.zeros((2, 2), int)) == 0


def test_features_of_an_empty_image_are_finite():
    empty = np.zeros((4, 4), np.int32)
    found = image_features(empty, empty * 0.0, dice=math.nan, candidates=empty, rivals={"finer": empty})
    assert all(math.isfinite(value) for value in {**found, **right_features(np.zeros(0))}.values())


def test_expected_f1_and_probabilities_hold_on_images_not_fitted_on(trust):
    fresh = simulated(300, seed=1)
    given = [
        judge(
            trust,
            objects=one.objects,
            image=one.image,
            statistics=one.statistics,
            expected_dice=0.9,
            mean_confidence=0.9,
        )
        for one in fresh
    ]
    expected = np.array([quality.expected_f1 for quality, _ in given])
    true = np.array([one.f1 for one in fresh])
    assert np.corrcoef(expected, true)[0, 1] > 0.8
    assert expected.mean() == pytest.approx(true.mean(), abs=0.02)
    right = np.concatenate([own for _, own in given])
    assert right.mean() == pytest.approx(np.concatenate([one.right for one in fresh]).mean(), abs=0.02)
    accepted = np.array([quality.verdict == "accept" for quality, _ in given])
    assert accepted.sum() > 50
    assert (true[accepted] < 0.7).mean() <= 0.06
    within = [
        abs(one.count - q.expected_count) <= q.expected_count_sd for one, (q, _) in zip(fresh, given, strict=True)
    ]
    assert 0.55 < np.mean(within) < 0.85


def test_the_metrics_of_the_record_are_those_out_of_sample(trust):
    assert trust.metrics["object_auroc"] == pytest.approx(0.85, abs=0.06)
    assert trust.metrics["object_calibration_error"] < 0.03
    assert trust.metrics["f1_rank_correlation"] > 0.8
    assert trust.metrics["accepted_below_promise"] <= 0.03


def test_an_image_without_objects_is_never_accepted(trust):
    image = {"dice": 0.0, "undecided": 0.0, "missed": 0.0, "log_count": 0.0}
    quality, right = judge(
        trust,
        objects=with_image({"evidence": np.zeros(0)}, image),
        image=image,
        statistics=dict.fromkeys(STATISTICS, 0.0),
        expected_dice=math.nan,
        mean_confidence=1.0,
    )
    assert (quality.verdict, quality.count, right.size) == ("review", 0, 0)
    assert math.isnan(quality.expected_f1)
    assert quality.why.startswith("nothing found")


def test_a_foreign_image_is_to_be_reviewed_however_sure_its_objects_are(trust):
    sure = {"dice": 3.0, "undecided": 0.1, "missed": 0.0, "log_count": 3.0}
    given = {
        "objects": with_image({"evidence": np.full(20, 6.0)}, sure),
        "image": sure,
        "expected_dice": 0.98,
        "mean_confidence": 0.99,
    }
    assert judge(trust, statistics=dict.fromkeys(STATISTICS, 0.0), **given)[0].verdict == "accept"
    quality, _ = judge(trust, statistics=dict.fromkeys(STATISTICS, 9.0), **given)
    assert quality.verdict == "review"
    assert quality.why.startswith("unlike the training images (nearest kind: simulated")


def test_a_low_expected_dice_is_rejected(trust):
    image = {"dice": 3.0, "undecided": 0.1, "missed": 0.0, "log_count": 3.0}
    quality, _ = judge(
        trust,
        objects=with_image({"evidence": np.full(20, 6.0)}, image),
        image=image,
        statistics=dict.fromkeys(STATISTICS, 0.0),
        expected_dice=0.5,
        mean_confidence=0.9,
    )
    assert (quality.verdict, quality.why) == ("reject", "expected Dice 0.50 is below 0.6")


def test_missed_candidates_raise_the_expected_count(trust):
    image = {
        "dice": 1.0,
        "undecided": 0.1,
        "missed": 0.0,
        "log_count": 3.0,
        **right_features(np.full(20, 0.9)),
        "mean_evidence": 2.0,
    }
    few, sd = expected_count(trust, image, 20)
    many, larger_sd = expected_count(trust, {**image, "missed": math.log1p(0.5)}, 20)
    assert many > few
    assert larger_sd > sd > 0


def test_too_few_images_are_refused_and_folds_keep_images_together():
    with pytest.raises(InputError, match="validation too small to fit verdicts on: 4 images"):
        fit_trust(simulated(4))
    assert out_of_sample(simulated(20)).f1.shape == (20,)


def test_a_record_comes_back_from_json(trust):
    assert msgspec.json.decode(msgspec.json.encode(trust), type=TrustRecord) == trust


def test_ten_images_are_just_enough():
    with pytest.raises(InputError, match="too small to fit verdicts on: 9 images"):
        fit_trust(simulated(9))
    ten = simulated(10)
    assert fit_trust(ten, fit_kinds([Look(one.statistics, "simulated") for one in ten])).images == 10


def test_another_promise_is_kept_by_the_held_out_images_and_moves_the_threshold(trust):
    expected, true = np.array(trust.held_out_expected), np.array(trust.held_out_true)
    thresholds = []
    for fraction in (0.05, 0.1, 0.2, 0.4):
        other = with_promise(trust, Promise(fraction, below=0.6))
        accepted = expected >= other.accept_f1
        assert (true[accepted] < 0.6).mean() <= fraction
        assert (other.promise_fraction, other.promise_f1) == (fraction, 0.6)
        thresholds.append(other.accept_f1)
    assert thresholds == sorted(thresholds, reverse=True)
    assert len(set(thresholds)) > 1


def test_the_promise_of_the_file_asked_for_again_changes_nothing(trust):
    again = with_promise(trust, Promise(trust.promise_fraction, trust.promise_f1))
    assert again == trust


def test_a_promise_that_the_held_out_images_cannot_show_is_refused_with_one_that_they_can(trust):
    with pytest.raises(InputError, match=r"no threshold keeps F1 below 1 .* for example promise=[\d.]+") as caught:
        with_promise(trust, Promise(0.001, below=1.0))
    advised = float(re.search(r"promise=([\d.]+)", str(caught.value))[1])
    assert with_promise(trust, Promise(advised)).promise_fraction == advised
    with pytest.raises(InputError, match="expected a fraction"):
        with_promise(trust, Promise(1.5))
    with pytest.raises(InputError, match="train a model anew"):
        with_promise(msgspec.structs.replace(trust, held_out_expected=(), held_out_true=()), Promise(0.1))


def test_features_of_an_image_by_hand():
    labels = np.array([[1, 1, 0, 0, 2, 0]], np.int32)
    foreground = np.array([[0.9, 0.8, 0.1, 0.0, 0.7, 0.5]])
    found = image_features(
        labels,
        foreground,
        dice=0.75,
        candidates=np.array([[1, 1, 0, 0, 2, 3]]),
        rivals={"finer": np.array([[1, 2, 3, 0, 4, 5]])},
    )
    doubt = 0.09 + 0.16 + 0.09 + 0.21 + 0.25
    assert found == pytest.approx(
        {
            "missed": math.log(1 + 1 / 3),
            "dice": math.log(3),
            "undecided": 4 * doubt / 3.0,
            "log_count": math.log(3),
            "finer": math.log(6 / 3),
        }
    )


def test_an_expected_dice_that_is_unknown_counts_as_none_at_all():
    nothing = np.zeros((2, 2), np.int32)
    unknown = image_features(nothing, nothing * 0.0, dice=math.nan, candidates=nothing)
    assert unknown["dice"] == pytest.approx(math.log(0.01 / 0.99))
    assert image_features(nothing, nothing * 0.0, dice=1.0, candidates=nothing)["dice"] == pytest.approx(math.log(99))


def test_features_of_probabilities_by_hand():
    found = right_features(np.array([0.2, 0.5, 0.9, 0.9]))
    mean, fifth = 3.0 / 5, 0.2 + 0.6 * 0.3  # numpy's quantile: 0.2 x 3 = 0.6 of the way from the first to the second
    assert found == pytest.approx(
        {"right": math.log(mean / (1 - mean)), "worst_fifth": math.log(fifth / (1 - fifth)), "doubtful": 1 / 4}
    )
    assert right_features(np.zeros(0)) == {"right": 0.0, "worst_fifth": 0.0, "doubtful": 0.0}
    assert right_features(np.array([0.1]))["doubtful"] == 1


def test_a_region_of_which_a_tenth_lies_in_objects_is_no_missed_candidate():
    candidates = np.array([[1] * 10 + [2] * 11])
    labels = np.zeros_like(candidates)
    labels[0, [0, 10]] = 1
    assert missed_candidates(labels, candidates) == 1
    assert missed_candidates(labels, np.where(candidates == 1, 4, candidates)) == 1  # ids with gaps


@pytest.mark.parametrize(("images", "accepted"), [(19, 0), (20, 20)])
def test_a_promise_needs_twenty_accepted_images(images, accepted):
    expected = np.linspace(0.8, 0.9, images)
    threshold = accept_from(expected, np.ones(images), below=0.7, fraction=0.05)
    assert (expected >= threshold).sum() == accepted


def test_one_failure_more_than_counted_is_reckoned_with():
    expected, true = np.linspace(1, 0, 101), np.ones(101)
    # 24 good images, then one bad: (0 + 1) / (24 + 1) is 4 %, and with the bad one 2 / (n + 1) is 4 % at n = 49.
    true[24] = 0.5
    assert accept_from(expected[:30], true[:30], below=0.7, fraction=0.04) == expected[23]
    assert accept_from(expected[:49], true[:49], below=0.7, fraction=0.04) == expected[48]
    assert accept_from(expected[:48], true[:48], below=0.7, fraction=0.04) == expected[23]


def test_an_f1_at_the_promise_keeps_it_and_an_unknown_one_does_not_count():
    expected, true = np.linspace(1, 0.5, 60), np.full(60, 0.7)
    assert accept_from(expected, true, below=0.7, fraction=0.05) == 0.5
    true[:40] = math.nan
    assert accept_from(expected, true, below=0.7, fraction=0.05) == 0.5
    true[40] = math.nan
    assert accept_from(expected, true, below=0.7, fraction=0.05) == np.nextafter(expected[41], 2)


def test_a_promise_may_ask_for_an_f1_of_one_and_for_any_fraction_between_none_and_all(trust):
    perfect = msgspec.structs.replace(trust, held_out_expected=tuple([0.9] * 40), held_out_true=tuple([1.0] * 40))
    # All expectations are equal, so that the threshold is the highest of them.
    kept = with_promise(perfect, Promise(0.03, below=1.0))
    assert (kept.accept_f1, kept.promise_f1, kept.promise_fraction) == (0.9, 1.0, 0.03)
    for promise in (Promise(0.0, 0.7), Promise(1.0, 0.7), Promise(0.03, 0.0), Promise(0.03, 1.01)):
        with pytest.raises(InputError, match="expected a fraction"):
            with_promise(perfect, promise)


@pytest.mark.parametrize(("bad", "advised"), [(0, "0.02"), (1, "0.03"), (7, "0.1"), (39, "0.5"), (60, "0.9")])
def test_the_advised_promise_is_the_strictest_usual_one_that_is_kept(trust, bad, advised):
    # All expectations are equal: the threshold accepts all 80, of which so many fail.
    truth = [0.5] * bad + [0.9] * (80 - bad)
    same = msgspec.structs.replace(trust, held_out_expected=tuple([0.9] * 80), held_out_true=tuple(truth))
    with pytest.raises(InputError, match=rf"80 held-out results .* promise={re.escape(advised)}$"):
        with_promise(same, Promise(0.001, below=0.7))


def test_counts_are_corrected_by_the_ratio_that_the_images_show():
    rng = np.random.default_rng(0)
    found, missed = rng.integers(20, 80, 400), rng.normal(size=400)
    true = (found + 0.5) * np.exp(0.2 + 0.5 * missed) - 0.5
    model = fit_count({"missed": missed, "other": missed}, found, true, expected_f1=rng.uniform(0.5, 1, 400))
    slope, error = model.log_ratio, model.error
    assert model.features == ("missed",)
    # The ridge of 1 on the coefficient alone holds it back by a part in 400 of what it would be.
    assert slope[1] == pytest.approx(0.5 * (missed @ missed) / (missed @ missed + 1), abs=1e-3)
    assert slope[0] == pytest.approx(0.2, abs=1e-3)
    assert error[0] == pytest.approx(0.01, abs=0.002)


def test_the_error_of_a_count_is_the_line_that_two_in_three_stay_below():
    rng = np.random.default_rng(1)
    found, f1 = rng.integers(100, 900, 4000), rng.uniform(0.3, 1, 4000)
    true = (found + 1) * (1 + rng.normal(size=4000) * (0.05 + 0.2 * (1 - f1)))
    base, growth = fit_count({}, found, true, f1).error
    assert (base, growth) == (pytest.approx(0.05, abs=0.01), pytest.approx(0.2, abs=0.03))


def test_one_image_of_a_hundred_missed_objects_hardly_moves_the_correction():
    found = np.full(101, 20)
    true = np.array([20] * 100 + [2000])
    (intercept,) = fit_count({}, found, true, np.ones(101)).log_ratio
    assert 0 <= intercept < 0.005


def test_the_worst_of_the_image_is_evidence_on_each_object():
    image = {"dice": 1.0, "undecided": 2.0, "missed": 3.0, "log_count": 4.0, "right": 5.0}
    found = with_image({"size": np.array([7.0, 8.0])}, image)
    assert {name: values.tolist() for name, values in found.items()} == {
        "size": [7, 8],
        "image_dice": [1, 1],
        "image_undecided": [2, 2],
        "image_missed": [3, 3],
        "image_log_count": [4, 4],
    }


def test_an_image_is_judged_by_numbers_and_a_threshold_that_others_chose():
    made = simulated(100)
    apart = out_of_sample(made, promise=Promise(0.1))
    true = np.array([one.f1 for one in made])
    for out in fold_masks(np.array([one.group for one in made]), 5):
        (threshold,) = set(apart.accept_f1[out])
        assert (true[~out & (apart.f1 >= threshold)] < 0.7).mean() <= 0.1
    assert len(set(apart.accept_f1)) > 1
    assert (is_accepted(made, apart) == (apart.f1 >= apart.accept_f1)).all()
    # What is known of an image does not change what is expected of it.
    worse = [replace(one, f1=0.0) if place == 3 else one for place, one in enumerate(made)]
    assert out_of_sample(worse).f1[3] == apart.f1[3]


def test_an_image_without_objects_is_never_accepted_out_of_sample():
    made = simulated(20)
    before = out_of_sample(made)
    empty = replace(made[0], right=np.zeros(0), objects={"evidence": np.zeros(0)})
    assert not is_accepted([empty], replace(before, f1=np.ones(1), foreign=np.zeros(1), accept_f1=np.zeros(1)))[0]


def test_means_of_objects_count_as_usual_where_there_are_none():
    objects = {"agrees_lower": np.array([0.5, 1.0]), "contact": np.array([0.5, 1.0])}
    assert mean_features(objects) == {"mean_agrees_lower": 0.75}
    assert math.isnan(mean_features({"solidity": np.zeros(0)})["mean_solidity"])
