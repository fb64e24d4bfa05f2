"""Looking up a score: over all images, pooled before averaged, and never one of a group."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from cellproof.checks import InputError
from cellproof.metrics.rows import Row
from cellproof.workflows.evaluate.scores import Scores, evaluate


def row(metric: str, value: float, *, averaging: str = "pooled", of: str = "0.5", group: str = "") -> Row:
    return Row(metric, value, "object", averaging, of, "left out", "NaN", 3, 40, group=group)


ROWS = (
    row("F1", 0.1, group="bright"),
    row("F1", 0.6, averaging="mean over images"),
    row("F1", 0.7),
    row("AP (StarDist)", 0.4),
    replace(row("F1", 0.0), problem="a.tif: no prediction"),
)


def test_a_score_is_that_of_all_images_and_pooled_where_it_was():
    scores = Scores(ROWS)
    assert scores["F1", 0.5] == 0.7
    assert scores["AP", "0.5"] == 0.4
    assert Scores(ROWS[:2])["F1", 0.5] == 0.6


def test_a_score_of_groups_alone_is_none_of_all_images():
    with pytest.raises(KeyError, match=r"no F1 0\.5; there are F1 0\.5"):
        Scores(ROWS[:1])["F1", 0.5]


def test_the_line_about_scores_leaves_groups_and_means_out():
    assert repr(Scores(ROWS)) == ("<Scores of 3 images, 40 objects: AP (StarDist) 0.5 0.400, F1 0.5 0.700; 1 problem>")


def test_the_table_leaves_problems_out_and_says_what_each_row_is_of():
    table = Scores(ROWS).table()
    assert table["value"] == [0.1, 0.6, 0.7, 0.4]
    assert table["group"] == ["bright", "", "", ""]
    assert Scores(ROWS).problems == ["a.tif: no prediction"]


def some(*, images: int = 1, objects: int | None = 1, problems: int = 0) -> Scores:
    rows = [replace(row("F1", 0.25), n_images=images, n_objects=objects)]
    return Scores((*rows, *[replace(rows[0], problem="bad")] * problems))


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        (some(), "<Scores of 1 image, 1 object: F1 0.5 0.250>"),
        (some(images=2, objects=0), "<Scores of 2 images, 0 objects: F1 0.5 0.250>"),
        (some(objects=None, problems=1), "<Scores of 1 image: F1 0.5 0.250; 1 problem>"),
        (some(problems=2), "<Scores of 1 image, 1 object: F1 0.5 0.250; 2 problems>"),
    ],
)
def test_the_line_counts_in_grown_up_english(scores, said):
    assert repr(scores) == said


def test_the_line_names_each_number_once_and_in_one_order():
    made = [
        row("IoU", 0.1, of="mean"),
        row("IoU", 0.2, of="mean"),
        row("Dice", 0.3, of="mean"),
        row("Dice", 0.4, of="foreground"),
        row("F1", 0.5, of="0.75"),
        row("F1", 0.6),
        row("AP (StarDist)", 0.7),
    ]
    shown = "AP (StarDist) 0.5 0.700, F1 0.5 0.600, Dice foreground 0.400, Dice mean 0.300, IoU mean 0.100"
    assert repr(Scores(tuple(made))) == f"<Scores of 3 images, 40 objects: {shown}>"


def test_the_table_has_the_ends_of_intervals_and_what_they_are_of():
    table = Scores((replace(row("F1", 0.7), interval=(0.6, 0.8)), row("F1", 0.5, averaging="mean over images"))).table()
    assert (table["low"][0], table["high"][0]) == (0.6, 0.8)
    assert math.isnan(table["low"][1])
    assert math.isnan(table["high"][1])
    assert (table["metric"], table["of"]) == (["F1", "F1"], ["0.5", "0.5"])
    assert (table["averaging"], table["n_images"], table["n_objects"]) == (
        ["pooled", "mean over images"],
        [3, 3],
        [40, 40],
    )


def test_notebooks_show_the_table_with_dashes_for_what_is_undefined():
    html = Scores((replace(row("F1 <a>", math.nan), n_objects=None),))._repr_html_()
    assert html.startswith("<table><thead><tr><th>metric</th><th>of</th><th>value</th>")
    assert "<td>F1 &lt;a&gt;</td><td>0.5</td><td>–</td><td>pooled</td><td>–</td><td>–</td><td>3</td><td></td>" in html
    assert "<td>0.400</td>" in Scores((row("AP", 0.4),))._repr_html_()


def test_a_score_is_found_by_class_and_by_its_whole_name():
    scores = Scores((row("IoU", 0.3, of="cell"), row("AP (StarDist)", 0.4), row("VI split", 0.5, of="")))
    assert scores["IoU", "cell"] == 0.3
    assert scores["AP (StarDist)", 0.50] == 0.4
    assert scores["VI split"] == 0.5
    with pytest.raises(KeyError, match=r"no VI merge; there are IoU cell, AP \(StarDist\) 0\.5, VI split"):
        scores["VI merge"]


SQUARE = np.zeros((20, 30), int)
SQUARE[2:10, 2:10] = 1


def test_arrays_lists_and_stacks_are_images_each():
    nothing = np.zeros_like(SQUARE)
    both = [SQUARE, nothing]
    for prediction, reference in ((both, [SQUARE, SQUARE]), (np.stack(both), np.stack([SQUARE, SQUARE]))):
        scores = evaluate(prediction, reference)
        assert scores["recall", 0.5] == 0.5
        assert (scores.rows[0].n_images, scores.rows[0].n_objects) == (2, 2)
    assert evaluate((SQUARE,), (SQUARE,))["AP", 0.5] == 1
    assert evaluate(SQUARE, SQUARE, protocol="pixel")["IoU", "mean"] == 1


@pytest.mark.parametrize(
    ("prediction", "reference", "words"),
    [
        ([SQUARE], [SQUARE, SQUARE], "1 predictions and 2 references; expected one of each per image"),
        ([], [], "0 predictions and 0 references"),
        (SQUARE[0], SQUARE[0], r"labels of shape \(30,\); expected \(H, W\), or \(P, H, W\)"),
        (SQUARE[None, None], SQUARE[None, None], r"labels of shape \(1, 1, 20, 30\)"),
        (SQUARE, SQUARE[:5], "shapes differ"),
        (SQUARE * 0.5, SQUARE, "prediction"),
        (SQUARE, SQUARE * -1, "reference"),
        ("a.tif", SQUARE, "an array and a path; give two arrays, or two paths"),
        (SQUARE, "a.tif", "an array and a path; give two arrays, or two paths"),
    ],
)
def test_what_does_not_fit_together_is_refused(prediction, reference, words):
    with pytest.raises(InputError, match=words):
        evaluate(prediction, reference)
