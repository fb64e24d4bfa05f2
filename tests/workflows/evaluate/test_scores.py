"""Looking up a score: over all images, pooled before averaged, and never one of a group."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cellproof.metrics.rows import Row
from cellproof.workflows.evaluate.scores import Scores


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
