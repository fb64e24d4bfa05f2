"""Recipes as TOML: found by name, read, checked, written and overridden; unknown keys are refused with their path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from ..checks import InputError, UsageError, did_you_mean
from ..types import RENAMED_KEYS
from ._old_keys import current_recipe
from .study import Recipe


def recipe_names() -> list[str]:
    """Recipes that come with the package."""
    folder = files("cellproof") / "recipes"
    return sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))


def read_recipe(name_or_file: str) -> Recipe:
    """A recipe of the package by name, or any TOML file.

    Raises:
        InputError: There is none, or it holds unknown keys or wrong values, which are named.
    """
    return parse_recipe(recipe_text(name_or_file), source=name_or_file)


def recipe_text(name_or_file: str) -> str:
    """The TOML of a recipe as it was written, comments included.

    Raises:
        UsageError: There is neither a recipe of the package with this name nor such a file.
    """
    if name_or_file in recipe_names():
        return (files("cellproof") / "recipes" / f"{name_or_file}.toml").read_text(encoding="utf-8")
    try:
        return Path(name_or_file).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(
            f"no recipe {name_or_file!r}: neither a readable TOML file nor one of {', '.join(recipe_names())}"
            f"{did_you_mean(name_or_file, recipe_names())}",
            argument="recipe",
        ) from error


def parse_recipe(text: str, *, source: str = "recipe") -> Recipe:
    """A recipe from TOML text; see `read_recipe` for errors."""
    try:
        values = current_recipe(msgspec.toml.decode(text))
        if "paper" in values:
            raise InputError(
                f"{source}: [paper] is written as [study] now: networks are [[study.entries]] with set = "
                '["model.architecture=…"], settings are set, runs is only_folds, and what named classes stands in '
                "options; `cellproof recipes matsuzuki2020` shows one"
            )
        return msgspec.convert(values, Recipe)
    except msgspec.MsgspecError as error:
        raise InputError(f"{source}: {error}") from error


def format_recipe(recipe: Recipe) -> str:
    """The recipe as TOML; `parse_recipe` of it gives the recipe back."""
    return tomli_w.dumps(_without_none(msgspec.to_builtins(recipe)))


def override(recipe: Recipe, assignments: Sequence[str]) -> Recipe:
    """The recipe with ``section.key=value`` assignments applied in order, values written as in TOML.

    Raises:
        UsageError: An assignment has no ``=``, names no key, or has a value of the wrong type.
    """
    for assignment in assignments:
        recipe = _override_one(recipe, assignment)
    return recipe


def _override_one(recipe: Recipe, assignment: str) -> Recipe:
    path, equals, text = assignment.partition("=")
    if not equals:
        raise UsageError(
            f"override {assignment!r}: expected section.key=value, e.g. training.steps=2000", argument="overrides"
        )
    *sections, key = (RENAMED_KEYS.get(part, part) for part in path.strip().split("."))
    values = _without_none(msgspec.to_builtins(recipe))
    place = values
    if sections == ["heads"]:
        values["heads"] = {head["name"]: head for head in values["heads"]}
    for section in sections:
        place = place.setdefault(section, {})
        if not isinstance(place, dict):
            raise UsageError(f"override {assignment!r}: {section} is a value, not a section", argument="overrides")
    place[key] = _value(text.strip())
    try:
        return msgspec.convert(current_recipe(values), Recipe)
    except msgspec.ValidationError as error:
        known = f"; known there: {_known_keys(recipe, sections)}" if "unknown field" in str(error) else ""
        raise UsageError(f"override {assignment!r}: {error}{known}", argument="overrides") from error


def _known_keys(recipe: Recipe, sections: Sequence[str]) -> str:
    """Keys of the section that an assignment meant, or of the recipe where there is no such section."""
    place: object = recipe
    for section in sections:
        place = getattr(place, section, recipe)
    keys = place if isinstance(place, Mapping) else getattr(place, "__struct_fields__", ())
    return ", ".join(keys)


def _value(text: str) -> Any:
    try:
        return msgspec.toml.decode(f"value = {text}")["value"]
    except msgspec.MsgspecError:
        # A bare word, as in model.architecture=unet: quotes are a nuisance in a shell.
        return text


def _without_none(values: Any) -> Any:
    # TOML has no null; a missing key means the default, which is None wherever None is allowed.
    if isinstance(values, dict):
        return {key: _without_none(value) for key, value in values.items() if value is not None}
    if isinstance(values, (list, tuple)):
        return [_without_none(value) for value in values]
    return values
