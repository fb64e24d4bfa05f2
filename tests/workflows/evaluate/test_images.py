"""One row per image, and which are the worst."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from cellproof.data.description import Description
from cellproof.io import write_csv
from cellproof.metrics.rows import Row
from cellproof.workflows.evaluate.folders import Task
from cellproof.workflows.evaluate.images import image_columns, worst_images
from cellproof.workflows.evaluate.protocols import load
from cellproof.workflows.evaluate.score import FolderScores, ImageScore


def scores(images, *, protocol="stardist", missing=0, only_predicted=False):
    chosen = load(protocol)
    task = Task(chosen, chosen.options({}), Description("a", chosen.masks[-1], ("cell",)), None)
    return FolderScores([], images, task, len(images), missing, only_predicted)


def image(name, *rows, group="", problem=""):
    return ImageScore(name, group, list(rows), None, Path(name), problem)


def row(metric, of, value, n_objects=5):
    return Row(metric, value, "object", "pooled", of, "excluded", "NaN", 1, n_objects)


def test_a_table_has_the_numbers_of_each_image_and_gaps_where_one_has_none(tmp_path):
    one = image("a", row("AP (StarDist)", "0.5", 0.25), row("Dice", "foreground", 0.5))
    two = image("b", row("F1", "0.5", 0.75, n_objects=7), problem="no prediction")
    table = image_columns(scores([one, two]), tmp_path)
    assert table == {
        "name": ["a", "b"],
        "n_objects": [5, 7],
        "AP 0.5": [0.25, None],
        "Dice": [0.5, None],
        "F1 0.5": [None, 0.75],
        "problem": ["", "no prediction"],
    }


def test_groups_have_a_column_where_there_are_any_and_classes_no_count_of_objects(tmp_path):
    made = [image("a", row("IoU", "mean", 0.5, None)), image("b", row("IoU", "mean", 0.5, None), group="blue")]
    table = image_columns(scores(made, protocol="pixel"), tmp_path)
    assert table["group"] == ["", "blue"]
    assert "n_objects" not in table


def test_what_segment_expected_stands_beside_what_was_reached(tmp_path):
    made = [image(name, row("Dice", "foreground", 0.5)) for name in ("a", "b", "c")]
    write_csv(tmp_path / "images.csv", {"image": ["b", "a"], "expected_dice": [0.75, None]})
    table = image_columns(scores(made), tmp_path)
    assert table["expected Dice"] == [None, 0.75, None]
    write_csv(tmp_path / "images.csv", {"image": ["b"], "other": [1]})
    assert "expected Dice" not in image_columns(scores(made), tmp_path)
    write_csv(tmp_path / "images.csv", {"name": ["b"], "expected_dice": [1]})
    assert "expected Dice" not in image_columns(scores(made), tmp_path)
    (tmp_path / "images.csv").write_bytes(b"\xff\xfe\x00broken")
    assert "expected Dice" not in image_columns(scores(made), tmp_path)


def test_the_worst_come_first_and_what_is_undefined_is_not_ranked():
    values = {"a": 0.5, "b": 0.25, "c": math.nan, "d": 0.75, "e": 0.25}
    made = [image(name, row("AP (StarDist)", "0.5", value)) for name, value in values.items()]
    assert worst_images(scores(made)) == ("AP 0.5", [("b", 0.25), ("e", 0.25), ("a", 0.5), ("d", 0.75)])
    assert worst_images(scores(made), 1) == ("AP 0.5", [("b", 0.25)])
    assert len(worst_images(scores([made[0]] * 12))[1]) == 10


def test_of_errors_the_largest_are_the_worst():
    protocol = load("glas")
    distances = replace(protocol, columns=tuple(one for one in protocol.columns if one.metric == "object Hausdorff"))
    made = [image(name, row("object Hausdorff", "", value)) for name, value in (("a", 1.0), ("b", 9.0))]
    task = Task(distances, distances.options({}), Description("a", "instances", ("gland",)), None)
    assert worst_images(FolderScores([], made, task, 2, 0))[1] == [("b", 9.0), ("a", 1.0)]


def test_a_protocol_without_columns_ranks_nothing():
    assert worst_images(scores([image("a", row("AUROC", "x", 0.5))], protocol="difficulty"))[1] == [("a", 0.5)]
    assert worst_images(scores([image("a", row("other", "", 0.5))])) == ("", [])


@pytest.mark.parametrize(
    ("missing", "only_predicted", "said"),
    [
        (0, False, "3 of 3 references have a prediction"),
        (1, False, "2 of 3 references have a prediction; 1 count as missed"),
        (2, False, "1 of 3 references has a prediction; 2 count as missed"),
        (2, True, "1 of 3 references has a prediction; 2 are left out"),
    ],
)
def test_the_headline_counts_predictions_and_says_what_became_of_the_others(missing, only_predicted, said):
    made = [image(name, row("F1", "0.5", 0.5)) for name in "abc"]
    assert scores(made, missing=missing, only_predicted=only_predicted).headline == said
