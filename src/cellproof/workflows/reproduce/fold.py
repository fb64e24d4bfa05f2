"""A study's folds: what each consists of, where its files lie, and what its results depend on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ...checks import InputError, UsageError
from ...data.folds import Fold as Division
from ...data.folds import check_classes
from ...recipe import Profile, Recipe, StudyConfig, StudySetConfig
from ..evaluate import Protocol
from ..train import Watcher
from .cells import SCORE_FILE, Cell, cell_fingerprint, read_cell, training_fingerprint
from .entries import Plan, Planned
from .predictions import read_reference
from .sets import Split, StudySet, divide_set, find_set
from .steps import steps_of


@dataclass(frozen=True)
class ReproduceRequest:
    """What to reproduce, and how large.

    Attributes:
        recipe: Name or file of a recipe with a section ``[study]``.
        data: Folder of sets by name.
        out: Folder for everything; what is complete there is not done again.
        profile: A name in the study's profiles.
        folds: Folds to carry out of each set; None leaves it to the profile.
        sets: Names of the sets to carry out; none for all.
        entries: Names of the entries to carry out; none for all.
        seed: Random seed.
        device: "auto", "cpu", "cuda" or "mps".
    """

    recipe: str
    data: Path
    out: Path
    profile: str = "full"
    folds: int | None = None
    sets: tuple[str, ...] = ()
    entries: tuple[str, ...] = ()
    seed: int = 0
    device: str = "auto"


@dataclass(frozen=True)
class Study:
    """What stays the same while a study is carried out.

    Attributes:
        request: What was asked.
        recipe: The whole recipe.
        config: Its section ``[study]``.
        profile: How large the study is.
        plan: Its entries.
        protocols: How predictions are scored.
        watcher: Told how it goes.
    """

    request: ReproduceRequest
    recipe: Recipe
    config: StudyConfig
    profile: Profile
    plan: Plan
    protocols: tuple[Protocol, ...]
    watcher: Watcher


@dataclass(frozen=True)
class Fold:
    """One fold of one set, with what the study makes of it.

    Attributes:
        study: The study.
        found: The set.
        split: What is learned from, chosen with and scored.
        is_first: Whether figures are drawn of it.
        prints: Fingerprints that are known already.
    """

    study: Study
    found: StudySet
    split: Split
    is_first: bool
    prints: dict[str, str] = field(default_factory=dict)

    @cached_property
    def folder(self) -> Path:
        """Where everything of the fold lies."""
        return self.study.request.out / "runs" / self.found.config.name / self.split.name

    @cached_property
    def options(self) -> dict[str, Any]:
        """Options of each protocol: the study's, and over them the set's."""
        return protocol_options(self.study.config, self.found.config, self.study.protocols)

    def seed(self, name: str) -> int:
        """Seed of a training."""
        return self.study.request.seed + self.study.plan.seeds[name]

    def training(self, name: str) -> str:
        """Fingerprint of a training."""
        if name not in self.prints:
            self.prints[name] = training_fingerprint(
                self.study.plan.recipes[name],
                self.found.description,
                train=self.split.train,
                validation=self.split.validation,
                seed=self.seed(name),
            )
        return self.prints[name]

    def cell(self, planned: Planned) -> str:
        """Fingerprint of the scores of an entry."""
        return cell_fingerprint(
            [self.training(name) for name in planned.trainings],
            test=self.split.test,
            protocols={name: msgspec.to_builtins(options) for name, options in self.options.items()},
            steps=[{"name": one.name, "options": dict(one.options)} for one in steps_of(planned.entry.steps)],
            told=planned.entry.told,
            note=self.study.profile.note,
            tta=planned.entry.tta,
            pool=self.found.division.pool,
        )

    def place(self, planned: Planned) -> Path:
        """Folder of an entry."""
        return self.folder / planned.entry.name

    def scores(self, planned: Planned) -> Cell | None:
        """Scores of an entry; None where there are none of just this study."""
        return read_cell(self.place(planned) / SCORE_FILE, self.cell(planned))

    def run(self, name: str) -> Path:
        """Folder of a training; another recipe, division, seed or profile has another one, so that none is lost."""
        return self.folder / name / f"model-{self.training(name)[:12]}"


def protocol_options(config: StudyConfig, own: StudySetConfig, protocols: Sequence[Protocol]) -> dict[str, Any]:
    """Options of each protocol: the study's, and over them the set's.

    Raises:
        UsageError: An option that no protocol of the study knows, or of the wrong type.
    """
    known = {name for protocol in protocols for name in protocol.options_type.__struct_fields__}
    for name in own.options:
        if name not in known:
            raise UsageError(
                f"set {own.name!r}: no option {name!r} in {', '.join(config.protocols)}; "
                f"known: {', '.join(sorted(known))}"
            )
    made = {}
    for protocol in protocols:
        fields = protocol.options_type.__struct_fields__
        of_set = {name: value for name, value in own.options.items() if name in fields}
        made[protocol.name] = protocol.options({**config.options.get(protocol.name, {}), **of_set})
    return made


def find_folds(study: Study, config: StudySetConfig) -> list[Fold]:
    """Folds of a set that are to be carried out; none where there is no such set.

    Raises:
        InputError: The set cannot be used, has fewer groups than the folds asked for, or a fold lacks a class.
    """
    folds = _folds(study, config, simulate=True)
    asked = study.request.folds
    if folds and asked is not None and asked > len(folds) and not folds[0].found.division.test:
        records = folds[0].found.records
        raise InputError(
            f"{folds[0].found.title}: {asked} folds of {len(records)} images in {len({one.group for one in records})} "
            "groups, none of which divides; ask for fewer folds",
            argument="folds",
        )
    _check_classes(folds)
    wanted = folds[: _wanted(study.profile, config)]
    if len(wanted) < len(folds):
        study.watcher.say(f"{folds[0].found.title}: {len(wanted)} of {len(folds)} folds are carried out")
    return wanted


def _wanted(profile: Profile, config: StudySetConfig) -> int | None:
    """How many folds of a set are carried out; None for all."""
    asked = profile.only_folds
    return asked.get(config.name) if isinstance(asked, Mapping) else asked


def _check_classes(folds: Sequence[Fold]) -> None:
    """Refuse folds that lack a class which other images show; official divisions are taken as they are.

    Raises:
        InputError: Naming fold, class and images.
    """
    if not folds or folds[0].found.division.test or folds[0].found.description.masks != "semantic":
        return
    found = folds[0].found
    present = {
        record.name: frozenset(np.unique(read_reference(record, found.description).mask).tolist())
        for record in found.records
    }
    divisions = [
        Division(
            tuple(one.name for one in (*fold.split.train, *fold.split.validation)),
            tuple(one.name for one in fold.split.test),
        )
        for fold in folds
    ]
    check_classes(divisions, present, found.description.classes)


def folds_that_are_there(study: Study, config: StudySetConfig) -> list[Fold]:
    """All folds of a set, of which earlier commands may have carried out some; nothing is simulated or said."""
    try:
        return _folds(study, config, simulate=False)
    except InputError:
        # A set that nobody asked for now must not stop the others.
        return []


def with_folds(profile: Profile, config: StudyConfig, folds: int | None) -> Profile:
    """The profile with so many folds carried out; None leaves it to the profile."""
    if folds is None:
        return profile
    return msgspec.structs.replace(
        profile, folds=max(2, profile.folds or config.division.folds, folds), only_folds=folds
    )


def _folds(study: Study, config: StudySetConfig, *, simulate: bool) -> list[Fold]:
    request = study.request
    found = find_set(
        config,
        config.division or study.config.division,
        study.profile,
        data=request.data,
        out=request.out,
        seed=request.seed,
        say=study.watcher.say if simulate else lambda sentence: None,
        simulate=simulate,
    )
    if found is None:
        return []
    for protocol in study.protocols:
        protocol.check_fits(found.description, where=found.title)
    splits = divide_set(found, study.profile, seed=request.seed)
    return [Fold(study, found, split, is_first=split is splits[0]) for split in splits]
