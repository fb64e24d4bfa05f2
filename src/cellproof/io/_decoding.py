"""The border to the decoders: what may be decoded at all, and one line for whatever goes wrong in it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..checks import InputError

MAX_PIXELS = 2**31
"""Pixels (planes × rows × columns) that one file may declare."""

# Zstandard, the most effective codec inside TIFF, packs a constant run at most about 32,000 : 1, Deflate
# 1,032 : 1. A header that promises more than that plus some slack lies about what follows.
_LARGEST_RATIO = 40_000
_SLACK_BYTES = 2**26


def refusal(path: Path, reason: str, *, argument: str | tuple[str, ...] = ()) -> InputError:
    """An error of one line that begins with the path; ``argument`` names what the advice is about."""
    return InputError(" ".join(f"{path}: {reason}".splitlines()), argument=argument)


def read_file(path: Path) -> bytes:
    """All bytes of a file.

    Raises:
        InputError: when it is missing, a folder, unreadable or empty.
    """
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise _open_error(path, error) from error
    if not data:
        raise refusal(path, "the file is empty (0 bytes); export or copy it again")
    return data


def read_start(path: Path, count: int) -> bytes:
    """The first ``count`` bytes of a file, fewer where it is shorter.

    Raises:
        InputError: when it is missing, a folder, unreadable or empty.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise refusal(path, "a pipe or device, expected a file; give the files themselves")  # may never end
        with path.open("rb") as file:
            start = file.read(count)
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise _open_error(path, error) from error
    if not start:
        raise refusal(path, "the file is empty (0 bytes); export or copy it again")
    return start


def check_declared(path: Path, *, shape: tuple[int, ...], itemsize: int, samples: int = 1) -> None:
    """Refuse a size that a header declares before anything is allocated for it.

    Args:
        path: The file.
        shape: Declared lengths of all axes.
        itemsize: Bytes of one number.
        samples: How many entries of ``shape`` belong to one pixel.

    Raises:
        InputError: for no pixels, more than `MAX_PIXELS`, or more than the file's bytes can hold in any format.
    """
    size = " × ".join(str(length) for length in shape)
    if min(shape, default=0) < 1:
        raise refusal(path, f"the image has no pixels (size {size}); export it again")
    count = math.prod(shape)
    if count > MAX_PIXELS * samples:
        raise refusal(
            path, f"the header declares {size} values, at most 2^31 pixels are read; cut the image into smaller files"
        )
    file_bytes = path.stat().st_size
    if count * itemsize > file_bytes * _LARGEST_RATIO + _SLACK_BYTES:
        raise refusal(
            path,
            f"the header declares {size} values but the file has only {file_bytes} bytes; "
            "it is damaged or incomplete, export or copy it again",
        )


@contextmanager
def decoding(path: Path, kind: str) -> Iterator[None]:
    """Turn anything a decoder raises into one line, and keep its warnings off the screen.

    Args:
        path: The file being decoded.
        kind: What it is, e.g. ``"PNG"``.

    Raises:
        InputError: for every exception from inside.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InputError:
        raise
    except MemoryError as error:
        raise refusal(path, f"this {kind} file does not fit into memory; cut it into smaller files") from error
    except Exception as error:
        # Damaged bytes make decoders raise struct.error, zlib.error, IndexError, KeyError, SyntaxError,
        # RuntimeError and their own; here, around the decoder alone, they all say the same.
        raise refusal(
            path,
            f"this {kind} file is damaged, incomplete or of a kind that is not supported "
            f"({type(error).__name__}: {str(error)[:160]}); export or copy it again, for example as TIFF",
        ) from error


def _open_error(path: Path, error: OSError | ValueError) -> InputError:
    match error:
        case FileNotFoundError() if path.is_symlink():
            return refusal(
                path, f"a link to {path.readlink()}, which is not there; put that file back or remove the link"
            )
        case FileNotFoundError():
            return refusal(path, "there is no such file; check the name")
        case IsADirectoryError():
            return refusal(path, "this is a folder, expected a file; give the files in it")
        case PermissionError():
            return refusal(path, "no permission to read the file; change its permissions")
        case _:
            return refusal(path, f"the file cannot be read ({error}); check the name and the disk")
