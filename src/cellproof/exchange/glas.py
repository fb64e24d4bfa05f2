"""Glands of the GlaS challenge (MICCAI 2015): ``train_1.bmp``, ``train_1_anno.bmp``, …, ``Grade.csv`` in one folder.

The splits are the beginnings of the names: ``train``, ``testA``, ``testB``. An annotation holds gland numbers, 0 is
tissue between glands. The table names each image's patient and grade; headings and cells begin with spaces.
A folder of ``SPLIT/images`` and ``SPLIT/masks`` beside a table ``manifest.csv`` (split, name, grade, patient) is read
like it.

References:
    Sirinukunwattana et al. (2017). Gland segmentation in colon histology images: the GlaS challenge contest. Medical
    Image Analysis 35, 489-502. doi:10.1016/j.media.2016.08.008
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from ..checks import InputError
from .annotations import AnnotatedImage

TABLE = "Grade.csv"

MANIFEST = "manifest.csv"

SPLITS = ("train", "testA", "testB")

PIXEL_SIZE_UM = 0.62005
"""Zeiss MIRAX MIDI at 20×, as the organizers state it."""

_NAME = re.compile(r"(train|testA|testB)_(\d+)")


def index(source: Path, *, read_mask: Callable[[Path], np.ndarray]) -> list[AnnotatedImage]:
    """Images of the official folder, by split and number, with patient and grade.

    Args:
        source: The folder that holds ``train_1.bmp``, or one of splits; see the module.
        read_mask: Reads an annotation as an (H, W) array of gland numbers.

    Raises:
        InputError: No such images, an image without annotation or without a row in the table, or a table without the
            columns.
    """
    has_splits = any((source / split / "images").is_dir() for split in SPLITS)
    pairs = _of_splits(source) if has_splits else _of_one_folder(source)
    table = source / (MANIFEST if has_splits else TABLE)
    facts = _table(table)
    found = []
    for name in sorted(pairs, key=_order):
        image, mask = pairs[name]
        if name not in facts:
            raise InputError(f"{table}: no row for {image.name}; add one with its patient and grade")
        found.append(AnnotatedImage(name, image, None, _reader(mask, read_mask), facts[name], name.split("_")[0]))
    return found


def _of_one_folder(source: Path) -> dict[str, tuple[Path, Path]]:
    """Name → image and annotation, of the organizers' folder."""
    pairs = {}
    for image in source.glob("*.bmp"):
        if _NAME.fullmatch(image.stem):
            pairs[image.stem] = (image, _there(image.with_name(f"{image.stem}_anno.bmp"), image))
    if not pairs:
        raise InputError(
            f"{source} holds no train_1.bmp, testA_1.bmp …; expected the folder of the published archive, with {TABLE}"
        )
    return pairs


def _of_splits(source: Path) -> dict[str, tuple[Path, Path]]:
    """Name → image and mask, of a folder for each split."""
    pairs = {}
    for split in SPLITS:
        for image in (source / split / "images").glob("*"):
            if _NAME.fullmatch(image.stem):
                pairs[image.stem] = (image, _there(source / split / "masks" / f"{image.stem}.png", image))
    if not pairs:
        raise InputError(f"{source} holds no train/images/train_1.* …; expected images named as in the challenge")
    return pairs


def _there(mask: Path, image: Path) -> Path:
    if not mask.is_file():
        raise InputError(f"{image}: its annotation {mask.name} is missing; add it, or remove the image")
    return mask


def _table(path: Path) -> dict[str, Mapping[str, str]]:
    """Name → patient and grade, with the grade of the challenge: benign or malignant."""
    if not path.is_file():
        raise InputError(f"{path} is missing; it says which patient each image is of, and folds keep patients whole")
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file)
        headings = [cell.strip().lower() for cell in next(rows, [])]
        places = {key: _place(headings, key) for key in ("name", "patient", "grade")}
        absent = [key for key, place in places.items() if place is None]
        if absent:
            raise InputError(f"{path}: columns are {', '.join(headings)}; expected one that begins with {absent[0]!r}")
        facts: dict[str, Mapping[str, str]] = {}
        for row in rows:
            if any(cell.strip() for cell in row):
                name, patient, grade = (_cell(path, rows.line_num, row, places[key]) for key in places)
                facts[name] = {"patient": patient, "grade": grade}
    return facts


def _place(headings: list[str], key: str) -> int | None:
    """The first column whose heading begins with a word: "grade (glas)" comes before the five-part grade."""
    return next((place for place, heading in enumerate(headings) if heading.startswith(key)), None)


def _cell(path: Path, line: int, row: list[str], place: int | None) -> str:
    if place is None or place >= len(row) or not row[place].strip():
        raise InputError(f"{path}, row {line}: a cell is empty; expected name, patient and grade")
    return row[place].strip()


def _order(name: str) -> tuple[int, int]:
    split, number = name.split("_")
    return SPLITS.index(split), int(number)


def _reader(mask: Path, read_mask: Callable[[Path], np.ndarray]) -> Callable[[], Iterator[tuple[str, np.ndarray]]]:
    def masks() -> Iterator[tuple[str, np.ndarray]]:
        labels = read_mask(mask)
        for gland in np.unique(labels[labels > 0]).tolist():
            yield f"{mask}, gland {gland}", labels == gland

    return masks
