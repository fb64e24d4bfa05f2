"""What every protocol promises to tables: what the screen shows, which way is good, what it costs, what it refuses."""

from __future__ import annotations

import inspect

import msgspec
import pytest

from cellproof.checks import InputError, UsageError
from cellproof.data.description import Description
from cellproof.metrics.rows import Row
from cellproof.workflows.evaluate.protocol import Column, NoOptions, row_title, shown
from cellproof.workflows.evaluate.protocols import load, names
from cellproof.workflows.evaluate.score import evaluate_folders, score_folders

ON_SCREEN = {
    "boundary": ["surface Dice", "boundary Dice", "median HD95"],
    "difficulty": [],
    "glas": ["F1 (GlaS)", "object Dice", "object Hausdorff"],
    "membranes": [
        "recall membrane",
        "precision membrane",
        "fraction of open walls closed",
        "cells harmed",
        "added centerline precision",
        "adapted Rand error",
        "mean width px prediction",
    ],
    "pixel": ["IoU mean", "IoU"],
    "sartorius": ["mAP (Sartorius) mean 0.5…0.95", "AP (COCO) mean 0.5…0.95"],
    "sawicki": ["F1 (Sawicki)", "object F1 (Sawicki)", "Hausdorff (Sawicki)"],
    "stardist": ["AP (StarDist) 0.5", "AP (StarDist) mean 0.5…0.95", "F1 0.5", "Dice foreground"],
    "upper_bound": [
        "upper bound of AP (StarDist) 0.5",
        "upper bound of AP (StarDist) mean 0.5…0.95",
        "upper bound of F1 0.5",
    ],
}

LESS_IS_BETTER = {
    "boundary": ["median HD95", "mean HD95 of matched", "missed outlines", "false outlines"],
    "glas": ["object Hausdorff", "false glands", "missed glands"],
    "membranes": [
        "cells harmed",
        "Betti-0 matching error",
        "Betti-1 matching error",
        "Betti-0 error",
        "Betti-1 error",
        "adapted Rand error",
        "VI split",
        "VI merge",
        "merged cells",
        "split cells",
        "fraction of closings false (old definition)",
    ],
    "sawicki": ["Hausdorff (Sawicki)"],
    "stardist": ["merges", "splits", "misses", "false objects"],
}


def columns(name: str) -> tuple[Column, ...]:
    protocol = load(name)
    return protocol.columns_for(protocol.options({}))


def test_the_table_speaks_of_every_protocol():
    assert names() == sorted(ON_SCREEN)


@pytest.mark.parametrize("name", sorted(ON_SCREEN))
def test_the_screen_shows_the_few_that_are_told_first(name):
    found = [f"{column.metric} {column.of or ''}".strip() for column in columns(name) if column.on_screen]
    assert found == ON_SCREEN[name]


@pytest.mark.parametrize("name", sorted(ON_SCREEN))
def test_errors_and_distances_are_better_when_low_and_widths_are_neither(name):
    assert [one.metric for one in columns(name) if one.high_is_good is False] == LESS_IS_BETTER.get(name, [])
    neither = [one.metric for one in columns(name) if one.high_is_good is None]
    assert neither == (["mean width px", "width change %"] if name == "membranes" else [])


@pytest.mark.parametrize("name", sorted(ON_SCREEN))
def test_options_of_a_protocol_cannot_be_misspelled_or_changed_behind_its_back(name):
    protocol = load(name)
    options = protocol.options({})
    with pytest.raises(UsageError, match=f"options of protocol '{name}': .*unknown field `tolerence`"):
        protocol.options({"tolerence": 1})
    with pytest.raises(AttributeError, match="immutable"):
        options.tolerance_px = 1


def test_what_protocols_ask_of_predictions():
    protocols = {name: load(name) for name in names()}
    assert [name for name, one in protocols.items() if one.needs_source] == ["difficulty"]
    assert [name for name, one in protocols.items() if one.chooses] == ["membranes"]
    assert [name for name, one in protocols.items() if one.masks == ("semantic",)] == ["membranes"]
    both = [name for name, one in protocols.items() if set(one.masks) == {"semantic", "instances"}]
    assert both == ["boundary", "difficulty", "pixel"]
    assert not any(protocols[name].views for name in ("boundary", "pixel", "stardist", "upper_bound"))
    assert protocols["membranes"].views
    assert protocols["difficulty"].views
    assert protocols["stardist"].describe("anything") == ""


def test_the_defaults_of_membranes_are_the_documented_ones():
    assert msgspec.structs.asdict(load("membranes").options({})) == {
        "connected": "membrane",
        "rest": "cytoplasm",
        "compact": "",
        "tolerance_px": 3.0,
        "rounds": None,
        "longest_gap_px": 40,
        "spur_px": 10,
        "smallest_region": 0.15,
        "most_false": 0.1,
        "confidence": 0.95,
    }
    assert msgspec.structs.asdict(load("boundary").options({})) == {
        "tolerance": 2.0,
        "band": 3.0,
        "row_size": 1.0,
        "column_size": 1.0,
    }
    assert load("sawicki").options({}).side_px == 512


@pytest.mark.parametrize(
    ("name", "lowest", "below"),
    [
        ("membranes", {"tolerance_px": 0, "rounds": 1, "longest_gap_px": 1, "spur_px": 0}, {"rounds": 0}),
        ("membranes", {"smallest_region": 0, "most_false": 0, "confidence": 0.01}, {"confidence": 0}),
        ("membranes", {"smallest_region": 1, "most_false": 1, "confidence": 0.99}, {"confidence": 1}),
        ("membranes", {}, {"longest_gap_px": 0}),
        ("membranes", {}, {"spur_px": -1}),
        ("membranes", {}, {"tolerance_px": -0.1}),
        ("membranes", {}, {"smallest_region": 1.01}),
        ("membranes", {}, {"smallest_region": -0.01}),
        ("membranes", {}, {"most_false": 1.01}),
        ("membranes", {}, {"most_false": -0.01}),
        ("boundary", {"tolerance": 0.1, "band": 0.1}, {"tolerance": 0}),
        ("boundary", {}, {"row_size": 0}),
        ("sawicki", {"side_px": 16}, {"side_px": 15}),
    ],
)
def test_numbers_out_of_range_are_refused_and_those_at_its_ends_are_not(name, lowest, below):
    protocol = load(name)
    for key, value in lowest.items():
        assert getattr(protocol.options({key: value}), key) == value
    with pytest.raises(UsageError, match=next(iter(below))):
        protocol.options(below)


def test_masks_that_a_protocol_does_not_compare_are_refused_with_one_that_does():
    objects, classes = Description("a", "instances"), Description("a", "semantic", ("ground", "cell"))
    with pytest.raises(
        InputError, match=r"^here says that the masks are object ids, and membranes compares class maps; .* stardist"
    ):
        load("membranes").check_fits(objects, where="here")
    with pytest.raises(
        InputError, match=r"^here says that the masks are class maps, and glas compares objects; .* as pixel"
    ):
        load("glas").check_fits(classes, where="here")
    load("pixel").check_fits(objects, where="here")
    load("pixel").check_fits(classes, where="here")


def row(metric, of, value, *, averaging="pooled", background="included"):
    return Row(metric, value, "pixel", averaging, of, background, "NaN", 1, None)


def test_columns_find_their_pooled_rows_under_their_titles_in_their_order():
    rows = [
        row("IoU", "mean", 0.5),
        row("IoU", "mean", 0.6, background="excluded"),
        row("IoU", "cell", 0.7),
        row("IoU", "cell", 0.1, averaging="mean over images"),
        row("width", "", 3.0),
    ]
    asked = (
        Column("width", "", "how wide"),
        Column("IoU", None, "never a title of several"),
        Column("IoU", "cell", "of cells"),
        Column("Dice", "cell"),
    )
    found = {title: one.value for title, (one, _) in shown(rows, asked).items()}
    assert found == {"how wide": 3.0, "IoU mean": 0.5, "IoU mean, no background": 0.6, "IoU cell": 0.7, "of cells": 0.7}
    assert next(iter(found)) == "how wide"
    assert shown(rows, asked)["of cells"][1] is asked[2]
    assert row_title(row("VI split", "", 1.0)) == "VI split"


def test_the_first_of_equal_rows_stays():
    rows = [row("IoU", "a", 0.1), row("IoU", "a", 0.2)]
    assert shown(rows, (Column("IoU", "a"),))["IoU a"][0].value == 0.1


def test_options_stand_in_the_place_of_their_names():
    protocol = load("membranes")
    wall = protocol.columns_for(protocol.options({"connected": "wall"}))
    assert [one.of for one in wall if one.metric == "recall"] == ["wall", None]
    assert NoOptions() == load("pixel").options({})


@pytest.mark.parametrize("name", sorted(ON_SCREEN))
def test_intervals_are_drawn_from_seed_nought_and_rows_are_of_all_images_unless_it_is_said(name):
    defaults = {key: one.default for key, one in inspect.signature(load(name).rows).parameters.items()}
    assert (defaults["seed"], defaults["group"]) == (0, "")
    for scoring in (score_folders, evaluate_folders):
        asked = inspect.signature(scoring).parameters
        assert (asked["seed"].default, asked["by"].default, asked["protocol"].default) == (0, "", None)
    assert inspect.signature(score_folders).parameters["only_predicted"].default is False
