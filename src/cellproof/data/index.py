"""Which image belongs to which mask, in a folder of training data."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..checks import InputError
from .description import Description
from .pairing import IMAGE_FOLDERS, MASK_FOLDERS, SPLITS, is_mask_name, list_names, pair, pair_in_one_folder

SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".webp")
"""Files of other kinds beside the images (tables, notes, thumbnails' databases) are passed over."""

CELLS = "cells"
"""Folder beside masks of membranes with the ids of what they enclose; for scores, not for learning."""

LAYOUTS = "images/ and masks/ with files of the same stem, these under train/ and val/, or pairs a.tif and a_masks.tif"
"""Where image and mask are looked for, for messages."""


@dataclass(frozen=True)
class Record:
    """One annotated image on disk.

    Attributes:
        name: Stem of the image's file, without what says that it is an image.
        split: "train", "val" or "test" for a folder that is named so or alike; the folder's own name for any
            other; empty where there are no such folders.
        image: File of the image.
        mask: File of the mask.
        group: What folds never divide; the name itself where no group column is given.
        attributes: The row of the attributes table; empty where there is none.
        folder: Name of the folder that the split stands for; empty where there is none.
        source: File and row of its attributes, for messages; empty where there are none.
    """

    name: str
    split: str
    image: Path
    mask: Path
    group: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""
    source: str = ""


@dataclass(frozen=True)
class Index:
    """What a folder of training data holds.

    Attributes:
        records: All pairs, by split and name.
        notes: What was left out and how folders were read, a sentence each.
    """

    records: list[Record]
    notes: tuple[str, ...] = ()


def index(folder: Path, description: Description) -> list[Record]:
    """Pairs of image and mask, by split and name; `scan` without its notes."""
    return scan(folder, description).records


def scan(folder: Path, description: Description) -> Index:
    """Pairs of image and mask, and what was left out.

    Looked for, in this order: two folders, as ``images`` and ``masks``; files beside each other in the folder, as
    ``x.tif`` and ``x_masks.tif``; either of these in its subfolders, whose names are the splits, or where none is
    named like a split, parts of one set. What names are known stands in `pairing`. Suffixes may differ in a pair.

    Args:
        folder: The training data.
        description: Of the same; names the attributes table and the group column.

    Raises:
        InputError: Nothing is found, an image or mask lacks its partner, two files fit one name, or the
            attributes table lacks a file, a column or a row that is needed.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; expected {LAYOUTS}")
    table = _read_attributes(folder, description)
    parts = _parts(folder)
    splits = {part: SPLITS.get(part.casefold(), part) for part, _ in parts}
    named = {part for part, split in splits.items() if split in SPLITS.values()}
    notes = list(_notes(folder, parts, named))
    records = []
    for part, pairs in parts:
        # Folders that are called nothing like a split are experiments of one set, unless some are.
        split = splits[part] if part in named or named else ""
        for name, (image, mask) in sorted(pairs.items()):
            source, row = table.get(name, ("", {}))
            group = _group(name, row, description)
            records.append(Record(name, split, image, mask, group, row, part, source))
    if not records:
        raise InputError(f"{folder} holds {_without_masks(folder)}; expected {LAYOUTS}")
    return Index(sorted(records, key=lambda record: (record.split, record.folder, record.name)), tuple(notes))


def _without_masks(folder: Path) -> str:
    """What a folder without pairs holds, in words."""
    images = len(_pictures(folder))
    return f"{images} image{'' if images == 1 else 's'} but no masks" if images else "no images"


def attribute(record: Record, name: str) -> str:
    """Value of a record's attribute.

    Raises:
        InputError: It has none of that name.
    """
    try:
        return dict(record.attributes)[name]
    except KeyError:
        known = ", ".join(dict(record.attributes)) or "none"
        raise InputError(f"{record.name}: no attribute {name!r}; there: {known}") from None


def _parts(folder: Path) -> list[tuple[str, dict[str, tuple[Path, Path]]]]:
    """Name of a subfolder, empty for the folder itself, and its pairs."""
    own = _pairs_of(folder)
    if own:
        return [("", own)]
    subfolders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    taken = (*IMAGE_FOLDERS, *MASK_FOLDERS)
    parts = [
        (path.name, _pairs_of(path) or {}) for path in subfolders if path.name not in taken and not _lacks_masks(path)
    ]
    return [(name, pairs) for name, pairs in parts if pairs]


def _lacks_masks(folder: Path) -> bool:
    """Whether a folder that nobody learns from has images alone, as test sets of challenges have."""
    split = SPLITS.get(folder.name.casefold())
    return split not in ("train", "val") and not _one_of(folder, MASK_FOLDERS) and bool(_one_of(folder, IMAGE_FOLDERS))


def _pairs_of(folder: Path) -> dict[str, tuple[Path, Path]] | None:
    """Pairs that lie in a folder; None where it holds none."""
    images, masks = _one_of(folder, IMAGE_FOLDERS), _one_of(folder, MASK_FOLDERS)
    if images is not None and masks is not None:
        pairs = pair(_pictures(images), _pictures(masks))
    elif images is not None:
        raise InputError(f"{folder} has {images.name}/ but no masks/; put each image's mask there, under the same stem")
    else:
        files = _pictures(folder)
        pairs = pair_in_one_folder(files)
        if not any(map(is_mask_name, files)):
            return None
    _refuse_single(pairs.first_alone, len(pairs.pairs), f"images in {folder} have no mask")
    _refuse_single(pairs.second_alone, len(pairs.pairs), f"masks in {folder} have no image")
    return dict(pairs.pairs)


def _one_of(folder: Path, names: Sequence[str]) -> Path | None:
    """The subfolder that has one of these names.

    Raises:
        InputError: Two have.
    """
    there = {path.name for path in folder.iterdir() if path.is_dir()}
    found = [name for name in names if name in there]
    if len(found) > 1 and not all(name.endswith(("Tr", "Ts")) for name in found):
        raise InputError(f"{folder}: {found[0]}/ and {found[1]}/ both may hold what is expected; keep one of them")
    return folder / found[0] if found else None


def _notes(folder: Path, parts: Sequence[tuple[str, Mapping[str, object]]], named: set[str]) -> Iterator[str]:
    """What folders were taken for, and which were left out."""
    for part, pairs in parts:
        split = SPLITS.get(part.casefold())
        if part and split and split != part:
            yield f"{part}/ ({_count(pairs)}) is taken for {split}/"
        if split == "test":
            yield f"{part}/ ({_count(pairs)}) is left out of the training, for an evaluation"
        if part and split is None and named:
            yield f"{part}/ ({_count(pairs)}) is left out: its name is none of train, val or test"
    others = [part for part, _ in parts if part]
    if others and not named:
        yield f"the folders {', '.join(f'{part}/' for part in others)} are taken for parts of one set"
    used = {*others, *(name for name in (*IMAGE_FOLDERS, *MASK_FOLDERS) if not name.endswith("Ts"))}
    for path in sorted(folder.iterdir()):
        if (
            path.is_dir()
            and path.name not in (*used, CELLS)
            and not path.name.startswith(".")
            and _holds_pictures(path)
        ):
            why = "it holds images without masks" if others else "the images and masks beside it are used"
            yield f"{path.name}/ is left out: {why}"


def _holds_pictures(folder: Path) -> bool:
    return any(path.suffix.lower() in SUFFIXES for path in folder.rglob("*"))


def _refuse_single(alone: Sequence[Path], paired: int, problem: str) -> None:
    if alone:
        count = len(alone) + paired
        raise InputError(
            f"{len(alone)} of {count} {problem} of the same stem: {list_names(alone)}; add them or move these away"
        )


def _pictures(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )


def _read_attributes(folder: Path, description: Description) -> dict[str, tuple[str, dict[str, str]]]:
    """Name → file and number of its row, and the row without the columns ``name`` and ``split``."""
    if not description.attributes:
        if description.group:
            raise InputError(
                f'{folder}: group = "{description.group}" needs a table; name its file as attributes in dataset.toml'
            )
        return {}
    path = folder / description.attributes
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            rows = [(f"{path}, row {table.line_num}", row) for row in table]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"the attributes table {path} cannot be read: {error}") from error
    columns = list(rows[0][1]) if rows else []
    for wanted in ("name", description.group):
        if wanted and wanted not in columns:
            raise InputError(
                f"the attributes table {path} has no column {wanted!r}; there: {', '.join(map(str, columns)) or 'none'}"
            )
    return {
        row["name"]: (where, {key: value or "" for key, value in row.items() if key not in ("name", "split", None)})
        for where, row in rows
    }


def _group(name: str, row: Mapping[str, str], description: Description) -> str:
    if not description.group:
        return name
    if not row.get(description.group):
        raise InputError(
            f"{name} has no {description.group!r} in {description.attributes}; "
            "add it there, or remove group from dataset.toml"
        )
    return row[description.group]


def _count(pairs: Mapping[str, object]) -> str:
    return f"{len(pairs)} image{'' if len(pairs) == 1 else 's'}"
