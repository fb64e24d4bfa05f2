"""The Data Science Bowl 2018: ``stage1_train/ID/images/ID.png`` with ``masks/*.png``, or ``stage1_train_labels.csv``.

The table has one row per nucleus: ImageId, EncodedPixels (runs, counted from 1 along columns).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from ..checks import InputError
from .annotations import AnnotatedImage, unusable
from .sartorius import decode_checked

TABLE = "stage1_train_labels.csv"


def index(source: Path, *, read_mask: Callable[[Path], np.ndarray]) -> list[AnnotatedImage]:
    """Images of a folder ``stage1_train/`` of folders, or of that folder itself, by name.

    Mask files are preferred where an image has some; the table serves the others.

    Args:
        source: The folder.
        read_mask: Reads a mask file as an (H, W) array.

    Raises:
        InputError: No such folders, or a table without its columns. An image without annotation and a row without image
            are told as the image's problem.
    """
    folder = source / "stage1_train" if (source / "stage1_train").is_dir() else source
    images = {path.stem: path for path in sorted(folder.glob("*/images/*.png"))}
    if not images:
        raise InputError(f"{source} holds no ID/images/ID.png; expected the folder that contains stage1_train")
    table = source / TABLE
    runs = _table(table) if table.is_file() else {}
    found = [_annotated(name, path, runs.get(name, []), table, read_mask) for name, path in images.items()]
    return found + [
        unusable(
            name,
            folder / name / "images" / f"{name}.png",
            f"{table}, row {rows[0][0]}: no image {name}; add it, or remove the row",
        )
        for name, rows in runs.items()
        if name not in images
    ]


def _annotated(
    name: str, image: Path, runs: list[tuple[int, str]], table: Path, read_mask: Callable[[Path], np.ndarray]
) -> AnnotatedImage:
    files = sorted((image.parent.parent / "masks").glob("*.png"))

    def from_files() -> Iterator[tuple[str, np.ndarray]]:
        for file in files:
            yield str(file), read_mask(file) > 0

    def from_table(shape: tuple[int, int]) -> Iterable[tuple[str, np.ndarray]]:
        for line, text in runs:
            where = f"{table}, row {line}"
            yield where, decode_checked(text, shape, order="column", where=where)

    if not files and not runs:
        return unusable(
            name, image, f"{image}: no masks/*.png beside it and no row in {table.name}; add one, or remove the image"
        )
    if files:
        return AnnotatedImage(name, image, None, from_files)
    return AnnotatedImage(name, image, None, lambda: from_table(read_mask(image).shape[:2]))


def _table(table: Path) -> dict[str, list[tuple[int, str]]]:
    runs: dict[str, list[tuple[int, str]]] = {}
    with table.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if not {"ImageId", "EncodedPixels"} <= set(rows.fieldnames or ()):
            raise InputError(f"{table}: columns are {rows.fieldnames}, expected ImageId and EncodedPixels")
        for line, row in enumerate(rows, start=2):
            runs.setdefault(row["ImageId"], []).append((line, row["EncodedPixels"] or ""))
    return runs
