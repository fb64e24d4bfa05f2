from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from cellproof.checks import InputError
from cellproof.difficulty.quality import assess, expected_dice, expected_iou, object_confidence


def two_classes(foreground):
    return np.stack([1 - foreground, foreground])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_with_a_certain_truth_expected_dice_is_the_dice(seed):
    truth, mask = np.random.default_rng(seed).random((2, 8, 9)) > 0.5
    expected = 2 * (truth & mask).sum() / (truth.sum() + mask.sum())
    assert expected_dice(truth.astype(np.float32), mask) == pytest.approx(expected, rel=1e-12)


def test_expected_dice_of_calibrated_probabilities_is_the_mean_dice_of_drawn_truths():
    rng = np.random.default_rng(0)
    probability = ndimage.gaussian_filter(rng.random((60, 60)), 2)
    probability = (probability - probability.min()) / np.ptp(probability)
    mask = probability > 0.5
    truths = rng.random((60, 60, 60)) < probability
    dice = [2 * (truth & mask).sum() / (truth.sum() + mask.sum()) for truth in truths]
    assert expected_dice(probability, mask) == pytest.approx(np.mean(dice), abs=0.003)


@pytest.mark.parametrize(
    ("probability", "mask", "expected"),
    [
        ([0.0, 0.0], [False, False], math.nan),
        ([0.2, 0.1], [False, False], math.nan),
        ([0.4, 0.1], [False, False], 0.0),
        ([0.0, 0.0], [True, False], 0.0),
        ([1.0, 1.0], [True, True], 1.0),
        ([1.0], [True], 1.0),
        ([], [], math.nan),
    ],
)
def test_expected_dice_of_degenerate_images(probability, mask, expected):
    found = expected_dice(np.array([probability]), np.array([mask], bool))
    assert found == pytest.approx(expected, nan_ok=True)


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(InputError, match="shapes differ"):
        expected_dice(np.zeros((2, 3)), np.zeros((2, 2), bool))


def test_object_confidence_equals_scipys_mean_over_labels():
    rng = np.random.default_rng(0)
    labels, confidence = rng.integers(0, 5, (20, 20)), rng.random((20, 20))
    np.testing.assert_allclose(object_confidence(labels, confidence), ndimage.mean(confidence, labels, range(1, 5)))


def test_an_id_without_pixels_has_no_confidence_and_no_objects_give_no_rows():
    assert object_confidence(np.array([[1, 3]]), np.array([[0.5, 1]])) == pytest.approx([0.5, np.nan, 1], nan_ok=True)
    assert object_confidence(np.zeros((2, 2), int), np.ones((2, 2))).shape == (0,)


def field(*, inside, outside=0.0):
    """Ten square objects of given confidence each, and their map."""
    labels = np.zeros((40, 100), np.int32)
    foreground = np.full(labels.shape, outside)
    for position, value in enumerate(np.broadcast_to(inside, 10)):
        own = np.s_[5:35, 10 * position + 1 : 10 * position + 9]
        labels[own], foreground[own] = position + 1, value
    return two_classes(foreground), labels


def judge(probabilities, labels, **options):
    return assess(probabilities, labels, sure=probabilities.max(axis=0), **options)


def test_sure_objects_are_accepted():
    quality = judge(*field(inside=0.98))
    assert (quality.verdict, quality.count) == ("accept", 10)
    assert quality.expected_dice == pytest.approx(2 * 0.98 / 1.98)
    assert quality.mean_confidence == pytest.approx(0.98)  # the background's 1.0 is left out
    assert quality.why == "expected Dice 0.99 and few doubtful objects"


def test_many_doubtful_objects_ask_for_a_review():
    quality = judge(*field(inside=[0.7] * 3 + [0.99] * 7))
    assert (quality.verdict, quality.why) == ("review", "3 of 10 objects have a confidence below 0.75")
    assert judge(*field(inside=[0.7] * 2 + [0.99] * 8)).verdict == "accept"


def test_a_middling_expected_dice_asks_for_a_review():
    quality = judge(*field(inside=0.85, outside=0.45))
    assert (quality.verdict, quality.why) == ("review", "expected Dice 0.79 is below 0.8")


def test_a_low_expected_dice_is_rejected_whatever_else_is_said():
    probabilities, labels = field(inside=0.55)
    labels[:, 50:] = 0
    quality = judge(probabilities, labels, drift=["channel 0 is strange"])
    assert quality.verdict == "reject"
    assert quality.why.startswith("expected Dice 0.52 is below 0.6; 5 of 5 objects")
    assert quality.why.endswith("; channel 0 is strange")


def test_drift_alone_asks_for_a_review():
    quality = judge(*field(inside=0.98), drift=["channel 0 is strange"])
    assert (quality.verdict, quality.why) == ("review", "channel 0 is strange")


def test_an_empty_field_is_to_be_looked_at():
    quality = judge(two_classes(np.full((5, 5), 0.01)), np.zeros((5, 5), int))
    assert (quality.verdict, quality.count) == ("review", 0)
    assert math.isnan(quality.expected_dice)
    assert quality.why.startswith("nothing found")


def test_finding_nothing_where_something_was_nearly_found_is_rejected():
    quality = judge(two_classes(np.full((5, 5), 0.4)), np.zeros((5, 5), int))
    assert (quality.verdict, quality.expected_dice) == ("reject", 0)
    assert quality.why.startswith("nothing found, though")


def test_an_image_of_one_sure_pixel_is_accepted():
    assert judge(two_classes(np.ones((1, 1))), np.ones((1, 1), int)).verdict == "accept"


def test_a_confidence_map_of_another_picture_is_refused():
    with pytest.raises(InputError, match="sure"):
        assess(two_classes(np.ones((3, 3))), np.zeros((3, 3), int), sure=np.ones((3, 4)))


def test_expected_iou_of_calibrated_probabilities_is_the_mean_iou_of_drawn_truths():
    rng = np.random.default_rng(0)
    raw = np.exp(3 * np.stack([ndimage.gaussian_filter(rng.normal(size=(60, 60)), 2) * 8 for _ in range(3)]))
    probabilities = raw / raw.sum(axis=0)
    given = probabilities.argmax(axis=0)
    drawn = (rng.random((200, 1, 60, 60)) > np.cumsum(probabilities, axis=0)[:-1]).sum(axis=1)
    for number, expected in enumerate(expected_iou(probabilities, given)):
        pairs = [(truth == number, given == number) for truth in drawn]
        ious = [(one & other).sum() / (one | other).sum() for one, other in pairs]
        assert expected == pytest.approx(np.mean(ious), abs=0.003)


def test_a_class_that_is_nowhere_has_no_expected_iou_and_one_nearly_found_has_none_right():
    probabilities = np.array([[[0.95, 0.6]], [[0.05, 0.1]], [[0.0, 0.3]]])
    first, second, third = expected_iou(probabilities, np.zeros((1, 2), int))
    assert first == pytest.approx(1.55 / 2)
    assert math.isnan(second)
    assert third == 0
