"""The sets of a reproduction, found or simulated, and the folders that its folds are trained on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from ...checks import InputError
from ...data.description import Description, description_to_toml, read_description
from ...data.folds import Fold, draw_folds, hold_out
from ...data.index import Record, index
from ...io import make_folder, write_text
from ...recipe import PaperProfile, PaperSet
from ..collect import Plan, simulate_files


@dataclass(frozen=True)
class StudySet:
    """A set that is ready to be divided.

    Attributes:
        config: What the recipe says of it.
        description: What its masks mean.
        records: The annotated images that are used.
        is_simulated: Whether simulated pictures stand in for it.
    """

    config: PaperSet
    description: Description
    records: list[Record]
    is_simulated: bool

    @property
    def title(self) -> str:
        """Name for the tables, which says when pictures are simulated."""
        return f"{self.config.name} (simulated)" if self.is_simulated else self.config.name


@dataclass(frozen=True)
class Division:
    """One fold: what is learned from, chosen with and scored on."""

    train: list[Record]
    validation: list[Record]
    test: list[Record]


def find_set(
    config: PaperSet, profile: PaperProfile, *, data: Path, out: Path, seed: int, say: Callable[[str], None]
) -> StudySet | None:
    """The set in ``data``, or simulated pictures in ``out`` where it is not there; None where neither is possible.

    Raises:
        InputError: The folder cannot be read as a set.
    """
    folder, is_simulated = data / config.name, False
    if not folder.is_dir():
        if not config.simulate:
            say(f"{config.name}: {folder} is not there, and nothing is simulated in its place; left out")
            return None
        folder, is_simulated = out / "simulated" / config.name, True
        count = profile.images or config.images
        say(
            f"{config.name}: {data / config.name} is not there; {count} simulated pictures ({config.simulate}) stand in"
        )
        simulate_files(
            Plan(config.simulate, seed=_own_seed(config.name, seed), quality=config.quality), folder, count=count
        )
    description = read_description(folder)
    if description is None:
        raise InputError(f"{folder}: has no dataset.toml that names the classes; wanted one, see docs/train.md")
    records = [record for record in index(folder, description) if record.split in ("", "train")]
    return StudySet(config, description, _some(records, profile.images, seed), is_simulated)


def class_number(description: Description, name: str) -> int:
    """Number of a class in the masks.

    Raises:
        InputError: There is no class of this name.
    """
    names = description.classes
    if name not in names:
        raise InputError(f"no class {name!r} in {description.name!r}; its classes are {', '.join(names)}")
    return names.index(name)


def divide_set(study: StudySet, profile: PaperProfile, *, seed: int) -> list[Division]:
    """Folds of a set, each a test set once; validation images are held out of the others. Groups stay whole.

    Raises:
        InputError: The set has too few images or groups.
    """
    groups = len({record.group for record in study.records})
    by_name = {record.name: record for record in study.records}
    folds = draw_folds(study.records, folds=min(profile.folds, groups), seed=seed)
    return [_division(fold, by_name, share=study.config.validation, seed=seed) for fold in folds[: profile.runs]]


def write_fold(folder: Path, division: Division, description: Description) -> None:
    """Write the images of a fold as a folder that is trained on: ``train`` and ``val``.

    Raises:
        InputError: A file cannot be written.
    """
    for split, records in (("train", division.train), ("val", division.validation)):
        for part in ("images", "masks"):
            shutil.rmtree(folder / split / part, ignore_errors=True)
            make_folder(folder / split / part)
        for record in records:
            _link(record.image, folder / split / "images" / f"{record.name}{record.image.suffix}")
            _link(record.mask, folder / split / "masks" / f"{record.name}{record.mask.suffix}")
    alone = msgspec.structs.replace(description, attributes="", group="")
    write_text(folder / "dataset.toml", description_to_toml(alone))


def _own_seed(name: str, seed: int) -> int:
    """Seed of one set's pictures, so that two sets of the same kind do not hold the same ones."""
    return int(np.random.SeedSequence([seed, *name.encode()]).generate_state(1)[0])


def _some(records: Sequence[Record], count: int | None, seed: int) -> list[Record]:
    """So many records drawn by the seed, as evenly from the groups as they allow."""
    if count is None or count >= len(records):
        return list(records)
    order = np.random.default_rng(seed).permutation(len(records))
    seen: dict[str, int] = {}
    turns: list[tuple[int, int, int]] = []
    for place in order.tolist():
        group = records[place].group
        turns.append((seen.get(group, 0), len(turns), place))
        seen[group] = seen.get(group, 0) + 1
    return [records[place] for place in sorted(place for _, _, place in sorted(turns)[:count])]


def _division(fold: Fold, by_name: dict[str, Record], *, share: float, seed: int) -> Division:
    learned = [by_name[name] for name in fold.train]
    # Where a single group is learned from, validation has to come out of it.
    is_one_group = len({record.group for record in learned}) == 1
    parted = [replace(record, group=record.name) for record in learned] if is_one_group else learned
    inner = hold_out(parted, share=share, seed=seed)
    return Division(
        train=[by_name[name] for name in inner.train],
        validation=[by_name[name] for name in inner.val],
        test=[by_name[name] for name in fold.val],
    )


def _link(source: Path, target: Path) -> None:
    """The same file under another name, or a copy where the disk knows no links.

    Raises:
        InputError: Neither can be made.
    """
    target.unlink(missing_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        try:
            shutil.copyfile(source, target)
        except OSError as error:
            raise InputError(
                f"{target}: cannot be written ({error.strerror}); free space, or give another folder",
                argument="out",
            ) from error
