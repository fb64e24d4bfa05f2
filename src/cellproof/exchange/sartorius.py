"""The Sartorius cell instance segmentation set (Kaggle 2021): ``train.csv`` and ``train/ID.png``.

One row per cell: id, annotation (runs, counted from 1 along rows), width, height, cell_type, ….
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..checks import InputError
from .annotations import AnnotatedImage, unusable
from .rle import Order, decode, wrong_order

COLUMNS = ("id", "annotation", "width", "height", "cell_type")


@dataclass(frozen=True)
class _Row:
    """A line of the table: its number from 1, and the byte at which it begins."""

    line: int
    offset: int


def index(source: Path) -> list[AnnotatedImage]:
    """Images of a folder with ``train.csv`` and ``train/``, in the order of the table; those without a row come last.

    Only places of rows are kept; masks are read when they are asked for. A row without image, an image without row, and
    a row whose size is no number, or not that of the rows before, are told as the image's problem.

    Raises:
        InputError: No such table, missing columns, or a row with too few values; the message names file and row.
    """
    table = source / "train.csv"
    rows: dict[str, list[_Row]] = {}
    facts: dict[str, tuple[tuple[int, int], str]] = {}
    problems: dict[str, str] = {}
    columns, lines = _lines(table)
    for row, values in lines:
        name = values[columns["id"]]
        rows.setdefault(name, []).append(row)
        try:
            fact = (_shape(values, columns), values[columns["cell_type"]])
            if facts.setdefault(name, fact) != fact:
                raise InputError(f"size or cell_type of {name} differ from its rows before")
            if len(rows[name]) == 1 and not _image(source, name).is_file():
                raise InputError(f"{_image(source, name)} does not exist; add the image, or remove its rows")
        except InputError as error:
            problems.setdefault(name, f"{table}, row {row.line}: {error}")
    found = [
        unusable(name, _image(source, name), problems[name])
        if name in problems
        else AnnotatedImage(
            name=name,
            image=_image(source, name),
            shape=facts[name][0],
            masks=lambda places=places, shape=facts[name][0]: _masks(table, columns["annotation"], places, shape),  # type: ignore[misc]  # bound now
            attributes={"cell_type": facts[name][1]},
        )
        for name, places in rows.items()
    ]
    without = [path for path in sorted((source / "train").glob("*.png")) if path.stem not in rows]
    return found + [
        unusable(path.stem, path, f"{table}: no row for {path}; add its cells, or remove the image") for path in without
    ]


def _lines(table: Path) -> tuple[dict[str, int], Iterator[tuple[_Row, list[str]]]]:
    """Place of each column, and the rows with where they begin."""
    try:
        with table.open("rb") as file:
            header = next(csv.reader([file.readline().decode()]), [])
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{table} cannot be read ({error}); expected the set's train.csv") from error
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise InputError(f"{table} has no column {', '.join(missing)}; its columns are {', '.join(header) or 'none'}")

    def rows() -> Iterator[tuple[_Row, list[str]]]:
        with table.open("rb") as file:
            file.readline()
            offset, number = file.tell(), 1
            for line in file:
                number += 1
                if line.strip():
                    values = next(csv.reader([line.decode()]))
                    if len(values) < len(header):
                        raise InputError(f"{table}, row {number}: {len(values)} values, expected {len(header)}")
                    yield _Row(number, offset), values
                offset += len(line)

    return {name: header.index(name) for name in COLUMNS}, rows()


def _shape(values: list[str], columns: dict[str, int]) -> tuple[int, int]:
    try:
        height, width = int(values[columns["height"]]), int(values[columns["width"]])
    except ValueError as error:
        raise InputError("width or height is no whole number") from error
    if height < 1 or width < 1:
        raise InputError(f"an image of {height} × {width} pixels, expected at least 1 × 1")
    return height, width


def _image(source: Path, name: str) -> Path:
    return source / "train" / f"{name}.png"


def _masks(table: Path, column: int, places: list[_Row], shape: tuple[int, int]) -> Iterator[tuple[str, np.ndarray]]:
    with table.open("rb") as file:
        for place in places:
            file.seek(place.offset)
            text = next(csv.reader([file.readline().decode()]))[column]
            yield (
                f"{table}, row {place.line}",
                decode_checked(text, shape, order="row", where=f"{table}, row {place.line}"),
            )


def decode_checked(text: str, shape: tuple[int, int], *, order: Order, where: str) -> np.ndarray:
    """Mask of runs counted from 1; errors name where they stand.

    Raises:
        InputError: See `rle.decode`; or the other order is far likelier.
    """
    try:
        mask = decode(text, shape, order=order)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    if wrong_order(text, shape, order=order):
        other = "column" if order == "row" else "row"
        raise InputError(f"{where}: pixels lie scattered if runs go along {order}s, and together along {other}s")
    return mask
