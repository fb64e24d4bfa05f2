"""Entries of a study: what each of them trains, and which trainings it is predicted with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from ... import detectors, instances, losses, models
from ...checks import UsageError
from ...data import targets
from ...recipe import Entry, Profile, Recipe, StudyConfig, override

_T = TypeVar("_T")


@dataclass(frozen=True)
class Planned:
    """An entry, ready to be carried out.

    Attributes:
        entry: What the study says of it.
        trainings: Entries whose trained networks predict, averaged where there are several.
    """

    entry: Entry
    trainings: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """All entries of a profile.

    Attributes:
        entries: Rows of the tables, by name.
        recipes: Effective recipe of every training, by its name: that of its entry, or the entry's with a number where
            an ensemble trains it several times.
        seeds: What the seed of a training is more than the study's.
    """

    entries: Mapping[str, Planned]
    recipes: Mapping[str, Recipe]
    seeds: Mapping[str, int]


def plan_entries(recipe: Recipe, study: StudyConfig, profile: Profile) -> Plan:
    """What a profile carries out.

    Changes of an entry come first, those of the profile over them, and what the profile says of the entry last, so
    that a small profile is small whatever an entry asks for.

    Raises:
        UsageError: A name that is not there or twice, a setting that is none, or entries that go round in a circle.
    """
    known = {entry.name: entry for entry in study.entries}
    if len(known) < len(study.entries):
        raise UsageError(f"recipe {recipe.name!r}: two entries have one name; there are {', '.join(known)}")
    for entry in study.entries:
        _check(entry, known)
    chosen = select(known, tuple(profile.entries), "entry")
    planned = {name: Planned(entry, _trainings(entry, known, ())) for name, entry in chosen.items()}
    most = max(entry.members for entry in study.entries)
    origins = {_member(name, seed): (name, seed) for name in known for seed in range(most)}
    trained = dict.fromkeys(name for one in planned.values() for name in one.trainings)
    plain = msgspec.structs.replace(recipe, study=None)
    recipes = {}
    for name in trained:
        origin, _ = origins[name]
        changes = (*known[origin].set, *profile.set, *profile.entries.get(origin, ()))
        recipes[name] = msgspec.structs.replace(override(plain, changes), name=f"{recipe.name}-{name}")
        _check_parts(recipes[name], origin)
    return Plan(planned, recipes, {name: origins[name][1] for name in trained})


def select(there: Mapping[str, _T], names: Sequence[str], what: str) -> dict[str, _T]:
    """Those of the names, all without names.

    Raises:
        UsageError: One of them is not there; those there are named.

    Examples:
        >>> select({"a": 1, "b": 2}, ("b",), "entry")
        {'b': 2}
    """
    for name in names:
        if name not in there:
            raise UsageError(f"no {what} {name!r}; there: {', '.join(there)}")
    return {name: value for name, value in there.items() if not names or name in names}


def _check_parts(recipe: Recipe, entry: str) -> None:
    """Refuse now a part that there is not, which a training would refuse after those before it had run for hours."""
    own_code = ":" in recipe.model.architecture
    named = [("architecture", recipe.model.architecture, [] if own_code else [*models.names(), *detectors.names()])]
    named += [("head", head.name, targets.names()) for head in recipe.heads]
    named += [("loss term", term.name, losses.names()) for term in recipe.loss.terms]
    named += [("instance method", recipe.instance.method, instances.methods())]
    for what, name, there in named:
        if there and name not in there:
            raise UsageError(f"entry {entry!r}: no {what} {name!r}; there: {', '.join(there)}")


def _check(entry: Entry, known: Mapping[str, Entry]) -> None:
    if not entry.name or entry.name in (".", "..") or any(letter in entry.name for letter in '/\\:*?"<>|'):
        raise UsageError(f'entry {entry.name!r} cannot name a folder; leave out / \\ : * ? " < > |')
    select(known, [name for name in (entry.same_as, *entry.ensemble_of) if name], "entry")
    if entry.set and (entry.same_as or entry.ensemble_of):
        raise UsageError(
            f"entry {entry.name!r} trains nothing of its own (same_as, ensemble_of), so its set would change nothing"
        )
    if entry.members > 1 and not entry.ensemble_of:
        raise UsageError(
            f"entry {entry.name!r} has members and no ensemble_of; name the entries that are trained again"
        )
    if entry.same_as and entry.ensemble_of:
        raise UsageError(f"entry {entry.name!r} has same_as and ensemble_of; give one of them")


def _trainings(entry: Entry, known: Mapping[str, Entry], above: tuple[str, ...]) -> tuple[str, ...]:
    """Entries that are trained for this one."""
    if entry.name in above:
        raise UsageError(f"entries go round in a circle: {' → '.join((*above, entry.name))}")
    parts = entry.ensemble_of or ((entry.same_as,) if entry.same_as else ())
    if not parts:
        return (entry.name,)
    found = [name for part in parts for name in _trainings(known[part], known, (*above, entry.name))]
    return tuple(dict.fromkeys(_member(name, seed) for seed in range(entry.members) for name in found))


def _member(name: str, seed: int) -> str:
    """Name of an entry's training with a seed of its own.

    Examples:
        >>> _member("U-Net", 0), _member("U-Net", 4)
        ('U-Net', 'U-Net, seed +4')
    """
    return f"{name}, seed +{seed}" if seed else name
