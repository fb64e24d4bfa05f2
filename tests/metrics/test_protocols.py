"""Protocols: StarDist's and scikit-learn's numbers over several images, and what every row says of itself."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cellproof.metrics.objects import THRESHOLDS
from cellproof.metrics.pixel import confusion
from cellproof.metrics.protocols import count_objects, foreground_confusion, pixel_rows, stardist_rows
from cellproof.metrics.rows import Row

NAMES = ("background", "cytoplasm", "nucleus")


def grid_of_boxes(rng: np.random.Generator) -> np.ndarray:
    labels = np.zeros((40, 40), np.int32)
    for number, (row, column) in enumerate(np.ndindex(4, 4), start=1):
        height, width = rng.integers(3, 9, 2)
        labels[row * 10 : row * 10 + height, column * 10 : column * 10 + width] = number
    return labels


def pairs(count: int = 6) -> list[tuple[np.ndarray, np.ndarray]]:
    """Predictions and references: boxes, moved by up to two pixels, some lost, some added."""
    rng = np.random.default_rng(7)
    found = []
    for _ in range(count):
        reference = grid_of_boxes(rng)
        prediction = np.roll(reference, rng.integers(-2, 3, 2), (0, 1))
        prediction[np.isin(prediction, rng.integers(1, 17, 3))] = 0
        reference[np.isin(reference, rng.integers(1, 17, 2))] = 0
        found.append((prediction, reference))
    return found


def pick(rows: list[Row], **wanted: object) -> Row:
    found = [row for row in rows if all(getattr(row, key) == value for key, value in wanted.items())]
    assert len(found) == 1, f"{len(found)} rows with {wanted}"
    return found[0]


@pytest.mark.parametrize(("averaging", "by_image"), [("pooled", False), ("mean over images", True)])
def test_rows_equal_stardists_matching_dataset(averaging: str, by_image: bool) -> None:
    stardist = pytest.importorskip("stardist.matching")
    images = pairs()
    predictions, references = zip(*images, strict=True)
    rows = stardist_rows([count_objects(*pair) for pair in images])
    theirs = stardist.matching_dataset(
        references, predictions, list(THRESHOLDS), by_image=by_image, show_progress=False
    )
    named = {"AP (StarDist)": "accuracy", "F1": "f1", "PQ": "panoptic_quality"}
    if not by_image:
        named |= {"precision": "precision", "recall": "recall", "mean matched IoU": "mean_matched_score"}
    for threshold, wanted in zip(THRESHOLDS, theirs, strict=True):
        for metric, name in named.items():
            row = pick(rows, metric=metric, class_or_threshold=str(threshold), averaging=averaging)
            # StarDist keeps IoU in float32, and says 0 where a ratio is 0/0.
            assert np.nan_to_num(row.value) == pytest.approx(getattr(wanted, name), rel=1e-6)
            assert (row.n_images, row.n_objects) == (6, wanted.n_true)


def test_mean_ap_is_the_mean_of_the_thresholds_rows() -> None:
    rows = stardist_rows([count_objects(*pair) for pair in pairs()])
    for averaging in ("pooled", "mean over images"):
        ap = [row for row in rows if row.metric == "AP (StarDist)" and row.averaging == averaging]
        mean = pick(ap, class_or_threshold="mean 0.5…0.95")
        assert mean.value == pytest.approx(np.mean([row.value for row in ap if row is not mean]))


def test_foreground_dice_is_given_pooled_and_by_image_with_its_spread() -> None:
    images = pairs()
    rows = stardist_rows([count_objects(*pair) for pair in images])
    by_image = [2 * ((p > 0) & (r > 0)).sum() / ((p > 0).sum() + (r > 0).sum()) for p, r in images]
    mean = pick(rows, metric="Dice", averaging="mean over images")
    assert mean.value == pytest.approx(np.mean(by_image))
    assert mean.sd == pytest.approx(np.std(by_image, ddof=1))
    shared = sum(((p > 0) & (r > 0)).sum() for p, r in images)
    total = sum((p > 0).sum() + (r > 0).sum() for p, r in images)
    pooled = pick(rows, metric="Dice", averaging="pooled")
    assert pooled.value == pytest.approx(2 * shared / total)
    assert pooled.level == "pixel"
    assert pooled.interval is not None
    assert pooled.interval[0] < pooled.value < pooled.interval[1]


def test_an_image_without_any_object_leaves_means_and_pooled_numbers_alone() -> None:
    counted = [count_objects(*pair) for pair in pairs()]
    empty = count_objects(np.zeros((5, 5), int), np.zeros((5, 5), int))
    without, with_empty = stardist_rows(counted), stardist_rows([*counted, empty])
    assert [row.value for row in with_empty] == pytest.approx([row.value for row in without], nan_ok=True)
    mean = pick(with_empty, metric="PQ", class_or_threshold="0.5", averaging="mean over images")
    assert mean.n_images == 6
    assert "left out" in mean.empty_case
    assert pick(with_empty, metric="PQ", class_or_threshold="0.5", averaging="pooled").n_images == 7


def test_an_image_where_nothing_was_found_pulls_the_mean_down() -> None:
    counted = [count_objects(*pair) for pair in pairs()]
    nothing = count_objects(np.zeros((40, 40), int), pairs()[0][1])
    wanted = {"metric": "AP (StarDist)", "class_or_threshold": "0.5", "averaging": "mean over images"}
    before, after = pick(stardist_rows(counted), **wanted), pick(stardist_rows([*counted, nothing]), **wanted)
    assert after.value == pytest.approx(before.value * 6 / 7)


def test_only_empty_images_give_nan_and_no_warning() -> None:
    rows = stardist_rows([count_objects(np.zeros((5, 5), int), np.zeros((5, 5), int))] * 2)
    mistakes = {"merges", "splits", "misses", "false objects"}
    assert {row.metric for row in rows if row.value == 0} == mistakes
    assert all(math.isnan(row.value) for row in rows if row.metric not in mistakes)


def test_the_same_seed_gives_the_same_intervals() -> None:
    counted = [count_objects(*pair) for pair in pairs()]
    first, again, other = (stardist_rows(counted, seed=seed) for seed in (1, 1, 2))
    intervals = [[row.interval for row in rows if row.interval] for rows in (first, again, other)]
    assert intervals[0] == intervals[1] != intervals[2]


def test_ignored_pixels_leave_the_foreground_dice() -> None:
    prediction, reference = np.array([[1, 1, 0]]), np.array([[1, 9, 0]])
    ignored = reference == 9
    assert foreground_confusion(prediction, reference, ignored=ignored).counts.tolist() == [[1, 0], [0, 1]]
    rows = stardist_rows([count_objects(prediction, reference, ignored=ignored)])
    assert pick(rows, metric="Dice", averaging="pooled").value == 1


def class_maps() -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(5)
    references = rng.integers(0, 3, (4, 8, 8))
    predictions = np.where(rng.random(references.shape) < 0.7, references, rng.integers(0, 3, references.shape))
    return list(zip(predictions, references, strict=True))


def test_pixel_rows_equal_scikit_learn_on_all_pixels_together() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    images = class_maps()
    prediction, reference = (np.concatenate([pair[side].ravel() for pair in images]) for side in (0, 1))
    rows = pixel_rows([confusion(*pair, classes=3) for pair in images], class_names=NAMES)
    oracles = {"IoU": "jaccard_score", "Dice": "f1_score", "precision": "precision_score", "recall": "recall_score"}
    for metric, oracle in oracles.items():
        score = getattr(metrics, oracle)
        for name, wanted in zip(NAMES, score(reference, prediction, average=None), strict=True):
            row = pick(rows, metric=metric, class_or_threshold=name, averaging="pooled")
            assert row.value == pytest.approx(wanted)
            assert row.background == ("included" if name == "background" else "excluded")
        mean = {"metric": metric, "class_or_threshold": "mean", "averaging": "pooled"}
        assert pick(rows, **mean, background="included").value == pytest.approx(
            score(reference, prediction, average="macro")
        )
        assert pick(rows, **mean, background="excluded").value == pytest.approx(
            score(reference, prediction, average="macro", labels=[1, 2])
        )
    accuracy = pick(rows, metric="accuracy", averaging="pooled").value
    assert accuracy == pytest.approx(metrics.accuracy_score(reference, prediction))


def test_pixel_rows_over_images_are_the_mean_of_each_images_score() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    images = class_maps()
    rows = pixel_rows([confusion(*pair, classes=3) for pair in images], class_names=NAMES)
    scores = [metrics.jaccard_score(r.ravel(), p.ravel(), average=None)[2] for p, r in images]
    row = pick(rows, metric="IoU", class_or_threshold="nucleus", averaging="mean over images")
    assert (row.value, row.sd) == pytest.approx((np.mean(scores), np.std(scores, ddof=1)))
    right = [metrics.accuracy_score(r.ravel(), p.ravel()) for p, r in images]
    assert pick(rows, metric="accuracy", averaging="mean over images").value == pytest.approx(np.mean(right))
    both = [metrics.f1_score(r.ravel(), p.ravel(), average="macro") for p, r in images]
    mean = {"metric": "Dice", "class_or_threshold": "mean", "averaging": "mean over images", "background": "included"}
    assert pick(rows, **mean).value == pytest.approx(np.mean(both))


def test_of_one_image_dice_follows_from_iou_which_the_table_of_a_paper_may_contradict() -> None:
    (prediction, reference), *_ = class_maps()
    rows = pixel_rows([confusion(prediction, reference, classes=3)], class_names=NAMES)
    for name in NAMES:
        iou, dice = (
            pick(rows, metric=metric, class_or_threshold=name, averaging="pooled").value for metric in ("IoU", "Dice")
        )
        assert dice == pytest.approx(2 * iou / (1 + iou))


def test_without_a_class_called_background_there_is_one_mean_over_all_classes() -> None:
    rows = pixel_rows([confusion(*pair, classes=3) for pair in class_maps()], class_names=("a", "b", "c"))
    assert {row.background for row in rows} == {"no background class"}
    means = [row for row in rows if row.class_or_threshold == "mean" and row.averaging == "pooled"]
    assert [row.metric for row in means] == ["IoU", "Dice", "precision", "recall"]


def test_every_row_states_its_level_averaging_empty_case_and_counts() -> None:
    counted = [count_objects(*pair) for pair in pairs()]
    rows = stardist_rows(counted, group="histology")
    rows += pixel_rows([image.foreground for image in counted], class_names=("background", "x"), group="histology")
    for row in rows:
        assert row.level in ("pixel", "object")
        assert row.averaging in ("pooled", "mean over images")
        assert row.empty_case
        assert row.n_images == 6
        assert row.group == "histology"
        assert not row.problem
