"""Tables as CSV and structured values as JSON, written atomically."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..checks import InputError
from ._decoding import read_file, refusal
from ._json import encode
from .atomic import write_text


def write_csv(path: str | Path, columns: Mapping[str, Sequence[object] | np.ndarray]) -> None:
    """Write columns of equal length as CSV.

    Floats have the fewest digits that give the same float of their precision again; not-a-number is
    ``nan``, None an empty cell. Without rows the header alone is written.

    Raises:
        InputError: for columns of different lengths, naming them, and where the file cannot be written.
    """
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise InputError(f"{path}: columns of different lengths ({listed}); expected one value a row in each")
    text = io.StringIO()
    plain = csv.writer(text, lineterminator="\n")
    # The csv module quotes line feeds by itself, but not a carriage return that ends no line here.
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in (tuple(columns), *zip(*columns.values(), strict=True)):
        cells = ["" if value is None else str(value) for value in row]
        writer = quoted if any("\r" in cell for cell in cells) else plain
        writer.writerow(cells)
    write_text(path, text.getvalue())


def read_csv(path: str | Path) -> dict[str, list[str]]:
    """Read a CSV file with a header as columns of text.

    Returns:
        Column name → one text a row; empty lists where there are no rows.

    Raises:
        InputError: for a file that is missing, empty, no UTF-8 text, or has rows of different lengths.
    """
    path = Path(path)
    try:
        text = read_file(path).decode("utf-8-sig")
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise refusal(path, f"no table in UTF-8 CSV ({error}); save it as CSV with UTF-8") from error
    if not rows:
        raise refusal(path, "the table has no header; expected column names in the first line")
    names = rows[0]
    if len(set(names)) < len(names):
        raise refusal(path, f"column names repeat ({', '.join(names)}); rename one of them")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(names):
            raise refusal(path, f"row {number} has {len(row)} cells, expected {len(names)} as in the header; repair it")
    return {name: [row[column] for row in rows[1:]] for column, name in enumerate(names)}


def write_json(path: str | Path, value: object) -> None:
    """Write a value as indented JSON: numbers, texts, lists, mappings, dataclasses, structs, arrays and paths.

    Not-a-number and infinity, which JSON lacks, become null.

    Raises:
        InputError: where the file cannot be written.
    """
    write_text(path, format_json(value) + "\n")


def format_json(value: object) -> str:
    """The text that `write_json` writes, without its last line end."""
    return msgspec.json.format(encode(value), indent=2).decode()


def read_json(path: str | Path) -> Any:
    """Read a JSON file as plain values.

    Raises:
        InputError: for a file that is missing, empty or no JSON.
    """
    path = Path(path)
    try:
        return msgspec.json.decode(read_file(path))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise refusal(path, f"no valid JSON ({error}); write it anew") from error
