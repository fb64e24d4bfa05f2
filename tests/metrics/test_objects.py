"""Object metrics: laws, StarDist's matching as oracle, drawn merges and splits, degenerate cases."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellproof.checks import InputError
from cellproof.metrics import objects
from cellproof.metrics.objects import THRESHOLDS, Mistakes, ObjectCounts, count_matches, count_mistakes, match, overlap

FORMULAS = [
    objects.average_precision,
    objects.f1,
    objects.precision,
    objects.recall,
    objects.panoptic_quality,
    objects.mean_matched_iou,
]
LOW = (0.05, 0.1, 0.2, 0.3, 0.4)
seeds = st.integers(0, 2**32 - 1)


def boxes(rng: np.random.Generator, count: int, size: int = 24) -> np.ndarray:
    """Label image of random boxes painted over each other; some vanish, so ids have gaps."""
    labels = np.zeros((size, size), np.int32)
    for number in range(1, count + 1):
        row, column = rng.integers(0, size - 3, 2)
        height, width = rng.integers(1, 10, 2)
        labels[row : row + height, column : column + width] = number
    return labels


def label_images(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A reference, and either a disturbed copy of it or something unrelated."""
    rng = np.random.default_rng(seed)
    reference = boxes(rng, int(rng.integers(0, 12)))
    if rng.random() < 0.2:
        return boxes(rng, int(rng.integers(0, 12))), reference
    prediction = np.roll(reference, rng.integers(-1, 2, 2), (0, 1))
    prediction[rng.random(prediction.shape) < rng.choice([0, 0.1, 0.3])] = 0
    cut = int(rng.integers(0, 24))
    prediction[cut:] += (prediction[cut:] > 0) * 20
    return prediction, reference


def mosaic(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two partitions of strips into touching pieces, where pairs of equal IoU abound."""
    rng = np.random.default_rng(seed)
    return tuple(np.cumsum(rng.random((6, 8)) < 0.4).reshape(6, 8).astype(np.int32) for _ in range(2))


def draw(*lines: str) -> np.ndarray:
    """Label image from a drawing: letters are objects, dots background."""
    return np.array([[0 if mark == "." else ord(mark) - ord("a") + 1 for mark in line] for line in lines])


def assert_equals_stardist(prediction: np.ndarray, reference: np.ndarray, thresholds) -> None:
    stardist = pytest.importorskip("stardist.matching")
    wanted = stardist.matching(reference, prediction, thresh=list(thresholds))
    overlaps = overlap(prediction, reference)
    for threshold, theirs in zip(thresholds, wanted, strict=True):
        ours = count_matches(overlaps, threshold)
        assert (ours.tp, ours.fp, ours.fn) == (theirs.tp, theirs.fp, theirs.fn)
        found = [formula(ours) for formula in FORMULAS]
        named = ["accuracy", "f1", "precision", "recall", "panoptic_quality", "mean_matched_score"]
        # StarDist keeps IoU in float32 and says 0 where a ratio is 0/0.
        np.testing.assert_allclose(np.nan_to_num(found), [getattr(theirs, name) for name in named], rtol=1e-6)


@given(seed=seeds)
@settings(max_examples=60, deadline=None)
def test_counts_and_formulas_equal_stardists_matching(seed: int) -> None:
    assert_equals_stardist(*label_images(seed), LOW + THRESHOLDS)


@given(seed=seeds)
@settings(max_examples=60, deadline=None)
def test_counts_of_tied_objects_equal_stardists_matching(seed: int) -> None:
    # Equal totals may be reached with different pairs, of which different IoU lie above the threshold: which comes out
    # depends on rounding (StarDist keeps float32), so the sum of IoU is no part of the law.
    stardist = pytest.importorskip("stardist.matching")
    prediction, reference = mosaic(seed)
    expected = stardist.matching(reference, prediction, thresh=list(LOW + THRESHOLDS))
    ours = [count_matches(overlap(prediction, reference), threshold) for threshold in LOW + THRESHOLDS]
    assert [(c.tp, c.fp, c.fn) for c in ours] == [(e.tp, e.fp, e.fn) for e in expected]


@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_the_shortcut_for_high_thresholds_equals_the_assignment(seed: int) -> None:
    for overlaps in (overlap(*mosaic(seed)), overlap(*label_images(seed))):
        for threshold in (0.5, 0.6, 0.9):
            iou = overlaps.iou
            shortcut = objects._only_partners(overlaps, threshold)
            assigned = objects._assign(overlaps, threshold)
            assert len(shortcut) == len(assigned)
            assert iou[shortcut].sum() == pytest.approx(iou[assigned].sum())


def test_an_iou_of_exactly_the_threshold_is_a_match() -> None:
    reference = np.ones((1, 20), int)
    for threshold in THRESHOLDS:
        prediction = np.zeros_like(reference)
        prediction[0, : round(20 * threshold)] = 1
        assert count_matches(overlap(prediction, reference), threshold).tp == 1


def test_two_halves_at_exactly_half_give_one_match_and_one_false_object() -> None:
    assert astuple(count_matches(overlap(draw("aabb"), draw("aaaa")), 0.5)) == (1, 1, 0, 0.5)
    assert astuple(count_matches(overlap(draw("aaaa"), draw("aabb")), 0.5)) == (1, 0, 1, 0.5)


def test_the_assignment_prefers_more_matches_to_a_better_one() -> None:
    # b-x is the best pair, yet a-x and b-y make two.
    reference, prediction = draw("aabbbbb."), draw("xxxxxyy.")
    found = match(overlap(prediction, reference), 0.2)
    assert len(found.iou) == 2
    assert found.reference_ids.tolist() == [1, 2]
    assert found.prediction_ids.tolist() == [24, 25]


@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_a_label_image_matches_itself_at_every_threshold(seed: int) -> None:
    _, reference = label_images(seed)
    reference[0, 0] = 99
    overlaps = overlap(reference, reference)
    for threshold in (*THRESHOLDS, 1.0):
        assert [formula(count_matches(overlaps, threshold)) for formula in FORMULAS] == [1] * 6
    assert count_mistakes(overlaps) == Mistakes(0, 0, 0, 0)


@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_scores_lie_between_zero_and_one_and_fall_with_the_threshold(seed: int) -> None:
    overlaps = overlap(*label_images(seed))
    counts = [count_matches(overlaps, threshold) for threshold in THRESHOLDS]
    for formula in FORMULAS:
        values = np.array([formula(count) for count in counts])
        assert ((values >= 0) & (values <= 1) | np.isnan(values)).all()
    matched = [count.tp for count in counts]
    assert matched == sorted(matched, reverse=True)


@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_relabeling_changes_nothing(seed: int) -> None:
    prediction, reference = label_images(seed)
    rng = np.random.default_rng(seed)
    # One numbering within uint16, one with huge ids that cannot be counted in a table.
    for largest in (65535, 2**60):
        numbers = np.concatenate([[0], np.sort(rng.integers(1, largest, 60))])
        rng.shuffle(numbers[1:])
        if len(np.unique(numbers)) < len(numbers):
            continue
        original, relabeled = overlap(prediction, reference), overlap(numbers[prediction], numbers[reference])
        for threshold in (0.2, 0.5, 0.75):
            ours, theirs = count_matches(original, threshold), count_matches(relabeled, threshold)
            assert astuple(ours) == pytest.approx(astuple(theirs))
        assert count_mistakes(original) == count_mistakes(relabeled)


@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_exchanging_the_two_exchanges_false_and_missed_merged_and_split(seed: int) -> None:
    prediction, reference = label_images(seed)
    there, back = overlap(prediction, reference), overlap(reference, prediction)
    for threshold in (0.2, 0.5, 0.75):
        ours, theirs = count_matches(there, threshold), count_matches(back, threshold)
        assert (ours.tp, ours.fp, ours.fn) == (theirs.tp, theirs.fn, theirs.fp)
        assert ours.iou_sum == pytest.approx(theirs.iou_sum)
    found, exchanged = count_mistakes(there), count_mistakes(back)
    assert (found.merges, found.misses) == (exchanged.splits, exchanged.false)


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_two_images_side_by_side_count_as_their_sum(seed: int) -> None:
    one, two = label_images(seed), label_images(seed + 1)
    both = [np.hstack([left, np.where(right > 0, right + 100, 0)]) for left, right in zip(one, two, strict=True)]
    whole, parts = overlap(*both), (overlap(*one), overlap(*two))
    total = count_matches(parts[0], 0.5) + count_matches(parts[1], 0.5)
    assert astuple(total) == pytest.approx(astuple(count_matches(whole, 0.5)))
    assert count_mistakes(parts[0]) + count_mistakes(parts[1]) == count_mistakes(whole)


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_shared_pixels_equal_scikit_images_contingency_table(seed: int) -> None:
    skimage = pytest.importorskip("skimage.metrics")
    prediction, reference = label_images(seed)
    table = skimage.contingency_table(reference, prediction, sparse_type="array").toarray()
    overlaps = overlap(prediction, reference)
    rows, columns = overlaps.reference_ids[overlaps.pairs[:, 0]], overlaps.prediction_ids[overlaps.pairs[:, 1]]
    np.testing.assert_array_equal(overlaps.shared_px, table[rows, columns])
    assert overlaps.shared_px.sum() == table[1:, 1:].sum()
    np.testing.assert_array_equal(overlaps.reference_areas_px, table.sum(axis=1)[overlaps.reference_ids])


MISTAKES = {
    "perfect": (("aabb", "...."), ("aabb", "...."), Mistakes(0, 0, 0, 0)),
    "one prediction over two objects": (("aaaa",), ("aabb",), Mistakes(1, 0, 0, 0)),
    "one prediction over three objects is one merge": (("aaaaaa",), ("aabbcc",), Mistakes(1, 0, 0, 0)),
    "one object in two predictions": (("aabb",), ("aaaa",), Mistakes(0, 1, 0, 0)),
    "an object without prediction": (("aa..",), ("aabb",), Mistakes(0, 0, 1, 0)),
    "a prediction without object": (("aabb",), ("aa..",), Mistakes(0, 0, 0, 1)),
    "sharing exactly half is no link": (("..aaaa..",), ("aaaa....",), Mistakes(0, 0, 1, 1)),
    "sharing three of four is a link": ((".aaaa",), ("aaaa.",), Mistakes(0, 0, 0, 0)),
    "a merge that loses half of one object": (("aaaaaa..",), ("aaaabbbb",), Mistakes(0, 0, 1, 0)),
    "a merge and a split": (("aaaabc",), ("aabbcc",), Mistakes(1, 1, 0, 0)),
    "a speck inside is linked": (("a...",), ("aaaa",), Mistakes(0, 0, 0, 0)),
    "nothing at all": (("....",), ("....",), Mistakes(0, 0, 0, 0)),
}


@pytest.mark.parametrize("case", MISTAKES.values(), ids=MISTAKES.keys())
def test_drawn_mistakes_are_called_what_they_are(case) -> None:
    prediction, reference, wanted = case
    assert count_mistakes(overlap(draw(*prediction), draw(*reference))) == wanted


NAN = float("nan")
# AP, F1, precision, recall, PQ, mean matched IoU
DEGENERATE = {
    "both empty": (("..",), ("..",), [NAN] * 6),
    "nothing predicted": (("..",), ("aa",), [0, 0, NAN, 0, 0, NAN]),
    "nothing there": (("aa",), ("..",), [0, 0, 0, NAN, 0, NAN]),
    "nothing matched": (("a..",), (".aa",), [0, 0, 0, 0, 0, NAN]),
    "all foreground": (("aa", "aa"), ("bb", "bb"), [1] * 6),
    "one pixel": (("a.",), ("a.",), [1] * 6),
    "touching the border": (("..a", "..a"), ("..a", "..a"), [1] * 6),
}


@pytest.mark.parametrize("case", DEGENERATE.values(), ids=DEGENERATE.keys())
def test_degenerate_cases_have_the_documented_value(case) -> None:
    prediction, reference, wanted = case
    for threshold in (0.2, 0.5):
        counts = count_matches(overlap(draw(*prediction), draw(*reference)), threshold)
        np.testing.assert_array_equal([formula(counts) for formula in FORMULAS], wanted)


def test_an_image_of_no_pixels_has_no_objects() -> None:
    counts = count_matches(overlap(np.zeros((0, 4), int), np.zeros((0, 4), int)), 0.5)
    assert counts == ObjectCounts(0, 0, 0, 0.0)


def test_ignored_pixels_are_removed_and_predictions_mostly_there_dropped() -> None:
    reference = draw("aabb....")
    reference[0, 4:] = 65535
    ignored = reference == 65535
    prediction = draw("aabbbccc")
    # b keeps 2 of its 3 pixels and so fits exactly; c lies in ignored pixels and is neither right nor wrong.
    assert count_matches(overlap(prediction, reference, ignored=ignored), 1.0) == ObjectCounts(2, 0, 0, 2.0)


@pytest.mark.parametrize(("drawing", "fp"), [("..aa..", 1), ("..aaa.", 0), ("a.bb..", 2)])
def test_a_prediction_half_in_ignored_pixels_stays_and_more_than_half_goes(drawing: str, fp: int) -> None:
    ignored = np.array([[False] * 3 + [True] * 3])
    counts = count_matches(overlap(draw(drawing), np.zeros((1, 6), int), ignored=ignored), 0.5)
    assert counts == ObjectCounts(0, fp, 0, 0.0)


def test_an_object_dropped_for_ignored_pixels_takes_its_other_pixels_along() -> None:
    ignored = np.array([[False, False, True, True, True]])
    found = overlap(draw(".aaaa"), draw("aa..."), ignored=ignored)
    assert found.prediction_ids.tolist() == []
    assert found.reference_areas_px.tolist() == [2]


@pytest.mark.parametrize(
    ("prediction", "reference", "message"),
    [
        (np.zeros((2, 3), int), np.zeros((3, 2), int), "shapes differ"),
        (np.zeros((2, 2)), np.zeros((2, 2), int), "prediction has dtype float64"),
        (np.zeros(2, int), np.array([-1, 0]), "reference contains -1"),
    ],
)
def test_unusable_label_images_are_refused(prediction, reference, message: str) -> None:
    with pytest.raises(InputError, match=message):
        overlap(prediction, reference)


@pytest.mark.parametrize("threshold", [0, -0.5, 1.01, float("nan")])
def test_a_threshold_that_is_no_iou_is_refused(threshold: float) -> None:
    with pytest.raises(InputError, match="expected an IoU"):
        match(overlap(draw("a"), draw("a")), threshold)


def test_an_id_that_no_signed_number_holds_is_refused_and_one_below_counts() -> None:
    largest, too_large = np.array([[0, 2**63 - 1]], np.uint64), np.array([[0, 2**63]], np.uint64)
    assert overlap(largest, largest).prediction_ids.tolist() == [2**63 - 1]
    with pytest.raises(InputError, match=r"id 9223372036854775808, expected ids below 2\^63; number its objects"):
        overlap(largest, too_large)
