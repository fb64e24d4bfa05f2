from __future__ import annotations

import pytest

from cellproof.checks import UsageError
from cellproof.recipe import Entry, Profile, Recipe, StudyConfig, read_recipe
from cellproof.workflows.reproduce.entries import plan_entries


def study(*entries: Entry) -> StudyConfig:
    return StudyConfig("", ("pixel",), (), entries, {})


def planned(*entries: Entry, profile: Profile | None = None):
    return plan_entries(Recipe("r"), study(*entries), profile or Profile(""))


def test_an_entry_changes_any_section_and_the_profile_has_the_last_word():
    entry = Entry("top-K", set=("loss.balance_classes=0.5", "training.steps=900", "data.scale=0.5"))
    profile = Profile("", set=("training.steps=5", "training.batch=1"), entries={"top-K": ("training.batch=2",)})
    recipe = planned(entry, profile=profile).recipes["top-K"]
    assert (recipe.name, recipe.loss.balance_classes, recipe.data.scale) == ("r-top-K", 0.5, 0.5)
    assert (recipe.training.steps, recipe.training.batch) == (5, 2)


def test_same_as_and_ensembles_train_nothing_of_their_own():
    plan = planned(
        Entry("a"), Entry("b"), Entry("a again", same_as="a"), Entry("both", ensemble_of=("a", "b")),
        Entry("all", ensemble_of=("both", "a again")),
    )  # fmt: skip
    assert {name: one.trainings for name, one in plan.entries.items()} == {
        "a": ("a",), "b": ("b",), "a again": ("a",), "both": ("a", "b"), "all": ("a", "b"),
    }  # fmt: skip
    assert set(plan.recipes) == {"a", "b"}


def test_an_ensemble_of_members_trains_an_entry_again_with_other_seeds():
    sizes = Profile("", entries={"a": ("training.steps=7",), "five": ()})
    plan = planned(Entry("a", set=("training.batch=3",)), Entry("five", ensemble_of=("a",), members=3), profile=sizes)
    assert plan.entries["five"].trainings == ("a", "a, seed +1", "a, seed +2")
    assert plan.seeds == {"a": 0, "a, seed +1": 1, "a, seed +2": 2}
    trained = [(recipe.training.steps, recipe.training.batch) for recipe in plan.recipes.values()]
    assert trained == [(7, 3)] * 3


def test_a_profile_may_carry_out_some_entries_only_and_trains_what_they_need():
    entries = (Entry("a"), Entry("b"), Entry("c"), Entry("both", ensemble_of=("a", "b")))
    plan = planned(*entries, profile=Profile("", entries={"both": ()}))
    assert (list(plan.entries), set(plan.recipes)) == (["both"], {"a", "b"})


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ((Entry("a"), Entry("a")), "two entries have one name"),
        ((Entry("a", same_as="b"),), "no entry 'b'; there: a"),
        ((Entry("a"), Entry("b", ensemble_of=("a", "c"))), "no entry 'c'; there: a, b"),
        ((Entry("a", same_as="b"), Entry("b", same_as="a")), "circle: a → b → a"),
        ((Entry("a"), Entry("b", same_as="a", set=("folds=2",))), "'b' trains nothing of its own"),
        ((Entry("a"), Entry("b", same_as="a", ensemble_of=("a",))), "give one of them"),
        ((Entry("a/b"),), "cannot name a folder"),
        ((Entry("a", members=2),), "'a' has members and no ensemble_of"),
        ((Entry("a", set=("model.stpes=3",)),), "unknown field `stpes` .*known there: architecture"),
    ],
)
def test_entries_that_make_no_sense_are_refused(entries, words):
    with pytest.raises(UsageError, match=words):
        planned(*entries)


def test_a_profile_with_an_entry_that_is_not_there_is_refused():
    with pytest.raises(UsageError, match="no entry 'z'; there: a"):
        planned(Entry("a"), profile=Profile("", entries={"z": ()}))


@pytest.mark.parametrize("name", ["matsuzuki2020", "kato2021", "beker2020", "sawicki2020", "corona2022"])
def test_small_profiles_say_of_each_network_how_small_it_is(name):
    recipe = read_recipe(name)
    for profile in (one for one in recipe.study.profiles.values() if one.entries):
        plan = plan_entries(recipe, recipe.study, profile)
        trained = {training.split(", seed +")[0] for training in plan.recipes}
        assert trained <= set(profile.entries), profile.note
