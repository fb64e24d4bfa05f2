"""A full disk, wherever it strikes, leaves no half-written file, is said in one line, and costs nothing but time."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import tifffile

from cellproof.io import read_model

ENGINE = ("--engine", "torch")

pytestmark = pytest.mark.usefixtures("no_curves")


@dataclass
class Disk:
    """In place of `os.fsync`: some files reach the disk, the next is torn, and no other finds room.

    Attributes:
        room: How many files fit.
        files: How many came.
    """

    room: float = float("inf")
    files: int = 0

    def __call__(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            return
        self.files += 1
        if self.files > self.room:
            os.ftruncate(descriptor, status.st_size // 2)
            raise OSError(errno.ENOSPC, "No space left on device")


def _contents(out: Path) -> dict[str, bytes]:
    """All results that a clock does not change."""
    return {
        path.name: path.read_bytes()
        for path in sorted(out.iterdir())
        if path.is_file() and path.suffix not in (".json", ".html")
    }


def _half_written(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.name.startswith(".cellproof-")]


@pytest.fixture(scope="module")
def two_pictures(tmp_path_factory, pictures):
    """A folder of two."""
    folder = tmp_path_factory.mktemp("two")
    for name in ("disks0", "disks4"):
        shutil.copy(pictures.folder / f"{name}.tif", folder)
    return folder


def test_whichever_file_the_full_disk_refuses_nothing_half_written_stays_and_the_rest_is_done_later(
    two_pictures, model_file, tmp_path, monkeypatch, cellproof
):
    command = ("segment", two_pictures, "--model", model_file, *ENGINE)
    endless = Disk()
    monkeypatch.setattr(os, "fsync", endless)
    assert cellproof(*command, "--out", tmp_path / "undisturbed").code == 0
    wanted = _contents(tmp_path / "undisturbed")
    assert endless.files > 12
    for room in range(0, endless.files, 3):
        out = tmp_path / f"full{room}"
        monkeypatch.setattr(os, "fsync", Disk(room))
        outcome = cellproof(*command, "--out", out)
        assert outcome.code == 1, room
        assert any("the disk is full" in line for line in outcome.err)
        assert "a fault of CellProof" not in "".join(outcome.err)
        assert _half_written(out) == []
        assert _contents(out).items() <= wanted.items()
        monkeypatch.setattr(os, "fsync", endless)
        assert cellproof(*command, "--out", out).code == 0
        assert _contents(out) == wanted


def test_a_disk_that_is_really_full_is_said_so(two_pictures, model_file, tmp_path, cellproof):
    small = tmp_path / "small"
    small.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", small], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("a file system of 48 kB cannot be mounted here; it needs root")
    try:
        outcome = cellproof("segment", two_pictures, "--out", small, "--model", model_file, *ENGINE)
        assert outcome.code == 1
        assert any("the disk is full" in line for line in outcome.err)
        assert "Traceback" not in "\n".join(outcome.err)
        assert _half_written(small) == []
        for path in small.glob("*.tif"):
            assert tifffile.imread(path).ndim == 2
    finally:
        subprocess.run(["umount", small], check=True)


@pytest.mark.parametrize("room", [1, 8])
def test_a_disk_that_is_full_during_a_training_costs_nothing_but_time(
    room, annotated, trained, tmp_path, monkeypatch, cellproof
):
    out = tmp_path / "run"
    command = annotated.command(out)
    monkeypatch.setattr(os, "fsync", Disk(room))
    outcome = cellproof(*command)
    assert outcome.code == 1
    assert [line for line in outcome.err if "the disk is full" in line] == outcome.err[-1:]
    assert _half_written(out) == []
    monkeypatch.setattr(os, "fsync", Disk())
    resume = [*command[:4], "--resume", *command[6:]]
    assert cellproof(*(resume if (out / "run.json").exists() else command)).code == 0
    found, wanted = (read_model(run / "model.safetensors")[1] for run in (out, trained))
    assert {name: array.tobytes() for name, array in found.items()} == {n: a.tobytes() for n, a in wanted.items()}
