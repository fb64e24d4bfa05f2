from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import label

from cellproof.checks import InputError
from cellproof.difficulty._logistic import apply_logistic, fit_logistic, logit
from cellproof.difficulty.fit import area_under_roc
from cellproof.difficulty.object_trust import (
    agreement,
    cross_fit,
    fold_masks,
    object_features,
    object_truth,
    p_right,
)


def squares():
    """Two touching squares of 6 × 6 px and a single one, cut by the border; with their probability."""
    labels = np.zeros((20, 30), np.int32)
    labels[4:10, 4:10], labels[4:10, 10:16], labels[14:20, 22:28] = 1, 2, 3
    return labels, np.where(labels > 0, 0.9, 0.05)


def test_agreement_is_the_best_iou_with_any_object():
    labels = np.array([[1, 1, 1, 1, 0, 2]])
    rival = np.array([[5, 5, 5, 7, 7, 0]])
    assert agreement(labels, rival) == pytest.approx([3 / 4, 0])
    assert agreement(np.zeros((2, 2), int), np.ones((2, 2), int)).size == 0


def test_contact_is_the_touching_fraction_of_the_outline_and_a_boundary_makes_it_strong():
    labels, foreground = squares()
    boundary = np.zeros(labels.shape)
    weak = object_features(labels, foreground, boundary=boundary)
    assert weak["contact"] == pytest.approx([6 / 24, 6 / 24, 0])
    assert weak["weak_contact"] == pytest.approx([6 / 24, 6 / 24, 0])
    boundary[:, 9:11] = 1
    assert object_features(labels, foreground, boundary=boundary)["weak_contact"] == pytest.approx([0, 0, 0])


def test_features_of_squares_drawn_by_hand():
    labels, foreground = squares()
    found = object_features(labels, foreground, rivals={"same": labels}, solidity=np.ones(3), scale=2.0)
    assert found["mean_probability"] == pytest.approx(np.log(9) * np.ones(3))
    assert found["rim_probability"] == pytest.approx([0.05] * 3)
    assert found["cut"].tolist() == [0, 0, 1]
    assert found["larger"].tolist() == found["smaller"].tolist() == [0, 0, 0]
    assert found["log_diameter"] == pytest.approx(np.log(2 * np.sqrt(4 * 36 / np.pi)) * np.ones(3))
    assert found["solidity"].tolist() == [1, 1, 1]
    assert found["agrees_same"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_object_has_the_features_of_a_loop_over_objects(dtype):
    rng = np.random.default_rng(4)
    for _ in range(12):
        field = ndimage.gaussian_filter(rng.normal(size=(31, 47)), rng.uniform(0.8, 3))
        labels = label(np.digitize(field, np.quantile(field, [0.5, 0.7, 0.9])), connectivity=1).astype(np.int32)
        foreground, boundary = (rng.uniform(-0.01, 1, labels.shape).round(2).astype(dtype) for _ in range(2))
        rival = label(field > np.quantile(field, 0.6)).astype(np.int32)
        found = object_features(labels, foreground, boundary=boundary, height=foreground, rivals={"other": rival})
        # Where several objects are near, a pixel is on the rim of the highest number.
        nearest = np.where(labels == 0, ndimage.grey_dilation(labels, size=5), 0)
        for number in range(1, labels.max() + 1):
            own = labels == number
            values = np.sort(foreground[own]).astype(float)
            low = values[int(np.floor(0.1 * (values.size - 1)))]
            assert found["low_probability"][number - 1] == logit(np.array(low))
            assert found["summit"][number - 1] == values[-1]
            rim = foreground[nearest == number].astype(float)
            assert found["rim_probability"][number - 1] == pytest.approx(rim.mean() if rim.size else 0, abs=1e-12)
            inside = ndimage.binary_erosion(own, np.ones((5, 5), bool), border_value=1)
            values = np.sort(boundary[inside]).astype(float)
            high = values[int(np.floor(0.9 * (values.size - 1)))] if values.size else 0
            assert found["inner_boundary"][number - 1] == high
            others = [rival == other for other in np.unique(rival[own]) if other]
            best = max(((own & other).sum() / (own | other).sum() for other in others), default=0)
            assert found["agrees_other"][number - 1] == best


def test_agreement_is_the_same_in_a_table_and_sorted(monkeypatch):
    rng = np.random.default_rng(0)
    labels, rival = (rng.integers(0, 9, (30, 30)) for _ in range(2))
    in_table = agreement(labels, rival)
    monkeypatch.setattr("cellproof.difficulty.object_trust.MOST_PAIRS", 0)
    np.testing.assert_array_equal(agreement(labels, rival), in_table)


def test_a_boundary_through_an_object_is_seen_inside():
    labels = np.zeros((20, 20), np.int32)
    labels[2:18, 2:18] = 1
    boundary = np.zeros(labels.shape)
    assert object_features(labels, labels * 1.0, boundary=boundary)["inner_boundary"].tolist() == [0]
    boundary[:, 9:11] = 0.8
    assert object_features(labels, labels * 1.0, boundary=boundary)["inner_boundary"] == pytest.approx([0.8])


def test_no_objects_give_empty_features_and_gaps_are_refused():
    found = object_features(np.zeros((5, 5), np.int32), np.zeros((5, 5)), boundary=np.zeros((5, 5)))
    assert {values.shape for values in found.values()} == {(0,)}
    with pytest.raises(InputError, match="gaps"):
        object_features(np.array([[2, 2]]), np.ones((1, 2)))


def test_objects_mostly_without_annotation_have_no_truth():
    labels = np.array([[1, 1, 2, 2, 3, 3]])
    reference = np.array([[4, 4, 0, 0, 6, 6]])
    ignored = np.array([[0, 0, 0, 0, 1, 1]], bool)
    assert object_truth(labels, reference, ignored=ignored) == pytest.approx([1, 0, np.nan], nan_ok=True)
    assert object_truth(labels, reference).tolist() == [1, 0, 1]


def test_a_group_is_left_out_whole_and_probabilities_are_calibrated():
    rng = np.random.default_rng(0)
    evidence = rng.normal(size=4000)
    truth = (rng.random(4000) < 1 / (1 + np.exp(-1 - 2 * evidence))).astype(float)
    groups = np.repeat(np.arange(80), 50)
    for out in fold_masks(groups, 5):
        assert not set(groups[out]) & set(groups[~out])
    given = cross_fit({"evidence": evidence, "noise": rng.normal(size=4000)}, truth, groups)
    assert given == pytest.approx(1 / (1 + np.exp(-1 - 2 * evidence)), abs=0.06)
    model = fit_logistic({"evidence": evidence}, truth)
    assert model.weights[0] / model.sd[0] == pytest.approx(2, abs=0.2)
    with pytest.raises(InputError, match="evidence"):
        p_right(model, {"other": evidence})
    with pytest.raises(InputError, match="fewer folds"):
        fold_masks(np.zeros(5), 2)


def test_area_under_roc_equals_its_definition_over_pairs():
    rng = np.random.default_rng(1)
    score, holds = rng.integers(0, 6, 60), rng.random(60) < 0.4
    one, other = score[holds][:, None], score[~holds][None]
    assert area_under_roc(score, holds) == pytest.approx(((one > other) + 0.5 * (one == other)).mean())
    assert np.isnan(area_under_roc(score, np.ones(60, bool)))


def test_an_object_is_right_from_an_iou_of_a_half_on_and_unknown_where_more_than_half_is_hidden():
    labels = np.array([[1, 1, 1, 1, 2, 2, 2, 2]])
    reference = np.array([[1, 1, 0, 0, 2, 0, 0, 0]])
    assert object_truth(labels, reference).tolist() == [1, 0]
    half = np.array([[0, 0, 1, 1, 0, 0, 1, 1]], bool)
    assert object_truth(labels, reference, ignored=half).tolist() == [1, 1]
    more = np.array([[0, 1, 1, 1, 0, 0, 0, 0]], bool)
    assert object_truth(labels, reference, ignored=more) == pytest.approx([np.nan, 0], nan_ok=True)


def test_an_image_without_objects_has_no_truth_with_or_without_hidden_pixels():
    nothing = np.zeros((2, 3), int)
    assert object_truth(nothing, nothing + 1).shape == (0,)
    assert object_truth(nothing, nothing + 1, ignored=nothing > 0).shape == (0,)


def test_an_object_hidden_whole_is_unknown_though_it_is_the_last():
    labels = np.array([[1, 1, 0, 2, 2]])
    ignored = np.array([[0, 0, 0, 1, 1]], bool)
    assert object_truth(labels, labels, ignored=ignored) == pytest.approx([1, np.nan], nan_ok=True)


def test_sizes_are_log_ratios_to_the_median():
    labels = np.zeros((12, 20), np.int32)
    labels[1:3, 1:3], labels[1:3, 5:9], labels[5:11, 5:17] = 1, 2, 3  # 4, 8 and 72 px
    found = object_features(labels, (labels > 0) * 0.5)
    assert found["larger"] == pytest.approx([0, 0, np.log(9)])
    assert found["smaller"] == pytest.approx([np.log(2), 0, 0])
    assert found["log_diameter"] == pytest.approx(np.log(np.sqrt(4 * np.array([4, 8, 72]) / np.pi)))
    assert found["mean_probability"] == pytest.approx([0, 0, 0])


@pytest.mark.parametrize("place", [np.s_[0, 3], np.s_[-1, 3], np.s_[3, 0], np.s_[3, -1]])
def test_each_edge_of_the_image_cuts(place):
    labels = np.zeros((8, 9), np.int32)
    labels[place], labels[4, 4] = 1, 2
    assert object_features(labels, labels * 0.2)["cut"].tolist() == [1, 0]


def test_contacts_across_rows_and_a_boundary_of_half_strength():
    labels = np.array([[0, 0, 0, 0], [0, 1, 1, 0], [0, 2, 2, 0], [0, 2, 2, 0], [0, 0, 0, 0]], np.int32)
    boundary = np.zeros(labels.shape)
    boundary[2, 1] = 0.5
    found = object_features(labels, labels * 0.4, boundary=boundary)
    assert found["contact"] == pytest.approx([2 / 6, 2 / 8])
    assert found["weak_contact"] == pytest.approx([1.5 / 6, 1.5 / 8])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_below_zero_are_in_order_too(dtype):
    labels = np.zeros((14, 40), np.int32)
    labels[2:12, 1:11], labels[2:12, 15:25], labels[2:12, 28:38] = 1, 2, 3
    boundary = np.zeros(labels.shape, dtype)
    rng = np.random.default_rng(0)
    expected = []
    for own in (np.s_[4:10, 3:9], np.s_[4:10, 17:23], np.s_[4:10, 30:36]):
        values = rng.permutation(np.arange(36) - 40) / 4
        boundary[own] = values.reshape(6, 6)
        expected.append(np.sort(values)[int(0.9 * 35)])
    assert object_features(labels, labels * 0.1, boundary=boundary)["inner_boundary"].tolist() == expected


def test_rows_that_weigh_nothing_teach_nothing():
    rng = np.random.default_rng(0)
    evidence = rng.normal(size=200)
    truth, groups = (evidence > 0).astype(float), np.arange(200)
    lies = np.concatenate([evidence, evidence])
    weights = np.concatenate([np.ones(200), np.zeros(200)])
    given = cross_fit(
        {"evidence": lies}, np.concatenate([truth, 1 - truth]), np.concatenate([groups, groups]), weights=weights
    )
    assert given[:200] == pytest.approx(cross_fit({"evidence": evidence}, truth, groups), abs=1e-4)


def test_groups_take_turns_in_the_order_of_their_names():
    masks = fold_masks(np.array(["b", "a", "c", "a", "d"]), 2)
    assert [mask.tolist() for mask in masks] == [
        [False, True, True, True, False],
        [True, False, False, False, True],
    ]
    assert len(fold_masks(np.arange(3), 3)) == 3


def test_a_feature_that_varies_by_its_last_digit_alone_does_not_count():
    truth = np.array([0.0, 1.0] * 20)
    model = fit_logistic({"flat": 3 + 1e-6 * truth, "told": truth}, truth)
    assert model.sd[0] == 1
    assert p_right(model, {"flat": np.array([3.0, 9.0]), "told": np.array([1.0, 1.0])})[0] > 0.9
    assert abs(model.weights[0]) < 1e-4


def test_an_object_of_the_brightest_pixels_is_clipped():
    image = np.array([[[0.0, 0.3, 1.0, 0.999, 0.5, 0.2]], [[0.1, 0.1, 0.1, 0.1, 0.1, 0.1]]])
    labels = np.array([[0, 1, 1, 2, 2, 0]])
    found = object_features(labels, labels * 0.5, image=image)
    assert found["clipped"].tolist() == [0.5, 0.5]
    assert "clipped" not in object_features(labels, labels * 0.5)


def test_log_odds_that_bend_at_the_mean_are_found_again():
    rng = np.random.default_rng(2)
    x = rng.normal(size=20000)
    odds = 1 + 0.5 * x + 2 * np.maximum(x, 0)
    truth = (rng.random(x.size) < 1 / (1 + np.exp(-odds))).astype(float)
    bent = fit_logistic({"x": x}, truth, bent=True)
    assert (bent.weights[0], bent.bends[0]) == (pytest.approx(0.5, abs=0.1), pytest.approx(2, abs=0.2))
    given = apply_logistic(bent, {"x": np.array([-1.0, 0.0, 1.0])})
    assert given == pytest.approx(1 / (1 + np.exp(-np.array([0.5, 1.0, 3.5]))), abs=0.02)
    assert fit_logistic({"x": x}, truth).bends == ()


def test_a_value_that_is_not_a_number_counts_as_the_mean_of_the_others():
    x = np.array([-1.0, 1.0, np.nan, np.nan])
    model = fit_logistic({"x": x}, np.array([0.0, 1.0, 0.0, 1.0]))
    assert (model.mean, model.sd) == ((0.0,), (1.0,))
    assert apply_logistic(model, {"x": x})[2:] == pytest.approx([0.5, 0.5])
