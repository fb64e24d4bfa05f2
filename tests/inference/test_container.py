"""Limits that containers and clusters set, read from drawn trees of control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from cellproof.inference.container import memory_limit_bytes

GIB = 2**30


@pytest.fixture
def tree(tmp_path):
    """Write files of control groups, and what /proc says; ask for the limit."""

    def limit(files: dict[str, str], own: str = "0::/\n") -> int | None:
        for name, text in files.items():
            path = tmp_path / "groups" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        (tmp_path / "own").write_text(own, encoding="utf-8")
        return memory_limit_bytes(groups=tmp_path / "groups", own=tmp_path / "own")

    return limit


def test_a_container_finds_its_limit_at_the_root(tree):
    assert tree({"memory.max": f"{GIB}\n"}) == GIB


def test_the_least_limit_from_the_group_of_a_job_upward_counts(tree):
    files = {
        "slurm/job_7/step_0/memory.max": "max\n",
        "slurm/job_7/memory.max": f"{2 * GIB}\n",
        "slurm/memory.max": f"{8 * GIB}\n",
        "slurm/job_8/memory.max": f"{GIB}\n",  # another's
    }
    assert tree(files, "0::/slurm/job_7/step_0\n") == 2 * GIB


def test_version_1_of_control_groups_is_read(tree):
    files = {
        "memory/docker/abc/memory.limit_in_bytes": f"{3 * GIB}\n",
        "memory/memory.limit_in_bytes": str(2**63 - 4096),
    }
    assert tree(files, "5:devices:/other\n4:cpu,memory:/docker/abc\n0::/\n") == 3 * GIB


@pytest.mark.parametrize("text", ["max\n", str(2**63 - 4096), "", "0"])
def test_what_is_no_limit_counts_as_none(tree, text):
    assert tree({"memory.max": text}) is None


def test_without_control_groups_there_is_no_limit():
    assert memory_limit_bytes(groups=Path("/nowhere"), own=Path("/nowhere")) is None
