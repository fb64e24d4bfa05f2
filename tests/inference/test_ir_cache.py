"""A cache entry is whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from cellproof.inference.ir_cache import entry_folder, is_whole, write_entry


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CELLPROOF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _write_two(folder: Path) -> None:
    (folder / "00.xml").write_text("structure")
    (folder / "00.bin").write_bytes(bytes(range(256)))


def test_an_entry_is_whole_once_written_and_nothing_else_is_left(cache: Path) -> None:
    entry = entry_folder("weights", "1.0")
    assert not is_whole(entry)
    write_entry(entry, _write_two)
    assert is_whole(entry)
    assert (entry / "00.bin").read_bytes() == bytes(range(256))
    assert [path.name for path in entry.parent.iterdir()] == [entry.name]
    assert entry.is_relative_to(cache)


def test_another_version_is_another_entry() -> None:
    assert len({entry_folder("a", "1"), entry_folder("a", "2"), entry_folder("b", "1")}) == 3


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("00.bin", b"short"),
        ("00.xml", b""),
        ("checksums.json", b"{"),
        ("checksums.json", b"{}"),
        ("checksums.json", b"[1]"),
    ],
)
def test_a_damaged_entry_is_not_whole_and_is_replaced(name: str, content: bytes) -> None:
    entry = entry_folder("weights")
    write_entry(entry, _write_two)
    (entry / name).write_bytes(content)
    assert not is_whole(entry)
    write_entry(entry, _write_two)
    assert is_whole(entry)


def test_a_writer_that_fails_leaves_nothing() -> None:
    entry = entry_folder("weights")

    def fail(folder: Path) -> None:
        _write_two(folder)
        raise OSError("disk full")

    write_entry(entry, fail)
    assert not is_whole(entry)
    assert list(entry.parent.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_gone_without(cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    entry = entry_folder("weights")
    write_entry(entry, _write_two)
    assert not is_whole(entry)
