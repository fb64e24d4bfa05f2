"""Whether a resumed training has the data that it was started with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...checks import InputError, UsageError
from ...data.description import FILE_NAME
from ...data.index import Record
from ...io import read_json, write_json

FINGERPRINT_FILE = "data.json"
"""SHA-256 of every file of the data, in the folder of the run."""

_MOST_NAMED = 4


def fingerprint(data: Path, records: Sequence[Record]) -> dict[str, str]:
    """File, relative to the data, → SHA-256 of its bytes; images, masks and the description.

    Raises:
        InputError: A file cannot be read.
    """
    files = {path for record in records for path in (record.image, record.mask)}
    if (data / FILE_NAME).is_file():
        files.add(data / FILE_NAME)
    found = {}
    for path in sorted(files):
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise InputError(f"{path}: the file cannot be read ({error.strerror}); check its permissions") from error
        found[path.relative_to(data).as_posix() if path.is_relative_to(data) else str(path)] = digest
    return found


def write_fingerprint(out: Path, data: Path, records: Sequence[Record]) -> None:
    """Keep the fingerprint in the folder of a run.

    Raises:
        InputError: It cannot be written.
    """
    write_json(out / FINGERPRINT_FILE, fingerprint(data, records))


def check_fingerprint(out: Path, data: Path, records: Sequence[Record]) -> None:
    """Refuse to resume a run whose data are no longer the same; runs without fingerprint are older and pass.

    Raises:
        UsageError: Naming files that changed, are new, or are gone.
    """
    if not (out / FINGERPRINT_FILE).exists():
        return
    before = read_json(out / FINGERPRINT_FILE)
    now = fingerprint(data, records)
    differences = compare(before if isinstance(before, dict) else {}, now)
    if differences:
        raise UsageError(
            f"{out}: the data changed since this training run was started: {differences}; put them back, or start anew "
            "in another folder",
            argument="out",
        )


def compare(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What changed between two fingerprints, in words; empty where nothing did.

    Examples:
        >>> compare({"a": "1", "b": "2"}, {"a": "3", "c": "4"})
        'changed: a; gone: b; new: c'
    """
    kinds = {
        "changed": [name for name in before if name in now and before[name] != now[name]],
        "gone": [name for name in before if name not in now],
        "new": [name for name in now if name not in before],
    }
    return "; ".join(f"{kind}: {_listed(names)}" for kind, names in kinds.items() if names)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(sorted(names)[:_MOST_NAMED]) + more
