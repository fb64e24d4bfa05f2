"""How much memory a container or a cluster's job may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_NO_LIMIT_FROM = 2**60
"""Version 1 of control groups writes a number of about 2⁶³ where there is no limit."""


def memory_limit_bytes(*, groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int | None:
    """The least of the limits that Linux' control groups set to this process; None where there are none.

    Containers (Docker, Podman, Kubernetes) and jobs of a cluster (Slurm) are limited so; a process that takes more is
    killed without a word.

    Args:
        groups: Where the control groups are mounted, version 2 or 1.
        own: What says in which of them this process is.

    Example:
        >>> memory_limit_bytes(groups=Path("/nowhere")) is None
        True
    """
    found = [limit for file in _files(groups, own) if (limit := _read(file)) is not None]
    return min(found, default=None)


def _files(groups: Path, own: Path) -> Iterator[Path]:
    """Where a limit may stand: at the mounted root, which is a container's own group, and from its group upward."""
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    paths = {"": "/", "memory": "/"}
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        for controller in controllers.split(","):
            paths[controller] = path
    for controller, root, name in (
        ("", groups, "memory.max"),
        ("memory", groups / "memory", "memory.limit_in_bytes"),
    ):
        group = root / paths[controller].strip("/")
        yield root / name
        while group != root and root in group.parents:
            yield group / name
            group = group.parent


def _read(file: Path) -> int | None:
    try:
        limit = int(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there, or "max"
        return None
    return limit if 0 < limit < _NO_LIMIT_FROM else None
