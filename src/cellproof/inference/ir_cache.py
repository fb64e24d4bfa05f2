"""Converted networks on disk: an entry is a folder that is whole, or not there.

An entry is written beside its place and renamed, and carries a checksum of each file, so that neither a
killed process nor a damaged disk can bring half a network back.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from logging import getLogger
from pathlib import Path

_CHECKSUMS = "checksums.json"
_LOG = getLogger(__name__)


def cache_root() -> Path:
    """``$CELLPROOF_CACHE`` or ``~/.cache/cellproof``; it need not exist."""
    return Path(os.environ.get("CELLPROOF_CACHE") or os.path.join(os.path.expanduser("~"), ".cache", "cellproof"))


def entry_folder(*key: str) -> Path:
    """Where the entry of this key lies in the cache; it need not exist."""
    return cache_root() / "openvino" / hashlib.sha256("\n".join(key).encode()).hexdigest()[:32]


def is_whole(entry: Path) -> bool:
    """Whether the entry is there and every file in it is as it was written."""
    try:
        checksums = json.loads((entry / _CHECKSUMS).read_text(encoding="utf-8"))
        whole = bool(checksums) and all(_checksum(entry / name) == checksum for name, checksum in checksums.items())
    except FileNotFoundError:
        return False
    except (OSError, ValueError, AttributeError) as error:
        _LOG.warning("cannot read the cache entry %s (%s); it is made anew", entry, error)
        return False
    if not whole:
        _LOG.warning("the cache entry %s is damaged; it is made anew", entry)
    return whole


def write_entry(entry: Path, write_files: Callable[[Path], None]) -> None:
    """Fill the entry, in place of a damaged one; where the disk refuses, say so in the log and go without.

    Args:
        entry: From `entry_folder`.
        write_files: Writes the files into the folder that it is given.
    """
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=entry.parent, prefix=".new-") as temporary:
            new = Path(temporary) / "entry"
            new.mkdir()
            write_files(new)
            checksums = {path.name: _checksum(path) for path in sorted(new.iterdir())}
            (new / _CHECKSUMS).write_text(json.dumps(checksums), encoding="utf-8")
            shutil.rmtree(entry, ignore_errors=True)
            os.replace(new, entry)
    except OSError as error:
        _LOG.info("the converted network is not kept: %s", error)


def _checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
