"""Which picture belongs to which mask, in a folder of training data."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..checks import InputError
from .description import Description

SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".webp")
"""Files of other kinds beside the pictures (tables, notes, thumbnails' databases) are passed over."""

MASK_ENDING = "_masks"
"""``x.tif`` and ``x_masks.tif`` in one folder are a pair, too."""

LAYOUTS = "images/ and masks/ with files of the same stem, these under train/ and val/, or pairs a.tif and a_masks.tif"
"""Where image and mask are looked for, for messages."""

MOST_NAMED = 3


@dataclass(frozen=True)
class Record:
    """One annotated picture on disk.

    Attributes:
        name: Stem of the picture's file.
        split: Folder it lies in ("train", "val", …); empty where there are no such folders.
        image: File of the picture.
        mask: File of the mask.
        group: What folds never divide; the name itself where no group column is given.
        attributes: The row of the attributes table; empty where there is none.
    """

    name: str
    split: str
    image: Path
    mask: Path
    group: str
    attributes: Mapping[str, str] = field(default_factory=dict)


def index(folder: Path, description: Description) -> list[Record]:
    """Pairs of picture and mask, by split and name.

    Looked for, in this order: ``images`` and ``masks`` in the folder; the same in its subfolders, whose
    names are the splits; pairs ``x.tif`` and ``x_masks.tif`` in the folder. Suffixes may differ in a pair.

    Args:
        folder: The training data.
        description: Of the same; names the attributes table and the group column.

    Raises:
        InputError: Nothing is found, a picture or mask lacks its partner, a stem is there twice, or the
            attributes table lacks a file, a column or a row that is needed.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; expected {LAYOUTS}")
    table = _read_attributes(folder, description)
    records = []
    for split, pairs in _find_pairs(folder):
        for name, (image, mask) in sorted(pairs.items()):
            row = table.get(name, {})
            records.append(Record(name, split, image, mask, _group(name, row, description), row))
    if not records:
        raise InputError(f"{folder} holds {_without_masks(folder)}; expected {LAYOUTS}")
    return records


def _without_masks(folder: Path) -> str:
    """What a folder without pairs holds, in words."""
    images = len(_pictures(folder))
    return f"{images} image{'' if images == 1 else 's'} but no masks" if images else "no images"


def _find_pairs(folder: Path) -> list[tuple[str, dict[str, tuple[Path, Path]]]]:
    """Split and its pairs, name → (image, mask)."""
    roots = [folder] if (folder / "images").is_dir() else sorted(path.parent for path in folder.glob("*/images"))
    if not roots:
        return [("", _pair_by_ending(folder))]
    splits = []
    for root in roots:
        if not (root / "masks").is_dir():
            raise InputError(f"{root} has images/ but no masks/; put each image's mask there, under the same stem")
        images, masks = _by_stem(_pictures(root / "images")), _by_stem(_pictures(root / "masks"))
        splits.append(("" if root == folder else root.name, _pair(images, masks, root)))
    return splits


def _pair_by_ending(folder: Path) -> dict[str, tuple[Path, Path]]:
    files = _pictures(folder)
    masks = {path for path in files if path.stem.endswith(MASK_ENDING)}
    if not masks:
        return {}
    by_name = {stem.removesuffix(MASK_ENDING): path for stem, path in _by_stem(masks).items()}
    return _pair(_by_stem(path for path in files if path not in masks), by_name, folder)


def _pair(images: dict[str, Path], masks: dict[str, Path], folder: Path) -> dict[str, tuple[Path, Path]]:
    """Join by name, refusing what has no partner."""
    _refuse_single(images, masks, f"images in {folder} have no mask")
    _refuse_single(masks, images, f"masks in {folder} have no image")
    return {name: (images[name], masks[name]) for name in images}


def _refuse_single(these: dict[str, Path], others: dict[str, Path], problem: str) -> None:
    single = [these[name].name for name in sorted(these.keys() - others.keys())]
    if single:
        named = ", ".join(single[:MOST_NAMED]) + (", …" if len(single) > MOST_NAMED else "")
        raise InputError(
            f"{len(single)} of {len(these)} {problem} of the same stem: {named}; add them or move these away"
        )


def _pictures(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )


def _by_stem(files: Iterable[Path]) -> dict[str, Path]:
    """Stem → file, refusing two files of one stem."""
    found: dict[str, Path] = {}
    for path in sorted(files):
        stem = path.name.removesuffix(path.suffix).removesuffix(".ome")
        if stem in found:
            raise InputError(f"{path.parent}: {found[stem].name} and {path.name} have the same stem; keep one of them")
        found[stem] = path
    return found


def _read_attributes(folder: Path, description: Description) -> dict[str, dict[str, str]]:
    """Name → its row without the columns ``name`` and ``split``."""
    if not description.attributes:
        if description.group:
            raise InputError(
                f'{folder}: group = "{description.group}" needs a table; name its file as attributes in dataset.toml'
            )
        return {}
    path = folder / description.attributes
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"the attributes table {path} cannot be read: {error}") from error
    columns = list(rows[0]) if rows else []
    for wanted in ("name", description.group):
        if wanted and wanted not in columns:
            raise InputError(
                f"the attributes table {path} has no column {wanted!r}; there: {', '.join(map(str, columns)) or 'none'}"
            )
    return {
        row["name"]: {key: value or "" for key, value in row.items() if key not in ("name", "split", None)}
        for row in rows
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
