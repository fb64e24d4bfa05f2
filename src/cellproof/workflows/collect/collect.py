"""A folder of annotated images becomes samples in memory, divided into folds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ...checks import InputError
from ...data.description import Description, describe_facts, read_description
from ...data.doctor import find_duplicates
from ...data.folds import Fold, draw_folds, hold_out, join_groups
from ...data.index import Record, attribute, index, scan
from ...data.mask_kind import MaskFacts, mask_facts
from ...data.normalization import fit_channels
from ...io import read_image, read_mask
from ...recipe import Recipe
from ...types import IGNORE, Sample
from .inspect import Inspector, content_hash, summarize
from .samples import SampleStore, load_sample

LEARNED = ("", "train", "val")
"""Splits that a training uses."""


@dataclass(frozen=True)
class Collection:
    """A data set that is ready to be learned from.

    Attributes:
        records: All training and validation records.
        description: What the masks mean.
        store: Their samples, by position in `records`.
        areas_px: Pixels of each sample.
        objects: Annotated objects in each sample; 0 where only classes are annotated.
        channels: Names of the images' channels where these are several that are no color; empty otherwise.
        present: Numbers of the classes in each record's mask; empty where objects are annotated.
    """

    records: list[Record]
    description: Description
    store: SampleStore
    areas_px: list[int]
    objects: list[int]
    channels: tuple[str, ...] = ()
    present: Mapping[str, frozenset[int]] = field(default_factory=dict)

    def positions(self, names: Sequence[str]) -> list[int]:
        """Where the records of these names are.

        Raises:
            InputError: A record is no longer there.
        """
        place = {record.name: position for position, record in enumerate(self.records)}
        missing = [name for name in names if name not in place]
        if missing:
            raise InputError(
                f"{len(missing)} images that the run was started with are gone from the data: "
                f"{', '.join(missing[:3])}; put them back, or start anew in another folder"
            )
        return [place[name] for name in names]

    def samples(self, names: Sequence[str]) -> list[Sample]:
        """Samples of the records of these names."""
        return [self.store[position] for position in self.positions(names)]

    def validation_groups(self, folds: Sequence[Fold], balance: str) -> list[list[str]]:
        """Value of the balancing attribute of each validation image, fold by fold; "" without one."""
        return [
            [attribute(self.records[position], balance) if balance else "" for position in self.positions(fold.val)]
            for fold in folds
        ]


def find_records(folder: Path, say: Callable[[str], None]) -> tuple[list[Record], Description]:
    """Pairs of image and mask to learn from, and what the masks mean.

    Raises:
        InputError: The folder holds no usable pairs, or fewer than two.
    """
    description = read_description(folder)
    if description is None:
        records = index(folder, Description(folder.name, "instances"))
        description, notes = describe_facts(folder.resolve().name, _facts_of(records))
        for note in notes:
            say(note)
    found = scan(folder, description)
    for note in found.notes:
        say(note)
    records = [record for record in found.records if record.split in LEARNED]
    if len(records) < 2:
        raise InputError(
            f"{folder}: {len(records)} annotated image{'' if len(records) == 1 else 's'}; expected at least 2, one to "
            "learn from and one to check with: annotate another, or cut this one in two"
        )
    return _with_distinct_names(records), description


def _facts_of(records: Sequence[Record]) -> list[MaskFacts]:
    """What masks tell of their kind: all of those that are learned from, for a few may be empty or alike."""
    learned = [record for record in records if record.split in LEARNED] or list(records)
    facts = []
    for record in learned:
        mask = read_mask(record.mask)
        planes = mask.values if mask.values.ndim == 3 else mask.values[None]
        facts += [mask_facts(plane, color=mask.color) for plane in planes]
    return facts


def collect(records: list[Record], description: Description, recipe: Recipe, say: Callable[[str], None]) -> Collection:
    """Read every sample once, so that a broken file is known before hours of training.

    Raises:
        InputError: Naming the first file that cannot be used.
    """
    mended: Counter[str] = Counter()
    inspector = Inspector(description)

    def load(position: int) -> Sample:
        record = records[position]
        sample, notes = load_sample(record, description, recipe.data, inspector.look)
        mended.update(notes)
        try:
            fitted = fit_channels(sample.image, recipe.data.in_channels)
        except InputError as error:
            raise InputError(
                f"{record.image}: {len(sample.image)} channels, the recipe's network reads {recipe.data.in_channels}; "
                f"set data.in_channels={len(sample.image)}, or give images with the same channels",
                argument="overrides",
            ) from error
        if recipe.data.conditions:
            sample = replace(sample, condition=attribute(record, recipe.data.condition))
        # Channels are repeated after the augmentation, but must be dropped before it, while they are still alike.
        return replace(sample, image=fitted) if len(sample.image) > len(fitted) else sample

    store = SampleStore(load)
    areas, objects = [], []
    present: dict[str, frozenset[int]] = {}
    for position in range(len(records)):
        sample = store[position]
        areas.append(sample.class_map.size)
        if sample.instances is None:
            present[records[position].name] = frozenset(np.unique(sample.class_map).tolist()) - {IGNORE}
        objects.append(
            0 if sample.instances is None else int(np.count_nonzero(np.bincount(sample.instances.ravel())[1:]))
        )
    for note, times in mended.items():
        say(f"{note} ({times} masks)")
    for finding in summarize(inspector.findings()):
        say(f"look at the data: {finding}")
    return Collection(records, description, store, areas, objects, inspector.channels, present)


def divide(records: Sequence[Record], recipe: Recipe, seed: int) -> list[Fold]:
    """The data's own division where one training is expected and there is one, else a drawn one.

    Copies of one image are never on both sides of a drawn division. The data's own is taken as it is; what is wrong
    with it, `inspect_data` says.
    """
    own = Fold(
        train=tuple(sorted(record.name for record in records if record.split != "val")),
        val=tuple(sorted(record.name for record in records if record.split == "val")),
    )
    balance = recipe.data.balance or None
    if recipe.folds == 1 and own.val and own.train:
        return [own]
    apart = group_duplicates(records)
    if recipe.folds > 1:
        return draw_folds(apart, folds=recipe.folds, seed=seed, stratify_by=balance)
    return [hold_out(apart, share=recipe.data.validation, seed=seed, stratify_by=balance)]


def group_duplicates(records: Sequence[Record]) -> list[Record]:
    """The records, with copies of one image in one group, which folds never divide.

    Copies have the same pixels, whatever the format of their files. Groups that share an image become one, of the
    name that comes first.

    Args:
        records: Of distinct names.

    Raises:
        InputError: An image cannot be read.
    """
    return join_groups(records, find_duplicates({one.name: content_hash(read_image(one.image)) for one in records}))


def _with_distinct_names(records: Sequence[Record]) -> list[Record]:
    """Records whose stem is in several splits are named with their split, for they are different images."""
    times = Counter(record.name for record in records)
    return [
        record
        if times[record.name] == 1
        else replace(
            record,
            name=f"{record.folder}/{record.name}",
            group=f"{record.folder}/{record.name}" if record.group == record.name else record.group,
        )
        for record in records
    ]
