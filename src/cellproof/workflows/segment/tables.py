"""The tables of a folder of results, from its records: objects, images and planes."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from ...io import atomic_path, read_csv, write_csv
from .names import Failure
from .record import Record

_DIGITS = 4

_EXPECTED = {
    "mean_confidence": _DIGITS,
    "expected_dice": _DIGITS,
    "expected_f1": _DIGITS,
    "expected_count": 1,
    "expected_count_sd": 1,
}
"""Columns of what a result is probably worth, and their digits."""

Row = Record | Failure
"""A finished input, or one without result."""


def write_objects(path: Path, tables: Sequence[Path]) -> None:
    """Write the rows of all tables under one header.

    Tables of images with different channels, or without pixel size, lack columns of others; their cells stay empty.

    Raises:
        InputError: A table cannot be read or the result not be written.
    """
    headers = {_first_line(table) for table in tables}
    if len(headers) > 1:
        _join_tables(path, tables)
        return
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(next(iter(headers), b"image,plane,label,class,area\n"))
        for table in tables:
            with table.open("rb") as rows:
                rows.readline()
                shutil.copyfileobj(rows, file)


def _first_line(table: Path) -> bytes:
    with table.open("rb") as file:
        return file.readline()


def _join_tables(path: Path, tables: Sequence[Path]) -> None:
    parts = [read_csv(table) for table in tables]
    names: list[str] = []
    for part in parts:
        for place, name in enumerate(part):
            if name not in names:
                before = list(part)[place - 1] if place else ""
                names.insert(names.index(before) + 1 if before else 0, name)
    lengths = [len(part["label"]) for part in parts]
    write_csv(
        path,
        {
            name: [cell for part, length in zip(parts, lengths, strict=True) for cell in part.get(name, [""] * length)]
            for name in names
        },
    )


def image_columns(rows: Sequence[Row]) -> dict[str, list[object]]:
    """One row an input; of one without result only its name, "failed" or "left out" as verdict, and the reason.

    Models that give classes to pixels add for each class a column ``fraction_NAME``, its area fraction, and
    ``expected_iou_NAME``; each channel that was read adds mean, extremes and standard deviation of its intensities.
    Last come the views that were averaged.
    """
    lines = [_image_line(row) for row in rows]
    names = ["image", "file", "height", "width", "planes", "pixel_size_um", "scale", "count", *_EXPECTED]
    names += ["verdict", "why"]
    table = {name: [line[place] for line in lines] for place, name in enumerate(names)}
    classes = dict.fromkeys(name for row in rows if isinstance(row, Record) for name in row.class_fractions)
    table |= {f"fraction_{name}": [_fraction(row, name) for row in rows] for name in classes}
    table |= {f"expected_iou_{name}": [_expected_iou(row, name) for row in rows] for name in classes}
    channels = max((len(row.channel_facts) for row in rows if isinstance(row, Record)), default=0)
    for channel in range(channels):
        for name in ("mean", "min", "max", "std"):
            table[f"intensity_{name}-{channel}"] = [_intensity(row, channel, name) for row in rows]
    return table | {"views": [row.views if isinstance(row, Record) else None for row in rows]}


def plane_columns(records: Sequence[Record]) -> dict[str, list[object]]:
    """One row a plane of every finished input, single images included: what was found there and its own verdict."""
    table: dict[str, list[object]] = {name: [] for name in ("image", "plane", "place", "count")}
    table |= {name: [] for name in (*_EXPECTED, "verdict", "why", "views")}
    for record in records:
        for number, facts in enumerate(record.plane_facts):
            for name, value in (("image", record.name), ("plane", number)):
                table[name].append(value)
            for name in ("place", "count", "verdict", "why", "views"):
                table[name].append(getattr(facts, name))
            for name, digits in _EXPECTED.items():
                table[name].append(_rounded(getattr(facts, name), digits))
    return table


def _intensity(row: Row, channel: int, name: str) -> float | None:
    if not isinstance(row, Record) or channel >= len(row.channel_facts):
        return None
    return float(f"{getattr(row.channel_facts[channel], name):.6g}")


def _fraction(row: Row, name: str) -> float | None:
    if not isinstance(row, Record) or name not in row.class_fractions:
        return None
    return round(row.class_fractions[name], _DIGITS)


def _expected_iou(row: Row, name: str) -> float | None:
    return _rounded(row.expected_iou.get(name), _DIGITS) if isinstance(row, Record) else None


def _image_line(row: Row) -> tuple[object, ...]:
    if isinstance(row, Failure):
        empty = [None] * 11
        return (row.name, row.path.name, *empty, "left out" if row.left_out else "failed", row.reason)
    return (
        row.name,
        Path(row.source.path).name,
        row.height,
        row.width,
        row.planes,
        None if row.pixel_size_um is None else float(f"{row.pixel_size_um:.6g}"),
        None if row.scale is None else round(row.scale, _DIGITS),
        row.count,
        *(_rounded(getattr(row, name), digits) for name, digits in _EXPECTED.items()),
        row.verdict,
        row.why,
    )


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
