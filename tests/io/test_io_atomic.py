"""A file is whole or not there, whatever happens while it is written."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from cellproof.checks import InputError
from cellproof.io import atomic_path, make_folder, remove_leftovers, write_bytes, write_labels, write_text


def test_the_file_appears_whole_and_replaces_the_old_one(tmp_path):
    path = tmp_path / "a.png"
    write_bytes(path, b"old")
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".cellproof-")
        assert temporary.suffix == ".png"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit, InputError])
def test_any_exception_leaves_the_old_file_alone(tmp_path, error):
    path = tmp_path / "a.txt"
    write_text(path, "old\r\n")

    def stop_halfway():
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        stop_halfway()
    assert path.read_bytes() == b"old\r\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EACCES, "no permission"),
        (errno.EROFS, "read-only"),
        (errno.EIO, "check the free space"),
        (errno.EDQUOT, "quota"),
    ],
)
@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_failing_disk_becomes_one_line(tmp_path, monkeypatch, number, reason, step):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    path = tmp_path / "a.txt"
    if step != "write":
        monkeypatch.setattr(os, step, fail)

    def write():
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            if step == "write":
                fail()

    with pytest.raises(InputError, match=reason) as caught:
        write()
    assert str(caught.value).startswith(f"{path}: cannot be written, ")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_short_write_of_numpy_becomes_one_line(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("1000 requested and 12 written")

    monkeypatch.setattr("cellproof.io.labels.tifffile.imwrite", fail)
    with pytest.raises(InputError, match="12 written; check the free space"):
        write_labels(tmp_path / "a.tif", np.zeros((2, 3), int))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
def test_a_really_full_disk_becomes_one_line(tmp_path):
    def write():
        with atomic_path(tmp_path / "a.txt") as temporary:
            temporary.symlink_to("/dev/full")
            temporary.write_text("half")

    with pytest.raises(InputError, match="disk is full"):
        write()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("file/a.txt", "a file stands where a folder was expected"),
        ("missing/a.txt", "missing does not exist; make it first"),
        ("folder", "folder"),
        ("n" * 250 + ".txt", None),
        ("n" * 300 + ".txt", "too long"),
    ],
)
def test_places_that_cannot_be_written(tmp_path, name, reason):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    if reason is None:
        write_text(tmp_path / name, "x")
        assert (tmp_path / name).read_text() == "x"
        return
    with pytest.raises(InputError, match=reason):
        write_text(tmp_path / name, "x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_folder_is_made_with_those_above_it_or_refused(tmp_path):
    assert make_folder(tmp_path / "a" / "b").is_dir()
    assert make_folder(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("x")
    for name in ("file", "file/b"):
        with pytest.raises(InputError, match="a file stands where a folder was expected"):
            make_folder(tmp_path / name)


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_killed_writer_leaves_only_a_leftover_that_is_removed(tmp_path):
    path = tmp_path / "a [1].tif"
    write_bytes(path, b"old")
    program = (
        "import os, signal, sys\n"
        "from cellproof.io.atomic import atomic_path\n"
        "with atomic_path(sys.argv[1]) as temporary:\n"
        "    temporary.write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    others = [tmp_path / name for name in (".cellproof-notes.txt", "b.partial", ".hidden")]
    for other in others:
        other.write_text("kept")
    assert len(remove_leftovers(tmp_path)) == 1
    assert sorted(tmp_path.iterdir()) == sorted([path, *others])


def test_a_missing_folder_has_no_leftovers(tmp_path):
    assert remove_leftovers(tmp_path / "missing") == []
