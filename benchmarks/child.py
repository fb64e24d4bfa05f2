"""CellProof run as a user runs it: one process, its time and its memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Finished:
    """A process that came to its end.

    Attributes:
        seconds: From its start to its end.
        processor_s: Of all its threads.
        peak_bytes: Largest resident memory.
        code: Exit code.
        output: What it printed on stdout.
        errors: What it printed on stderr.
    """

    seconds: float
    processor_s: float
    peak_bytes: int
    code: int
    output: str
    errors: str


def run_cellproof(*words: str | Path, environment: Mapping[str, str] | None = None) -> Finished:
    """Run ``cellproof WORDS`` and wait for it; Ctrl-C reaches it too.

    Raises:
        SystemExit: It ended with another code than 0 and 1, with the last lines that it printed.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "cellproof", *map(str, words)],
            stdout=output,
            stderr=errors,
            env={**os.environ, **(environment or {})},
        )
        # `wait4` alone tells the memory of this one child; afterwards Popen must not wait again.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        busy = usage.ru_utime + usage.ru_stime
        finished = Finished(seconds, busy, usage.ru_maxrss * 1024, process.returncode, output.read(), errors.read())
    if finished.code not in (0, 1):
        raise SystemExit(
            f"cellproof {' '.join(map(str, words))} ended with {finished.code}:\n{finished.errors[-2000:]}"
        )
    return finished
