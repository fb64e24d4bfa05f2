"""One file per set, fold and entry: its scores, and the fingerprint of all that they depend on."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from ...checks import InputError
from ...data.description import Description, description_to_toml
from ...data.index import Record
from ...io import model_hash, read_json, write_json
from ...metrics.rows import Row
from ...recipe import Recipe, format_recipe
from ..train import find_start

FORMAT = 1
"""Version of `Cell`, and of how fingerprints are made; another one is scored anew."""

SCORE_FILE = "score.json"

TRAINING_FILE = "training.json"


class VariantScore(msgspec.Struct, frozen=True):
    """Scores of one variant of one protocol.

    Attributes:
        protocol: Name of the protocol.
        variant: Name of the variant; empty where the protocol has one only.
        choice: What was chosen on the validation images, in words.
        rows: Rows over all test images, then of each test split where there are several.
        columns: Metric and class or threshold of the numbers in `images`.
        images: Name of each test image → its own numbers; NaN where undefined.
        groups: Name of each test image → its split, where splits are never pooled; else empty.
    """

    protocol: str
    variant: str
    choice: str
    rows: list[Row]
    columns: list[tuple[str, str]]
    images: dict[str, list[float]]
    groups: dict[str, str] = {}


class Cell(msgspec.Struct, frozen=True):
    """An entry on one fold of a set.

    Attributes:
        format: Version of this file.
        fingerprint: SHA-256 of all that the scores depend on.
        set: Name of the set, with a word where it is simulated.
        fold: "fold1", …; "official".
        entry: Name of the entry.
        note: How large the study is.
        learned: Images learned from.
        validated: Images chosen with.
        scored: Images scored.
        scores: By protocol and variant.
    """

    format: int
    fingerprint: str
    set: str
    fold: str
    entry: str
    note: str
    learned: int
    validated: int
    scored: int
    scores: list[VariantScore]


def read_cell(path: Path, fingerprint: str) -> Cell | None:
    """The scores in a file; None where there are none, or others than the fingerprint's."""
    if not path.is_file():
        return None
    try:
        values = read_json(path)
        if not isinstance(values, dict) or values.get("fingerprint") != fingerprint:
            return None
        for score in values["scores"]:
            score["rows"] = [_with_nan(row) for row in score["rows"]]
            score["images"] = {name: [_number(one) for one in own] for name, own in score["images"].items()}
        return msgspec.convert(values, Cell)
    except (InputError, msgspec.ValidationError, KeyError, TypeError, AttributeError):
        # Whatever is wrong with it, it is scored anew.
        return None


def write_cell(path: Path, cell: Cell) -> None:
    """Write the scores; not-a-number becomes null.

    Raises:
        InputError: The file cannot be written.
    """
    write_json(path, cell)


def training_fingerprint(
    recipe: Recipe, description: Description, *, train: Sequence[Record], validation: Sequence[Record], seed: int
) -> str:
    """SHA-256 of all that a trained network depends on: effective recipe, division, images, masks, and seed."""
    init = recipe.model.init
    return fingerprint(
        recipe=format_recipe(msgspec.structs.replace(recipe, name="", description="")),
        init=model_hash(find_start(init)) if init else "",
        description=description_to_toml(description),
        train=_hashes(train),
        validation=_hashes(validation),
        seed=seed,
    )


def cell_fingerprint(
    trainings: Sequence[str],
    *,
    test: Sequence[Record],
    protocols: Mapping[str, Any],
    steps: Any,
    note: str,
    told: str = "given",
    tta: bool = False,
    pool: bool = True,
) -> str:
    """SHA-256 of all that the scores of an entry depend on.

    Args:
        trainings: Fingerprints of the networks that predict.
        test: What is scored.
        protocols: Options of each protocol, by its name.
        steps: Refine steps of the entry.
        note: How large the study is; it stands in the tables.
        told: What conditioned networks are told of what is scored; see `Entry.told`.
        tta: Whether views are scored.
        pool: Whether test splits are pooled.
    """
    # What is as it always was leaves no trace, so that scores that were made before stay.
    chosen = (("told", told, "given"), ("tta", tta, False), ("pool", pool, True))
    more = {name: value for name, value, usual in chosen if value != usual}
    return fingerprint(
        trainings=list(trainings), test=_hashes(test), protocols=protocols, steps=steps, note=note, **more
    )


def fingerprint(**parts: Any) -> str:
    """SHA-256 of values, whatever their order."""
    encoded = msgspec.json.encode({"format": FORMAT, **parts}, order="deterministic")
    return hashlib.sha256(encoded).hexdigest()


def _hashes(records: Sequence[Record]) -> list[tuple[str, str, str, dict[str, str]]]:
    """Name, hash of the image, hash of the mask, and attributes of each record, in the order of names."""
    return sorted((one.name, _hash(one.image), _hash(one.mask), dict(one.attributes)) for one in records)


def _hash(path: Path) -> str:
    stat = path.stat()
    return _hash_of(path, stat.st_mtime_ns, stat.st_size)


@cache
def _hash_of(path: Path, changed_ns: int, size: int) -> str:
    """SHA-256 of a file, read again when it has changed."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _with_nan(row: dict[str, Any]) -> dict[str, Any]:
    """A row as it was before JSON, which has no not-a-number, turned it into null."""
    interval = row.get("interval")
    return row | {
        "value": _number(row["value"]),
        "interval": None if interval is None else [_number(one) for one in interval],
    }


def _number(value: float | None) -> float:
    return math.nan if value is None else value
