"""What a network may be told of images: the values of an attribute, and images whose value it cannot learn."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ...checks import InputError
from ...data.folds import Fold
from ...data.index import Record
from ...recipe import Recipe

_SKIP = "set data.skip_unseen=true to leave such images out"


def with_conditions(recipe: Recipe, records: Sequence[Record]) -> tuple[Recipe, str]:
    """The recipe with the values of its condition, and a sentence on them.

    Args:
        recipe: Names the condition.
        records: All that may be learned from or held out.

    Raises:
        InputError: An image lacks the attribute, or has a value that the recipe does not list; the message names file
            and row.
    """
    name = recipe.data.condition
    for record in records:
        if name not in record.attributes:
            known = ", ".join(record.attributes) or "none"
            raise InputError(
                f"{record.name} has no attribute {name!r}, which data.condition names; its attributes are {known}",
                argument="overrides",
            )
        if not record.attributes[name] and not recipe.data.skip_unseen:
            raise InputError(
                f"{record.source}: {record.name} has no {name}, which data.condition names; fill it in, or {_SKIP}",
                argument="overrides",
            )
    found = sorted({record.attributes[name] for record in records} - {""})
    values = recipe.data.conditions or tuple(found)
    unknown = [record for record in records if record.attributes[name] not in ("", *values)]
    if unknown:
        first = unknown[0]
        raise InputError(
            f"{first.source}: {name} is {first.attributes[name]!r}; data.conditions of the recipe lists "
            f"{', '.join(values)}: add it there, or leave data.conditions out",
            argument="overrides",
        )
    return _told(recipe, values), f"the network is told the {name} of each image ({', '.join(values)})"


def without_unseen(recipe: Recipe, folds: list[Fold], records: Sequence[Record]) -> tuple[Recipe, list[Fold], str]:
    """The recipe and the division without images whose value no network would have learned, and a sentence on them.

    An image is left out of all folds: their networks become one model, which is told the same values.

    Args:
        recipe: With the values of its condition.
        folds: The division.
        records: What is divided.

    Raises:
        InputError: There are such images, and `skip_unseen` is not set, or none would remain; the message names file
            and row.
    """
    name = recipe.data.condition
    values = {record.name: record.attributes[name] for record in records}
    seen = [{values[one] for one in fold.train} for fold in folds]
    unseen = {
        one: number
        for number, fold in enumerate(folds)
        for one in fold.val
        if values[one] and values[one] not in seen[number]
    }
    valueless = [one for one, value in values.items() if not value]
    if not unseen and not valueless:
        return recipe, folds, ""
    for record in records:
        if record.name in unseen and not recipe.data.skip_unseen:
            part = f" of fold {unseen[record.name] + 1}" if len(folds) > 1 else ""
            raise InputError(
                f"{record.source}: {record.name} is held out, and its {name} {values[record.name]!r} is that of no "
                f"image{part} that is learned from; add some, or {_SKIP}",
                argument="overrides",
            )
    out = {*unseen, *valueless}
    kept = [
        Fold(tuple(one for one in fold.train if one not in out), tuple(one for one in fold.val if one not in out))
        for fold in folds
    ]
    if not all(fold.train and fold.val for fold in kept):
        raise InputError(f"nothing is left to learn from or to hold out once images of unseen {name} are left out")
    learned = {values[one] for fold in kept for one in fold.train}
    narrowed = _told(recipe, tuple(value for value in recipe.data.conditions if value in learned))
    return narrowed, kept, f"left out, for their {name} is that of no image to learn from: {', '.join(sorted(out))}"


def _told(recipe: Recipe, values: tuple[str, ...]) -> Recipe:
    """The recipe with these values, of which modulation needs to know the number."""
    model = recipe.model
    if model.options.get("conditioning") == "film":
        model = msgspec.structs.replace(model, options={**model.options, "conditions": len(values)})
    return msgspec.structs.replace(recipe, data=msgspec.structs.replace(recipe.data, conditions=values), model=model)
