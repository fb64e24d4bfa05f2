"""Which files a job's inputs are, and what the names of their results begin with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...checks import InputError, UsageError
from ...io import find_images, readable
from .record import ENDINGS, Record


@dataclass(frozen=True)
class Failure:
    """An input without result.

    Attributes:
        path: The input as given.
        name: What its results would have been called.
        reason: Why there are none, in one line.
    """

    path: Path
    name: str
    reason: str


def find_inputs(
    inputs: Sequence[str | Path], *, out: Path, say: Callable[[str], None]
) -> tuple[list[Path], list[Failure]]:
    """Files that inputs stand for, each once, and the inputs that stand for none.

    Args:
        inputs: Files, folders and patterns.
        out: Folder of results; results that lie among the inputs, as when both are one folder, are left out. So are
            those of other segmentations, unless each is given by its own path.
        say: Told what is left out.

    Raises:
        UsageError: There are no inputs.
    """
    found: dict[Path, Path] = {}
    missing: list[Failure] = []
    for given in inputs:
        try:
            paths = find_images([given])
            for path in paths if paths == [Path(given)] else _without_results(paths, given, say):
                found.setdefault(path.resolve(), path)
        except InputError as error:
            missing.append(Failure(Path(given), Path(given).stem, str(error)))
    if not found and not missing:
        raise UsageError("no input; give files, folders or patterns")
    return _without_own(list(found.values()), out=out, say=say), missing


def assign_names(paths: Sequence[Path], records: Mapping[str, Record]) -> dict[Path, str]:
    """What the names of each input's results begin with: its own name without ending.

    The first of several inputs with one name keeps it; others put their folder before it or their ending behind
    it. An input that has results keeps their name, and none takes a name from an input that still exists elsewhere.

    Args:
        paths: Inputs, each once.
        records: What is finished, by name.
    """
    owners = {record.source.path: record.name for record in records.values()}
    given = {str(path.resolve()) for path in paths}
    # File systems of Windows and macOS take names that differ in case only for one.
    taken = {
        record.name.casefold(): Path(record.source.path)
        for record in records.values()
        if record.source.path in given or Path(record.source.path).exists()
    }
    names: dict[Path, str] = {}
    for path in paths:
        name = owners.get(str(path.resolve()))
        if name is None:
            name = next(name for name in _candidates(path, taken) if name.casefold() not in taken)
            taken[name.casefold()] = path
        names[path] = name
    return names


def own_name(path: Path) -> str:
    """A file's name without ending, such that any table can hold it."""
    return readable(path.stem.removesuffix(".ome"))


def _candidates(path: Path, taken: Mapping[str, Path]) -> Iterator[str]:
    name, folder = own_name(path), path.resolve().parent
    yield name
    if taken[name.casefold()].resolve().parent == folder:
        yield f"{name}_{path.suffix.lstrip('.').lower()}"
    else:
        yield f"{folder.name}_{name}"
    number = 2
    while True:
        yield f"{name}_{number}"
        number += 1


def _without_results(paths: list[Path], given: str | Path, say: Callable[[str], None]) -> list[Path]:
    """Files of a folder or pattern, without the results of an earlier segmentation.

    Raises:
        InputError: Nothing else is there.
    """
    kept = [path for path in paths if not _is_result(path)]
    results = len(paths) - len(kept)
    if results and not kept:
        raise InputError(f"{given}: holds only results of a segmentation; give the folder of the images themselves")
    if results:
        say(f"{given}: {results} files left out, as they are results of a segmentation")
    return kept


def _is_result(path: Path) -> bool:
    """Whether a file is named like a result and lies beside the others of its image."""
    ending = next((ending for ending in ENDINGS if path.name.endswith(ending)), None)
    if ending is None:
        return False
    start = path.name.removesuffix(ending)
    return all((path.parent / f"{start}{other}").exists() for other in ENDINGS)


def _without_own(paths: list[Path], *, out: Path, say: Callable[[str], None]) -> list[Path]:
    names = {own_name(path) for path in paths}
    kept = []
    for path in paths:
        owners = [path.name.removesuffix(ending) for ending in ENDINGS if path.name.endswith(ending)]
        if path.resolve().parent == out.resolve() and names.intersection(owners):
            say(f"{path}: left out, as it is named like a result of {owners[0]}")
        else:
            kept.append(path)
    return kept
