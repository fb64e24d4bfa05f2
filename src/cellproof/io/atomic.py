"""Files that are whole or not there: written under a hidden name, then renamed.

A kill at any moment leaves the old file, the new file, or besides one of them a leftover with a
recognizable name; never half a file under its final name.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..checks import InputError

_LEFTOVER = re.compile(r"\.cellproof-[0-9a-f]{12}-.*\.partial(\.[^.]+)?", re.DOTALL)
_LONGEST_STEM = 40
"""Characters of the name that a temporary name repeats; file systems allow 255 bytes in all."""


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path in the same folder; what is written there appears under ``path`` only when whole.

    On leaving, the file is forced to the disk and renamed, replacing what was there. On any exception it is
    removed and ``path`` stays as it was. The temporary name ends in the suffix of ``path``.

    Raises:
        InputError: for every `OSError` inside: a full disk, a folder that is missing or cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".cellproof-{secrets.token_hex(6)}-{path.stem[:_LONGEST_STEM]}.partial{path.suffix}")
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
    except BaseException as error:
        # Where the folder itself is at fault, unlink fails as well; the first error is the one to tell.
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise _write_error(path, error) from error
        raise
    # The rename is done. Some network file systems refuse to force a folder to the disk.
    with contextlib.suppress(OSError):
        _sync_folder(path.parent)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write bytes atomically.

    Raises:
        InputError: where the file cannot be written.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write text as UTF-8 with its line ends as they are, atomically.

    Raises:
        InputError: where the file cannot be written.
    """
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def make_folder(path: str | Path) -> Path:
    """Make a folder and those above it; nothing happens where it exists.

    Raises:
        InputError: where it cannot be made.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _write_error(folder, error) from error
    return folder


def remove_leftovers(folder: str | Path) -> list[Path]:
    """Delete the temporary files that killed runs left in a folder; call it while no other run writes there.

    Returns:
        The files that were deleted; empty where the folder does not exist.

    Raises:
        InputError: where one cannot be deleted.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return []
    leftovers = sorted(path for path in folder.iterdir() if _LEFTOVER.fullmatch(path.name) and path.is_file())
    for path in leftovers:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise _write_error(path, error) from error
    return leftovers


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # Windows cannot open folders
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_error(path: Path, error: OSError) -> InputError:
    return InputError(" ".join(f"{path}: cannot be written, {_reason(path, error)}".splitlines()))


def _reason(path: Path, error: OSError) -> str:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return "the disk is full or the quota is used up; free some space or choose another folder"
        case errno.EACCES | errno.EPERM:
            return "no permission; change the permissions or choose another folder"
        case errno.EROFS:
            return "the disk is read-only; choose another folder"
        case errno.ENOENT:
            return f"the folder {path.parent} does not exist; make it first"
        case errno.ENOTDIR | errno.EEXIST:
            return "a file stands where a folder was expected; remove it or choose another folder"
        case errno.EISDIR:
            return "a folder has this name; remove it or choose another name"
        case errno.ENAMETOOLONG:
            return "the name is too long; choose a shorter one"
        case _:
            # NumPy reports a short write, as on a full disk, without a number.
            return f"{error.strerror or error}; check the free space and the disk"
