from __future__ import annotations

import string
from importlib.resources import files
from pathlib import Path
from typing import get_args, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellproof.checks import InputError, UsageError
from cellproof.io import read_header
from cellproof.recipe.sections import (
    AugmentConfig,
    AugmentStep,
    DataConfig,
    HeadConfig,
    LossConfig,
    ModelConfig,
    TrainingConfig,
)
from cellproof.recipe.study import Recipe
from cellproof.recipe.toml import format_recipe, override, parse_recipe, read_recipe, recipe_names, recipe_text
from cellproof.types import InstanceOptions, LossTerm, Normalization, Step

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SHARES, POSITIVE = st.floats(0.01, 0.99), st.floats(1e-6, 1e6)
WORDS = st.text(string.ascii_lowercase, min_size=1, max_size=8)


def filled(kind, **known):
    """Structs of a kind: numbers in the middle of their range, any text, any of the words that are allowed."""
    fields = {}
    for name, hint in get_type_hints(kind).items():
        options = get_args(hint)
        if name in known:
            fields[name] = known[name]
        elif hint is bool:
            fields[name] = st.booleans()
        elif hint is str:
            fields[name] = TEXT
        elif hint is int:
            fields[name] = st.integers(1, 10**9)
        elif hint is float:
            fields[name] = SHARES
        elif isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            fields[name] = filled(hint)
        elif options == (str, ...):
            fields[name] = st.lists(TEXT, max_size=3).map(tuple)
        elif options == (str, tuple[float, ...]):
            fields[name] = st.dictionaries(WORDS, st.lists(SHARES, max_size=3).map(tuple), max_size=2)
        elif type(None) in options:
            fields[name] = st.none() | st.integers(1, 100)
        else:
            fields[name] = st.sampled_from(options)
    return st.builds(kind, **fields)


OPTIONS = st.dictionaries(WORDS, st.integers(-9, 9) | st.floats(-9, 9) | st.booleans() | TEXT, max_size=3)


LEARNED = st.dictionaries(WORDS, st.lists(SHARES, max_size=3).map(tuple), max_size=2)


def some(kind):
    return st.lists(filled(kind, weight=SHARES, options=OPTIONS, learned=LEARNED), max_size=2).map(tuple)


RECIPES = filled(
    Recipe,
    model=filled(ModelConfig, options=OPTIONS),
    heads=some(HeadConfig),
    loss=filled(LossConfig, terms=some(LossTerm), auxiliary=SHARES | st.just("sum")),
    augment=filled(AugmentConfig, scale=st.tuples(POSITIVE, POSITIVE), steps=some(AugmentStep)),
    instance=filled(InstanceOptions, options=OPTIONS),
    steps=some(Step),
    study=st.none(),
)


@given(RECIPES)
@settings(max_examples=40, deadline=None)
def test_a_recipe_written_as_toml_is_read_as_the_same_recipe(recipe):
    assert parse_recipe(format_recipe(recipe)) == recipe


def test_options_of_a_part_keep_their_names_where_sections_have_new_ones():
    recipe = parse_recipe('name = "a"\n[instance]\nmethod = "mine"\noptions = { colour = 1 }\n[augment]\ncolour = 0.4')
    assert recipe.instance.options == {"colour": 1}
    assert recipe.augment.color == 0.4


def test_every_recipe_of_the_package_is_read_and_named_for_its_file():
    assert "nuclei" in recipe_names()
    for name in recipe_names():
        recipe = read_recipe(name)
        assert recipe.name == name
        assert recipe.description
        assert parse_recipe(recipe_text(name)) == recipe
        assert parse_recipe(format_recipe(recipe)) == recipe


def test_the_default_recipe_trains_the_network_of_the_model_that_ships():
    recipe = read_recipe("nuclei")
    header = read_header(Path(str(files("cellproof"))) / "weights" / "nuclei.safetensors")
    assert recipe.model.architecture == header.architecture
    options = {name: header.options[name] for name in recipe.model.options}
    assert recipe.model.options == options == {"width": 72, "fine_width": 48, "blocks": 8}
    assert {head.name for head in recipe.heads} == {head.name for head in header.heads.fields}
    assert recipe.instance.method == header.instance.method == "watershed"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stpes = 3", "unknown field `stpes`"),
        ('name = "a"\n[training]\nstpes = 3', r"unknown field `stpes` - at `\$.training`"),
        ('name = "a"\n[data.normalization]\nlow = 3.0', r"unknown field `low` - at `\$.data.normalization`"),
        ("folds = 2", "missing required field `name`"),
        ('name = "a"\n[training]\nsteps = "many"', r"Expected `int`, got `str` - at `\$.training.steps`"),
        ('name = "a"\n[training]\nsteps = 0', r"Expected `int` >= 1 - at `\$.training.steps`"),
        ('name = "a"\n[training]\nschedule = "linear"', r"Invalid enum value 'linear' - at `\$.training.schedule`"),
        ('name = "a"\n[data]\nvalidation = 1.0', r"Expected `float` < 1.0 - at `\$.data.validation`"),
        ('name = "a"\n[augment]\nscale = [0.5]', r"length 2, got 1 - at `\$.augment.scale`"),
        ("name = ", "Invalid value"),
    ],
)
def test_what_a_recipe_cannot_say_is_refused_with_its_place(text, words):
    with pytest.raises(InputError, match=words) as refusal:
        parse_recipe(text, source="file.toml")
    assert str(refusal.value).startswith("file.toml: ")


@pytest.mark.parametrize(
    ("assignment", "place", "value"),
    [
        ("training.steps=2000", ("training", "steps"), 2000),
        (" training.learning_rate = 3e-4 ", ("training", "learning_rate"), 3e-4),
        ("training.learning_rate=1", ("training", "learning_rate"), 1.0),
        ("training.patience=3", ("training", "patience"), 3),
        ("training.schedule=step", ("training", "schedule"), "step"),
        ('model.architecture="unet"', ("model", "architecture"), "unet"),
        ("model.init=", ("model", "init"), ""),
        ("model.options.norm=batch_renorm", ("model", "options"), {"norm": "batch_renorm"}),
        ("augment.scale=[0.5, 2]", ("augment", "scale"), (0.5, 2.0)),
        ("augment.flip=false", ("augment", "flip"), False),
        ("data.normalization.per_channel=false", ("data", "normalization"), Normalization(per_channel=False)),
        ("folds=5", ("folds",), 5),
    ],
)
def test_a_setting_changes_its_key_and_nothing_else(assignment, place, value):
    recipe = Recipe("r")
    changed = override(recipe, [assignment])
    found, before, after = changed, msgspec.to_builtins(recipe), msgspec.to_builtins(changed)
    for key in place:
        found = getattr(found, key)
    assert found == value
    for section in place[:-1]:
        before, after = before[section], after[section]
    assert {**before, place[-1]: None} == {**after, place[-1]: None}


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("training.steps", "expected section.key=value"),
        ("training.stpes=3", "unknown field `stpes` .*known there: patch_px, batch, steps"),
        ("trianing.steps=3", "unknown field `trianing`; known there: name, description, folds"),
        ("training.steps=many", r"Expected `int`, got `str` - at `\$.training.steps`$"),
        ("training.steps=2.5", "Expected `int`, got `float`"),
        ("training.steps.x=1", "steps is a value, not a section"),
        ("training=3", "Expected `object`, got `int`"),
        ("=3", "unknown field ``"),
    ],
)
def test_a_setting_that_is_none_is_refused_by_its_own_words(assignment, words):
    with pytest.raises(UsageError, match=words) as refusal:
        override(Recipe("r"), ["training.batch=2", assignment])
    assert str(refusal.value).startswith(f"override {assignment!r}: ")
    assert refusal.value.arguments == ("overrides",)


def test_later_settings_win():
    assert override(Recipe("r"), ["folds=2", "folds=3"]).folds == 3


@pytest.mark.parametrize("name", ["no such recipe", "", "a\0b"])
def test_a_recipe_that_is_nowhere_is_refused_with_those_that_are(name):
    with pytest.raises(UsageError, match=r"neither a readable TOML file nor one of .*nuclei"):
        read_recipe(name)


def test_a_recipe_is_read_from_a_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\nfolds = 3\n')
    assert read_recipe(str(path)) == Recipe("mine", folds=3)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="neither a readable TOML file"):
        read_recipe(str(path))


def test_all_sections_have_defaults():
    sections = {
        "data": DataConfig,
        "model": ModelConfig,
        "loss": LossConfig,
        "augment": AugmentConfig,
        "training": TrainingConfig,
        "instance": InstanceOptions,
    }
    assert parse_recipe('name = "r"') == Recipe("r", **{name: section() for name, section in sections.items()})


def test_flags_of_heads_and_fixed_weights_of_losses_are_read_as_parts():
    loss = "[loss]\nflow = 3.0\ndice = 0.0\ndistance = 2.0"
    recipe = parse_recipe(f'name = "old"\n[heads]\nflows = true\nboundary = true\n{loss}')
    assert [head.name for head in recipe.heads] == ["boundary", "flows"]
    terms = (LossTerm("cross_entropy", 1.0), LossTerm("dice", 0.0), LossTerm("flow", 3.0, "flows"))
    assert recipe.loss.terms == terms
    assert parse_recipe(format_recipe(recipe)) == recipe


def test_settings_switch_heads_and_weigh_terms():
    recipe = override(Recipe("r"), ["heads.flows=true", "heads.boundary=true", "loss.boundary=2.0"])
    assert [head.name for head in recipe.heads] == ["boundary", "flows"]
    assert recipe.loss.terms == (LossTerm("binary_cross_entropy", 2.0, "boundary"), LossTerm("dice", 0.5, "boundary"))
    assert override(recipe, ["heads.boundary=false", "loss.terms=[]"]) == override(Recipe("r"), ["heads.flows=true"])


def test_a_negative_weight_is_refused():
    with pytest.raises(InputError, match=r">= 0.*terms\[0\].weight"):
        parse_recipe('name = "r"\n[[loss.terms]]\nname = "dice"\nweight = -1.0')


def test_keys_of_before_american_spelling_are_read():
    text = 'name = "old"\n[augment]\ncolour = 0.3\ngreyscale = 0.1\n[training]\noptimiser = "sgd"\n'
    recipe = override(parse_recipe(text), ["augment.colour=0.5", "data.normalisation.low_percentile=2.0"])
    assert (recipe.augment.color, recipe.augment.grayscale, recipe.training.optimizer) == (0.5, 0.1, "sgd")
    assert recipe.data.normalization.low_percentile == 2.0
