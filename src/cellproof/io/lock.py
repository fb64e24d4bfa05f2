"""One process at a time in a folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..checks import InputError

try:
    import fcntl
except ImportError:  # Windows has no advisory locks of this kind
    fcntl = None  # type: ignore[assignment]

_log = logging.getLogger(__name__)


@contextmanager
def folder_lock(path: str | Path) -> Iterator[None]:
    """Hold a lock file; the system releases it when the process ends, however it ends.

    Where the file system knows no locks, nothing is locked.

    Args:
        path: The lock file; it is made, and stays.

    Raises:
        InputError: Another process holds it, or it cannot be made.
    """
    path = Path(path)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another folder") from error
    try:
        if fcntl is not None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InputError(
                    f"{path}: another process is writing in this folder; wait until it ends or choose another folder"
                ) from error
            except OSError as error:
                _log.info("%s cannot be locked: %s", path, error)
        yield
    finally:
        os.close(descriptor)
