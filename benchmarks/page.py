"""What every benchmark page says besides its numbers: the command, the date, the machine and the versions."""

from __future__ import annotations

import datetime
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

FOLDER = Path(__file__).parent
"""Where the pages lie."""


def write_page(name: str, title: str, body: str, *, seed: int | None = None) -> None:
    """Print a page and write it as ``NAME.md`` beside the scripts.

    Args:
        name: Of the script and the page.
        title: Heading.
        body: Markdown under it.
        seed: Random seed; None where nothing is drawn.
    """
    said = f"`{command()}`" + (f", seed {seed}" if seed is not None else "")
    made = f"{datetime.date.today().isoformat()}, commit {commit()}."
    lines = [f"# {title}", "", f"{said}. {made}", machine(), "", body.strip(), ""]
    text = "\n".join(lines)
    print(text)
    (FOLDER / f"{name}.md").write_text(text, encoding="utf-8")


def page_of(script: str, model: str) -> str:
    """Name of a script's page on a model: its own name for the default model, ``SCRIPT-MODEL`` for another."""
    return script if model == "nuclei" else f"{script}-{model}"


def command() -> str:
    """The command line of this process, as a person would type it in the repository."""
    return "python benchmarks/" + shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def commit() -> str:
    """The commit of the code that made the numbers, "-dirty" where code differs from it; "unknown" elsewhere.

    Pages do not count: each run writes one.
    """
    git = ("git", "-C", str(FOLDER))
    try:
        name = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        code = ("../src", "../pyproject.toml", "*.py", "*.toml")
        status = [*git, "status", "--porcelain", "--", *code]
        changed = subprocess.run(status, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return name.stdout.strip() + ("-dirty" if changed.stdout.strip() else "")


def machine() -> str:
    """Processor, cores, memory and versions, in a sentence."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    names = ("cellproof", "torch", "openvino", "numpy", "scipy")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    return (
        f"{processor()}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB; {platform.system()}, "
        f"Python {platform.python_version()}, {versions}."
    )


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def load_note() -> str:
    """How busy the machine was otherwise, for pages with times."""
    return f"Load average of the last minute when the page was written: {os.getloadavg()[0]:.1f}."


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; floats with three decimals, the first column to the left."""
    lines = ["| " + " | ".join(headings) + " |", "|---" + "|---:" * (len(headings) - 1) + "|"]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
