"""What looks wrong with a folder of training data, found while it is read, with what to do about it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...checks import InputError
from ...data.description import Description
from ...data.doctor import ADVICE, examine, find_duplicates
from ...data.index import Record
from ...types import Image

_MOST_NAMED = 3


@dataclass(frozen=True)
class Finding:
    """Something that a person should look at.

    Attributes:
        kind: Key of `ADVICE`.
        names: Images it is about.
        text: What was found, without the names.
    """

    kind: str
    names: tuple[str, ...]
    text: str

    @property
    def advice(self) -> str:
        """What to do about it."""
        return ADVICE[self.kind]


def content_hash(image: Image) -> str:
    """SHA-256 of an image's pixels, by which copies are known; the file's format does not matter."""
    pixels = np.ascontiguousarray(image.pixels)
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()


class Inspector:
    """Looks at images and masks as they are read, each once.

    Attributes:
        description: Of the data set.
    """

    def __init__(self, description: Description) -> None:
        self.description = description
        self._seen: dict[str, Record] = {}
        self._images: dict[str, str] = {}
        self._found: list[Finding] = []
        self._channels: set[tuple[str, ...]] = set()

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels where all images have several that are no color; empty otherwise.

        Where images name them differently, the names are those of their places.
        """
        counts = {len(names) for names in self._channels}
        if len(counts) != 1 or counts <= {0, 1}:
            return ()
        if len(self._channels) == 1:
            return next(iter(self._channels))
        return tuple(f"channel {place}" for place in range(counts.pop()))

    def look(self, record: Record, image: Image, mask: np.ndarray) -> None:
        """Look at one image, (1, C, H, W), and its mask as stored, (H, W)."""
        if record.name in self._seen:
            return
        self._seen[record.name] = record
        self._channels.add(() if image.color else image.channel_names)
        self._images[record.name] = content_hash(image)
        for kind, text in examine(image.pixels[0], mask, self.description):
            self._found.append(Finding(kind, (record.name,), text))

    def findings(self) -> list[Finding]:
        """All that was found, that about several images first."""
        return [*self._duplicates(), *self._found]

    def _duplicates(self) -> list[Finding]:
        found = []
        for names in find_duplicates(self._images):
            splits = {self._seen[name].split for name in names}
            if {"train", "val"} <= splits:
                places = ", ".join(f"{name} in {self._seen[name].folder}/" for name in names)
                found.append(Finding("shared", names, f"the same image is learned from and held out: {places}"))
            else:
                found.append(Finding("duplicate", names, f"the same image is there {len(names)} times"))
        return found


def summarize(findings: Sequence[Finding]) -> list[str]:
    """One sentence for each kind of finding, with the first images and what to do."""
    sentences = []
    for kind in dict.fromkeys(finding.kind for finding in findings):
        same = [finding for finding in findings if finding.kind == kind]
        first = "; ".join(f"{', '.join(one.names)}: {one.text}" for one in same[:_MOST_NAMED])
        more = f"; and {len(same) - _MOST_NAMED} more" if len(same) > _MOST_NAMED else ""
        sentences.append(f"{first}{more}; {ADVICE[kind]}")
    return sentences


@dataclass(frozen=True)
class Inspection:
    """What `inspect_data` found out.

    Attributes:
        records: Images that a training would use.
        description: What their masks mean.
        notes: What was guessed and left out.
        findings: What a person should look at; files that cannot be used come first.
    """

    records: list[Record]
    description: Description
    notes: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def sentences(self) -> list[str]:
        """The findings in a sentence for each kind."""
        return summarize(self.findings)


def inspect_data(folder: Path) -> Inspection:
    """Read a folder of training data and look for what is wrong with it.

    Raises:
        InputError: There is nothing to learn from, or its kind cannot be told.
    """
    from ...recipe import DataConfig
    from .collect import find_records
    from .samples import load_sample

    notes: list[str] = []
    records, description = find_records(folder, notes.append)
    inspector, unusable = Inspector(description), []
    for record in records:
        try:
            load_sample(record, description, DataConfig(), inspector.look)
        except InputError as error:
            unusable.append(Finding("unusable", (record.name,), str(error)))
    return Inspection(records, description, tuple(notes), (*unusable, *inspector.findings()))
