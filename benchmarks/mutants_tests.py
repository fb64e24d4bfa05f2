"""Runs tests of a copy of the package in forked processes, and knows which of them execute a line.

A fork has the libraries loaded already and imports the package, whatever was changed in it, anew.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import coverage
import pytest

_LIBRARIES = ("numpy", "scipy.ndimage", "scipy.sparse", "skimage.measure", "torch")
_SAID = "said.txt"


@dataclass(frozen=True)
class Tests:
    """Tests of a room, from the quickest to the slowest, and what they execute.

    Attributes:
        names: As pytest takes them.
        seconds: That all of them took.
        lines: File → line → tests that execute it.
    """

    names: tuple[str, ...]
    seconds: float
    lines: dict[str, dict[int, set[str]]]

    def of(self, file: Path, text: str, line: int) -> list[str]:
        """Tests that execute the statement around a line, the quickest first; all where imports or none do."""
        reached: set[str] = set()
        for number in _statement(text, line):
            reached |= self.lines.get(str(file), {}).get(number, set())
        if not reached or "" in reached:
            return list(self.names)
        return [name for name in self.names if name in reached]


class _Watch:
    """Tells coverage which test runs, and notes its time."""

    def __init__(self, watching: coverage.Coverage) -> None:
        self.watching = watching
        self.seconds: dict[str, float] = {}

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.watching.switch_context(item.nodeid)
        started = time.monotonic()
        yield
        self.seconds[item.nodeid] = time.monotonic() - started
        self.watching.switch_context("")


def load_libraries() -> None:
    """What every fork would load."""
    for name in _LIBRARIES:
        import_module(name)


def watch(copy: Path, source: Path, tests: Sequence[str]) -> Tests:
    """The tests, once without any change.

    Args:
        copy: Folder with ``src`` and ``tests``.
        source: Folder whose lines are looked at.
        tests: As pytest takes them.

    Raises:
        SystemExit: One fails.
    """
    answer = copy / "watched.json"
    started = time.monotonic()

    def run() -> int:
        watching = coverage.Coverage(data_file=None, include=[f"{source}/*"])
        watch = _Watch(watching)
        watching.start()
        code = pytest.main([*_OPTIONS, *tests], plugins=[watch])
        watching.stop()
        data = watching.get_data()
        lines = {file: data.contexts_by_lineno(file) for file in data.measured_files()}
        answer.write_text(json.dumps([watch.seconds, lines]), encoding="utf-8")
        return int(code)

    if _fork(copy, run, limit_s=1800) != 0:
        said = (copy / _SAID).read_text(encoding="utf-8")[-3000:]
        sys.exit(f"{source.name}: the tests fail without any change; nothing can be said of mutants\n{said}")
    seconds, lines = json.loads(answer.read_text(encoding="utf-8"))
    reached = {file: {int(line): set(names) for line, names in of_file.items()} for file, of_file in lines.items()}
    return Tests(tuple(sorted(seconds, key=seconds.__getitem__)), time.monotonic() - started, reached)


def passes(copy: Path, tests: Sequence[str], *, limit_s: float) -> bool:
    """Whether all tests pass within the limit."""
    return _fork(copy, lambda: int(pytest.main([*_OPTIONS, *tests])), limit_s=limit_s) == 0


_OPTIONS = ("-x", "-q", "-p", "no:cacheprovider")


def _fork(copy: Path, run: Callable[[], int], *, limit_s: float) -> int:
    """Exit status of a fork that runs this in the copy; -1 where it takes too long."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _enter(copy)
        code = 70
        try:
            code = run()
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(code)
    ends = time.monotonic() + limit_s
    status = None
    while status is None and time.monotonic() < ends:
        done, state = os.waitpid(child, os.WNOHANG)
        status = os.waitstatus_to_exitcode(state) if done else None
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what the tests started, too
    if status is None:
        os.waitpid(child, 0)
    return -1 if status is None else status


def _enter(copy: Path) -> None:
    """The fork becomes a process of its own in the copy, and writes to a file."""
    os.setsid()
    os.chdir(copy)
    sys.path.insert(0, str(copy / "src"))
    sys.dont_write_bytecode = True
    os.environ |= {"PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    os.environ["CI"] = "true"  # by CI, hypothesis draws the same examples each time
    said = os.open(copy / _SAID, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    for stream in (0, 1, 2):
        os.dup2(said, stream)


def _statement(text: str, line: int) -> range:
    """Lines of the innermost statement around a line; of a compound one its head alone."""
    found = range(line, line + 1)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno):
            body = getattr(node, "body", None)
            last = body[0].lineno - 1 if body else node.end_lineno or node.lineno
            if line <= max(last, node.lineno):
                found = range(node.lineno, max(last, node.lineno) + 1)
    return found
