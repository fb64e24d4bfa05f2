"""Values that a network may be told, and images whose value it could not learn."""

from __future__ import annotations

from pathlib import Path

import pytest

from cellproof.checks import InputError
from cellproof.data.folds import Fold
from cellproof.data.index import Record
from cellproof.recipe import override, read_recipe
from cellproof.workflows.train.conditions import with_conditions, without_unseen


def record(name, kind, row):
    return Record(name, "", Path(), Path(), name, {"kind": kind}, source=f"manifest.csv, row {row}")


RECORDS = [record("a", "astro", 2), record("b", "cort", 3), record("c", "astro", 4), record("d", "shsy5y", 5)]


def recipe(*more):
    return override(read_recipe("corona2022"), ("data.condition=kind", *more))


def test_values_are_those_of_the_data_and_modulation_is_told_their_number():
    told, reason = with_conditions(recipe('model.options.conditioning="film"'), RECORDS)
    assert told.data.conditions == ("astro", "cort", "shsy5y")
    assert told.model.options["conditions"] == 3
    assert reason == "the network is told the kind of each image (astro, cort, shsy5y)"


def test_a_value_that_the_recipe_does_not_list_is_named_with_file_and_row():
    with pytest.raises(InputError, match=r"manifest\.csv, row 5: kind is 'shsy5y'; .* lists astro, cort"):
        with_conditions(recipe('data.conditions=["astro", "cort"]'), RECORDS)


def test_a_class_unseen_in_training_is_named_with_file_and_row():
    folds = [Fold(("a", "b"), ("c", "d"))]
    told, _ = with_conditions(recipe(), RECORDS)
    with pytest.raises(InputError, match=r"row 5: d is held out, and its kind 'shsy5y' is that of no image"):
        without_unseen(told, folds, RECORDS)


def test_training_goes_on_without_them_only_when_told_to_skip():
    told, _ = with_conditions(recipe("data.skip_unseen=true", 'model.options.conditioning="film"'), RECORDS)
    narrowed, kept, note = without_unseen(told, [Fold(("a", "b"), ("c", "d"))], RECORDS)
    assert kept == [Fold(("a", "b"), ("c",))]
    assert narrowed.data.conditions == ("astro", "cort")
    assert narrowed.model.options["conditions"] == 2
    assert note.endswith(": d")


def test_a_class_of_one_image_is_unseen_in_the_fold_that_holds_it_out_and_leaves_all_folds():
    records = [*RECORDS, record("e", "cort", 6)]
    folds = [Fold(("c", "d", "e"), ("a", "b")), Fold(("a", "b"), ("c", "d", "e"))]
    told, _ = with_conditions(recipe(), records)
    with pytest.raises(InputError, match=r"row 5: .* no image of fold 2 that is learned from"):
        without_unseen(told, folds, records)
    narrowed, kept, _ = without_unseen(override(told, ("data.skip_unseen=true",)), folds, records)
    assert kept == [Fold(("c", "e"), ("a", "b")), Fold(("a", "b"), ("c", "e"))]
    assert narrowed.data.conditions == ("astro", "cort")


def test_an_image_without_a_value_is_named_and_left_out_when_told():
    records = [*RECORDS[:3], record("d", "", 5)]
    with pytest.raises(InputError, match=r"manifest\.csv, row 5: d has no kind"):
        with_conditions(recipe(), records)
    told, _ = with_conditions(recipe("data.skip_unseen=true"), records)
    learnable = [records[0], record("b", "astro", 3), *records[2:]]
    folds = [Fold(("a", "d"), ("b", "c")), Fold(("b", "c"), ("a", "d"))]
    _, kept, _ = without_unseen(told, folds, learnable)
    assert kept == [Fold(("a",), ("b", "c")), Fold(("b", "c"), ("a",))]


def test_nothing_changes_where_every_value_is_learned():
    told, _ = with_conditions(recipe(), RECORDS[:3])
    folds = [Fold(("a", "b"), ("c",))]
    assert without_unseen(told, folds, RECORDS[:3]) == (told, folds, "")


def test_nothing_to_hold_out_is_refused():
    told, _ = with_conditions(recipe("data.skip_unseen=true"), RECORDS[:2])
    with pytest.raises(InputError, match="nothing is left"):
        without_unseen(told, [Fold(("a",), ("b",))], RECORDS[:2])
