"""Run a command of `cellproof` several times in forked processes, each of which may kill itself or be killed.

A job comes as JSON on standard input, exit statuses go as JSON to standard output. An *event* is the moment before a
file is forced to the disk, before it is renamed, or after that; they are counted from 1.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any


def main() -> None:
    """Do the runs one after the other; the first is not disturbed and tells how many events there are."""
    job = json.load(sys.stdin)
    for name in job["imports"]:  # once for all processes
        import_module(name)
    calm = _run(job["calm"])
    json.dump([calm, *(_disturbed(run, calm) for run in job["runs"])], sys.stdout)


def _disturbed(run: dict[str, Any], calm: dict[str, float]) -> dict[str, float]:
    """Run once with a signal.

    Args:
        run: The ``arguments``, perhaps a ``signal``, and when it comes: an ``event`` (below 0 counted from the end),
            or a fraction of all events (``event_share``) or of the time (``time_share``); and perhaps arguments of
            runs that come ``then``, until one has exit code 0.
        calm: What the undisturbed run gave.
    """
    event = run.get("event", 1 + int(run.get("event_share", 0) * calm["events"]))
    result = _run(
        run["arguments"],
        event=0 if "time_share" in run else event + (calm["events"] + 1 if event < 0 else 0),
        after_s=run.get("time_share", 0) * calm["seconds"],
        signal_number=run.get("signal", signal.SIGKILL),
    )
    then = (_run(arguments)["code"] for arguments in run.get("then", ()))
    return result | {"then": 0 if any(code == 0 for code in then) else 1}


def _run(
    arguments: list[str], *, event: float = 0, after_s: float = 0, signal_number: int = signal.SIGKILL
) -> dict[str, float]:
    """Run once.

    Args:
        arguments: Of the command line.
        event: The one at which the process gets the signal; 0 for none.
        after_s: Time after which it gets it; 0 for never.
        signal_number: Which signal.

    Returns:
        The exit status, negative for a signal, the number of events and the seconds until the end.
    """
    read_end, write_end = os.pipe()
    started = time.monotonic()
    process = os.fork()
    if process == 0:
        os.close(read_end)
        os._exit(_child(arguments, event, signal_number, lambda: os.write(write_end, b".")))
    os.close(write_end)
    if after_s:
        time.sleep(after_s)
        os.kill(process, signal_number)
    with os.fdopen(read_end, "rb") as pipe:
        events = len(pipe.read())
    _, status = os.waitpid(process, 0)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "events": events,
        "seconds": time.monotonic() - started,
    }


def _child(arguments: list[str], event: float, signal_number: int, tell: Callable[[], object]) -> int:
    """The command's exit code; errors go where standard error goes."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    count = 0
    one_at_a_time = threading.Lock()  # two threads write results: none may count between another's count and comparison

    def happens() -> None:
        nonlocal count
        with one_at_a_time:
            count += 1
            tell()
            if count == event:
                os.kill(os.getpid(), signal_number)

    _watch(happens, torn=signal_number == signal.SIGKILL, is_next=lambda: count + 1 == event)
    _draw_nothing()
    from cellproof.cli import main as cellproof

    try:
        code = cellproof(arguments)
    except SystemExit as ended:
        code = ended.code
    return int(code or 0)


def _watch(happens: Callable[[], None], *, torn: bool, is_next: Callable[[], bool]) -> None:
    """Call ``happens`` at each event; a file that never reaches the disk is left half written."""
    force, rename = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        if torn and is_next() and stat.S_ISREG(status.st_mode):
            os.ftruncate(descriptor, status.st_size // 2)
        happens()
        force(descriptor)

    def replace(source: os.PathLike[str] | str, target: os.PathLike[str] | str) -> None:
        happens()
        rename(source, target)
        happens()

    os.fsync, os.replace = fsync, replace  # type: ignore[assignment]


def _draw_nothing() -> None:
    """Leave the curves in reports out, which take most of a short run's time."""
    from matplotlib.figure import Figure

    Figure.savefig = lambda self, file, **options: file.write("<svg></svg>")  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
