"""Keep the C library from handing memory back between steps."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # names and numbers of malloc.h


def keep_freed_memory() -> bool:
    """Let freed blocks stay in the process, so that the next step finds them without page faults.

    A training step frees and takes the same hundreds of megabytes again; glibc by default returns them to
    the system each time, and clearing fresh pages then costs up to a third of a step.

    Returns:
        Whether the C library took the setting; False where it is not glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, 2**31 - 1))
