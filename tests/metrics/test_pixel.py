"""Pixel metrics: laws, scikit-learn as oracle, and the table of degenerate cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellproof.checks import InputError
from cellproof.metrics import pixel
from cellproof.metrics.pixel import Confusion, confusion, mean_over_classes, missed

CLASSES = 3
FORMULAS = [pixel.iou, pixel.dice, pixel.f1, pixel.precision, pixel.recall]
seeds = st.integers(0, 2**32 - 1)


def class_maps(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    reference = rng.integers(0, CLASSES, (12, 9)).astype(np.uint8)
    prediction = np.where(rng.random(reference.shape) < 0.6, reference, rng.integers(0, CLASSES, reference.shape))
    return prediction.astype(np.uint8), reference


def count(prediction: list[int], reference: list[int], classes: int = 2) -> Confusion:
    return confusion(np.array(prediction, int), np.array(reference, int), classes=classes)


@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_the_matrix_equals_scikit_learns(seed: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    prediction, reference = class_maps(seed)
    wanted = metrics.confusion_matrix(reference.ravel(), prediction.ravel(), labels=range(CLASSES))
    np.testing.assert_array_equal(confusion(prediction, reference, classes=CLASSES).counts, wanted)


@pytest.mark.parametrize(
    ("formula", "oracle"),
    [
        (pixel.iou, "jaccard_score"),
        (pixel.dice, "f1_score"),
        (pixel.f1, "f1_score"),
        (pixel.precision, "precision_score"),
        (pixel.recall, "recall_score"),
    ],
)
def test_each_formula_equals_scikit_learns(formula, oracle: str) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    for seed in range(5):
        prediction, reference = class_maps(seed)
        wanted = getattr(metrics, oracle)(reference.ravel(), prediction.ravel(), average=None)
        # Both divide the same whole numbers, so only the last bit may differ.
        np.testing.assert_allclose(formula(confusion(prediction, reference, classes=CLASSES)), wanted, rtol=1e-15)


def test_accuracy_and_class_means_equal_scikit_learns() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    prediction, reference = class_maps(3)
    counts = confusion(prediction, reference, classes=CLASSES)
    flat = reference.ravel(), prediction.ravel()
    assert pixel.accuracy(counts) == pytest.approx(metrics.accuracy_score(*flat), rel=1e-15)
    assert mean_over_classes(counts, pixel.iou) == pytest.approx(metrics.jaccard_score(*flat, average="macro"))
    without = metrics.f1_score(*flat, average="macro", labels=[1, 2])
    assert mean_over_classes(counts, pixel.dice, without_class=0) == pytest.approx(without)


def test_a_never_predicted_class_enters_the_mean_precision_as_scikit_learns_zero() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    reference, prediction = [0, 0, 1, 1, 2, 2], [0, 0, 1, 0, 0, 1]
    wanted = metrics.precision_score(reference, prediction, average="macro", zero_division=0)
    assert mean_over_classes(count(prediction, reference, 3), pixel.precision) == pytest.approx(wanted)


@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_a_class_map_agrees_with_itself_perfectly(seed: int) -> None:
    _, reference = class_maps(seed)
    counts = confusion(reference, reference, classes=CLASSES)
    present = counts.referenced > 0
    for formula in FORMULAS:
        assert (formula(counts)[present] == 1).all()
    assert pixel.accuracy(counts) == 1


@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_scores_lie_between_zero_and_one_and_iou_below_dice(seed: int) -> None:
    counts = confusion(*class_maps(seed), classes=CLASSES)
    for formula in FORMULAS:
        values = formula(counts)
        assert ((values >= 0) & (values <= 1) | np.isnan(values)).all()
    np.testing.assert_allclose(pixel.iou(counts), pixel.dice(counts) / (2 - pixel.dice(counts)))


@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_exchanging_the_two_exchanges_precision_and_recall_and_keeps_dice(seed: int) -> None:
    prediction, reference = class_maps(seed)
    there = confusion(prediction, reference, classes=CLASSES)
    back = confusion(reference, prediction, classes=CLASSES)
    np.testing.assert_array_equal(pixel.dice(there), pixel.dice(back))
    np.testing.assert_array_equal(pixel.iou(there), pixel.iou(back))
    np.testing.assert_array_equal(pixel.precision(there), pixel.recall(back))


@given(seed=seeds, order=st.permutations(range(CLASSES)))
@settings(max_examples=30, deadline=None)
def test_renumbering_classes_renumbers_the_scores(seed: int, order: list[int]) -> None:
    prediction, reference = class_maps(seed)
    number = np.array(order)
    renumbered = confusion(number[prediction], number[reference], classes=CLASSES)
    original = confusion(prediction, reference, classes=CLASSES)
    for formula in FORMULAS:
        np.testing.assert_array_equal(formula(renumbered)[number], formula(original))


@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_counts_of_two_halves_add_up_to_those_of_the_whole(seed: int) -> None:
    prediction, reference = class_maps(seed)
    reference[0, :3] = 255
    whole = confusion(prediction, reference, classes=CLASSES)
    halves = confusion(prediction[:5], reference[:5], classes=CLASSES) + confusion(
        prediction[5:], reference[5:], classes=CLASSES
    )
    np.testing.assert_array_equal(halves.counts, whole.counts)


def test_pixels_without_annotation_do_not_count() -> None:
    assert count([0, 1, 1, 0], [0, 1, 255, 255]).counts.tolist() == [[1, 0], [0, 1]]


def test_another_ignore_value_frees_255_and_none_ignores_nothing() -> None:
    reference = np.array([0, 1, 7], np.uint16)
    assert confusion(np.array([0, 1, 1]), reference, classes=2, ignore=7).counts.sum() == 2
    with pytest.raises(InputError, match="reference contains class 255, expected 0…1"):
        confusion(np.array([0]), np.array([255]), classes=2, ignore=None)


def test_pixels_without_prediction_are_missed_by_their_class_and_false_in_none() -> None:
    counts = count([0, 255, 1, 255], [0, 0, 1, 1])
    assert counts.unpredicted.tolist() == [1, 1]
    assert pixel.recall(counts).tolist() == [0.5, 0.5]
    assert pixel.precision(counts).tolist() == [1, 1]
    assert pixel.iou(counts).tolist() == [0.5, 0.5]
    assert pixel.accuracy(counts) == 0.5


def test_an_image_without_prediction_equals_one_predicted_nowhere() -> None:
    _, reference = class_maps(1)
    reference[:2] = 255
    nowhere = confusion(np.full_like(reference, 255), reference, classes=CLASSES)
    without = missed(reference, classes=CLASSES)
    np.testing.assert_array_equal(without.counts, nowhere.counts)
    np.testing.assert_array_equal(without.unpredicted, nowhere.unpredicted)


NAN = float("nan")
# prediction, reference, then of class 1: IoU, Dice, precision, recall; accuracy; mean IoU
DEGENERATE = {
    "no pixel": ([], [], NAN, NAN, NAN, NAN, NAN, NAN),
    "nothing annotated": ([0, 1], [255, 255], NAN, NAN, NAN, NAN, NAN, NAN),
    "class in neither": ([0, 0], [0, 0], NAN, NAN, NAN, NAN, 1, 1),
    "class only in the reference": ([0, 0], [0, 1], 0, 0, NAN, 0, 0.5, 0.25),
    "class only in the prediction": ([0, 1], [0, 0], 0, 0, 0, NAN, 0.5, 0.25),
    "all foreground": ([1, 1], [1, 1], 1, 1, 1, 1, 1, 1),
    "one pixel, wrong": ([1], [0], 0, 0, 0, NAN, 0, 0),
}


@pytest.mark.parametrize("case", DEGENERATE.values(), ids=DEGENERATE.keys())
def test_degenerate_cases_have_the_documented_value(case) -> None:
    prediction, reference, iou, dice, precision, recall, accuracy, mean_iou = case
    counts = count(prediction, reference)
    found = [formula(counts)[1] for formula in (pixel.iou, pixel.dice, pixel.precision, pixel.recall)]
    found += [pixel.accuracy(counts), mean_over_classes(counts, pixel.iou)]
    np.testing.assert_array_equal(found, [iou, dice, precision, recall, accuracy, mean_iou])


@pytest.mark.parametrize(
    ("prediction", "reference", "message"),
    [
        (np.zeros((2, 3), int), np.zeros((3, 2), int), r"shapes differ: prediction \(2, 3\), reference \(3, 2\)"),
        (np.zeros(2), np.zeros(2, int), "prediction has dtype float64"),
        (np.array([2]), np.array([0]), "prediction contains class 2, expected 0…1"),
        (np.array([0]), np.array([9]), "reference contains class 9, expected 0…1"),
    ],
)
def test_unusable_arrays_are_refused_with_a_line_that_says_why(prediction, reference, message: str) -> None:
    with pytest.raises(InputError, match=message):
        confusion(prediction, reference, classes=2)


def test_counts_of_different_class_lists_do_not_add() -> None:
    with pytest.raises(InputError, match="shapes differ"):
        count([0], [0], 2) + count([0], [0], 3)
