"""The sets of a study, found or simulated, their divisions, and the folders that are trained on."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from ...checks import InputError
from ...data.description import Description, description_to_toml, read_description
from ...data.folds import Fold, draw_folds, group_by_blocks, hold_out
from ...data.index import Record, attribute, index
from ...io import make_folder, write_csv, write_text
from ...recipe import Division, Profile, Simulated, StudySetConfig
from ..collect import Plan, group_duplicates, simulate_files

ATTRIBUTES = "attributes.csv"

_SIMULATED_TEST = 0.25


@dataclass(frozen=True)
class StudySet:
    """A set that is ready to be divided.

    Attributes:
        config: What the study says of it.
        division: Its own, or the study's.
        description: What its masks mean.
        records: The annotated images that are used.
        is_simulated: Whether simulated images stand in for it.
    """

    config: StudySetConfig
    division: Division
    description: Description
    records: list[Record]
    is_simulated: bool = False

    @property
    def title(self) -> str:
        """Name for the tables, which says when images are simulated."""
        return f"{self.config.name} (simulated)" if self.is_simulated else self.config.name


@dataclass(frozen=True)
class Split:
    """One fold, or the official division.

    Attributes:
        name: "fold1", "fold2", …; "official".
        train: What is learned from.
        validation: What is chosen with.
        test: What is scored.
    """

    name: str
    train: list[Record]
    validation: list[Record]
    test: list[Record]


def find_set(
    config: StudySetConfig,
    division: Division,
    profile: Profile,
    *,
    data: Path,
    out: Path,
    seed: int,
    say: Callable[[str], None],
    simulate: bool = True,
) -> StudySet | None:
    """The set in ``data``, or simulated images in ``out`` where it is not there; None where neither is possible.

    Args:
        config: What the study says of the set.
        division: How it is divided.
        profile: How many images are used.
        data: Folder of sets by name.
        out: Folder of the study.
        seed: Of simulated images, and of which images are used.
        say: Told what stands in, or is left out.
        simulate: Whether images are made; without, only those that are there already are found.

    Raises:
        InputError: The folder cannot be read as a set.
    """
    if config.join:
        return _joined(config, division, profile, data=data, seed=seed, say=say)
    folder = data / config.name
    is_simulated = not folder.is_dir()
    if is_simulated:
        if config.simulate is None:
            say(f"{config.name}: {folder} is not there, and nothing is simulated in its place; left out")
            return None
        folder = out / "simulated" / f"{config.name}-seed{seed}"
        count = profile.images or config.simulate.images
        if simulate:
            say(f"{config.name}: {data / config.name} is not there; {count} simulated images stand in")
            plan = simulation_plan(config.name, config.simulate, seed=seed)
            simulate_files(plan, folder, count=count)
        elif not folder.is_dir():
            return None
    description = read_description(folder)
    if description is None:
        raise InputError(f"{folder}: has no dataset.toml that names the classes; expected one, see docs/train.md")
    records = index(folder, description)
    if not is_simulated:
        records = _that_are(records, config.where, folder)
    records = _with_condition(records, config, folder)
    if is_simulated:
        # The first of them, for a larger profile may have made more.
        return StudySet(config, division, description, records[:count], True)
    return StudySet(config, division, description, _used(records, division, profile, folder, seed))


def _joined(
    config: StudySetConfig, division: Division, profile: Profile, *, data: Path, seed: int, say: Callable[[str], None]
) -> StudySet | None:
    """Several sets as one; None where one of them is not there.

    Raises:
        InputError: Their masks hold different things, or a folder cannot be read as a set.
    """
    descriptions, records = [], list[Record]()
    for name in config.join:
        description = read_description(data / name) if (data / name).is_dir() else None
        if description is None:
            say(f"{config.name}: {data / name} is not there, or has no dataset.toml; left out")
            return None
        descriptions.append(description)
        for one in index(data / name, description):
            own = f"{name}-{one.name}"
            group = own if one.group == one.name else f"{name}-{one.group}"
            records.append(replace(one, name=own, group=group, attributes={"set": name, **one.attributes}))
    first = descriptions[0]
    for other in descriptions[1:]:
        if (other.masks, other.classes, other.ignore) != (first.masks, first.classes, first.ignore):
            raise InputError(
                f"{config.name}: masks of {first.name} hold {first.masks} of {first.classes}, those of {other.name} "
                f"{other.masks} of {other.classes}; sets that are joined need the same classes"
            )
    description = msgspec.structs.replace(first, name=config.name, source="; ".join(one.source for one in descriptions))
    records = _with_condition(records, config, data)
    return StudySet(config, division, description, _used(records, division, profile, data, seed))


def _with_condition(records: Sequence[Record], config: StudySetConfig, folder: Path) -> list[Record]:
    """Records whose attribute ``condition`` is the one that the study says.

    Raises:
        InputError: An image lacks it.
    """
    if not config.condition:
        return list(records)
    for one in records:
        if not one.attributes.get(config.condition):
            known = ", ".join(one.attributes) or "none"
            raise InputError(f"{folder}: {one.name} has no attribute {config.condition!r}; its attributes are {known}")
    return [
        replace(one, attributes={**one.attributes, "condition": one.attributes[config.condition]}) for one in records
    ]


def divide_set(found: StudySet, profile: Profile, *, seed: int) -> list[Split]:
    """All divisions of a set: its folds, each a test set once, or the official one.

    Groups, and copies of one image, stay whole in folds.

    Raises:
        InputError: The set has too few images or groups.
    """
    division = found.division
    if division.test:
        return [_official(found, seed=seed)]
    # Simulated images are all different, and drawn while nobody has read them yet.
    records = found.records if found.is_simulated else group_duplicates(found.records)
    folds = min(profile.folds or division.folds, len({record.group for record in records}))
    by_name = {record.name: record for record in records}
    drawn = draw_folds(records, folds=folds, seed=seed)
    return [
        _drawn(number, fold, by_name, fraction=division.validation, seed=seed)
        for number, fold in enumerate(drawn, start=1)
    ]


def write_fold(folder: Path, split: Split, description: Description) -> None:
    """Write the images of a fold as a folder that is trained on: ``train`` and ``val``, with their attributes.

    Raises:
        InputError: A file cannot be written.
    """
    for part, records in (("train", split.train), ("val", split.validation)):
        for kind in ("images", "masks"):
            shutil.rmtree(folder / part / kind, ignore_errors=True)
            make_folder(folder / part / kind)
        for record in records:
            _link(record.image, folder / part / "images" / f"{record.name}{record.image.suffix}")
            _link(record.mask, folder / part / "masks" / f"{record.name}{record.mask.suffix}")
    used = [*split.train, *split.validation]
    columns = list(dict.fromkeys(column for record in used for column in record.attributes))
    if columns:
        names: dict[str, list[object]] = {"name": [record.name for record in used]}
        values: dict[str, list[object]] = {
            column: [record.attributes.get(column, "") for record in used] for column in columns
        }
        write_csv(folder / ATTRIBUTES, names | values)
    own = msgspec.structs.replace(
        description, attributes=ATTRIBUTES if columns else "", group=description.group if columns else ""
    )
    write_text(folder / "dataset.toml", description_to_toml(own))


def _that_are(records: list[Record], where: Mapping[str, str], folder: Path) -> list[Record]:
    """Records whose attributes have these values.

    Raises:
        InputError: There is none.
    """
    found = [one for one in records if all(attribute(one, name) == value for name, value in where.items())]
    if records and not found:
        said = ", ".join(f"{name} = {value}" for name, value in where.items())
        raise InputError(f"{folder}: no image has {said}; change where of the set in [[study.sets]]")
    return found


def simulation_plan(name: str, simulated: Simulated, *, seed: int) -> Plan:
    """What determines the images that stand in for a set."""
    return Plan(simulated.kind, seed=_own_seed(name, seed), size=simulated.size_px, quality=simulated.quality)


def _own_seed(name: str, seed: int) -> int:
    """Seed of one set's images, so that two sets of the same kind do not hold the same ones."""
    return int(np.random.SeedSequence([seed, *name.encode()]).generate_state(1)[0])


def _used(records: list[Record], division: Division, profile: Profile, folder: Path, seed: int) -> list[Record]:
    """Records of the splits that the division speaks of, as many of each part as the profile says."""
    if not division.test:
        learned = [one for one in records if one.split in ("", "train")]
        grouped = group_by_blocks(learned, blocks=division.blocks) if division.blocks else learned
        return _some(grouped, profile.images, seed)
    splits = dict.fromkeys(record.split for record in records)
    if not set(division.test) & set(splits):
        wanted = " or ".join(map(repr, division.test))
        raise InputError(f"{folder} has no split {wanted} to test on; there: {', '.join(splits) or 'none'}")
    parts = [[one for one in records if one.split not in division.test]]
    parts += [[one for one in records if one.split == name] for name in division.test]
    return _with_own_names([one for part in parts for one in _some(part, profile.images, seed)])


def _with_own_names(records: Sequence[Record]) -> list[Record]:
    """Images of one name in several splits are different images: they are named with their split."""
    times = Counter(record.name for record in records)
    return [one if times[one.name] == 1 else replace(one, name=f"{one.split}-{one.name}") for one in records]


def _some(records: Sequence[Record], count: int | None, seed: int) -> list[Record]:
    """So many records sampled by the seed, as evenly from the groups as they allow."""
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


def _official(found: StudySet, *, seed: int) -> Split:
    test = [record for record in found.records if record.split in found.division.test]
    train = [record for record in found.records if record.split not in found.division.test]
    if found.is_simulated and not test:
        # What is simulated has no official parts: a quarter stands in for them.
        train, test = _held_out(train, fraction=_SIMULATED_TEST, seed=seed)
    validation = [record for record in train if record.split == "val"]
    if validation:
        return Split("official", [one for one in train if one.split != "val"], validation, test)
    learned, kept = _held_out(train, fraction=found.division.validation, seed=seed)
    return Split("official", learned, kept, test)


def _drawn(number: int, fold: Fold, by_name: dict[str, Record], *, fraction: float, seed: int) -> Split:
    learned, kept = _held_out([by_name[name] for name in fold.train], fraction=fraction, seed=seed)
    return Split(f"fold{number}", learned, kept, [by_name[name] for name in fold.val])


def _held_out(records: list[Record], *, fraction: float, seed: int) -> tuple[list[Record], list[Record]]:
    """Training and validation images."""
    by_name = {record.name: record for record in records}
    # Where a single group is learned from, validation has to come out of it.
    is_one_group = len({record.group for record in records}) == 1
    parted = [replace(record, group=record.name) for record in records] if is_one_group else records
    inner = hold_out(parted, share=fraction, seed=seed)
    return [by_name[name] for name in inner.train], [by_name[name] for name in inner.val]


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
