"""Which files and positions a job's inputs are, and what the names of their results begin with."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...checks import InputError, UsageError
from ...io import Position, describe_absence, find_images, list_positions, readable, unread_images
from .record import ENDINGS, PICTURE_KINDS, Record, given_path

_LONGEST_NAME_BYTES = 255
"""Of a file system that does not say."""

_OTHER_ENDINGS = (".traceback.txt", *(f"_{kind}.jpg" for kind in PICTURE_KINDS))


@dataclass(frozen=True)
class Input:
    """One image to be segmented.

    Attributes:
        path: The file as given.
        number: Of the image in a file that holds several positions; None for the only one.
        position: Its name there; may be empty.
    """

    path: Path
    number: int | None = None
    position: str = ""

    def __str__(self) -> str:
        return f"{self.path}{self.where}"

    @property
    def where(self) -> str:
        """What to say of it behind the file's name; empty for the only image of a file."""
        if self.number is None:
            return ""
        return f", position {self.number}" + (f" ({self.position})" if self.position else "")


@dataclass(frozen=True)
class Failure:
    """An input without result.

    Attributes:
        path: The input as given.
        name: What its results would have been called.
        reason: Why there are none, in one line.
        left_out: Whether that is as it should be, because its content is done under another name.
    """

    path: Path
    name: str
    reason: str
    left_out: bool = False


def find_inputs(
    inputs: Sequence[str | Path], *, out: Path, say: Callable[[str], None]
) -> tuple[list[Input], list[Failure]]:
    """Images that inputs stand for, each once, and the inputs that stand for none.

    Every position of a file is an image of its own. Links to one file are one input, and the others are named as
    left out; so are files that hold nothing but planes of a position that begins in another file.

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
            _name_unread(Path(given), say)
            for path in paths if paths == [Path(given)] else _without_results(paths, given, say):
                first = found.setdefault(_target(path), path)
                if given_path(first) != given_path(path):
                    reason = f"{path}: is the same file as {first}, which is segmented; left out"
                    missing.append(Failure(path, own_name(Input(path)), reason, left_out=True))
        except InputError as error:
            missing.append(Failure(Path(given), Path(given).stem, str(error)))
    if not found and not missing:
        raise UsageError("no input; give files, folders or patterns")
    expansion = _Expansion(_without_own(list(found.values()), out=out, say=say))
    for path in expansion.paths:
        expansion.add(path)
    return expansion.inputs, missing + expansion.missing


def assign_names(inputs: Sequence[Input], records: Mapping[str, Record], *, out: Path) -> dict[Input, str]:
    """What the names of each input's results begin with: its own name without ending, and that of its position.

    The first of several inputs with one name keeps it; others put their folder before it or their ending behind
    it. An input that has results keeps their name, and none takes a name from an input that still exists elsewhere.
    Names that the file system could not hold with our endings are cut, and end in a part of their hash.

    Args:
        inputs: Each once.
        records: What is finished, by name.
        out: Folder of the results.
    """
    owners = {(record.source.path, record.source.position): record.name for record in records.values()}
    targets = {
        (str(_target(Path(record.source.path))), record.source.position): record.name for record in records.values()
    }
    given = {given_path(one.path) for one in inputs}
    # File systems of Windows and macOS take names that differ in case only for one.
    taken = {
        record.name.casefold(): Path(record.source.path)
        for record in records.values()
        if record.source.path in given or Path(record.source.path).exists()
    }
    longest = _longest_name_bytes(out)
    names: dict[Input, str] = {}
    for one in inputs:
        name = owners.get((given_path(one.path), one.number))
        # A link may point to another file than before; a folder that is reached another way holds the same files.
        if name is None and not one.path.is_symlink():
            name = targets.get((str(_target(one.path)), one.number))
        if name is None:
            candidates = (shorten(name, longest) for name in _candidates(one, taken, longest))
            name = next(name for name in candidates if name.casefold() not in taken)
            taken[name.casefold()] = one.path
        names[one] = name
    return names


def own_name(one: Input) -> str:
    """An image's name without ending, such that any table can hold it, with its position where there are several."""
    name = readable(one.path.stem.removesuffix(".ome"))
    if one.number is None:
        return name
    position = re.sub(r"[^\w.+-]+", "_", one.position).strip("._")
    return f"{name}_{position or f's{one.number}'}"


def shorten(name: str, longest_bytes: int) -> str:
    """A name of at most so many bytes; itself where it is short enough, else cut and with a part of its hash.

    Examples:
        >>> shorten("short", 20), shorten("n" * 30, 20)
        ('short', 'nnnnnnnnnnn~012ad4ad')
    """
    data = name.encode()
    if len(data) <= longest_bytes:
        return name
    digest = hashlib.sha256(data).hexdigest()[:8]
    return data[: longest_bytes - 1 - len(digest)].decode(errors="ignore") + "~" + digest


@dataclass
class _Expansion:
    """Files on their way to images.

    Attributes:
        paths: All files.
        inputs: Images found so far.
        missing: What has none so far.
    """

    paths: list[Path]
    inputs: list[Input] = field(default_factory=list)
    missing: list[Failure] = field(default_factory=list)
    _told: set[tuple[Path, int]] = field(default_factory=set)

    def add(self, path: Path) -> None:
        """Find a file's images."""
        try:
            positions = list_positions(path)
        except (InputError, OSError):
            self.inputs.append(Input(path))  # it will say why when it is its turn
            return
        if len(positions) == 1 and not describe_absence(positions[0]):
            self.inputs.append(Input(path))
            return
        here = [one for one in positions if not describe_absence(one)]
        self.inputs += [Input(path, one.number, one.name) for one in here]
        told = [self._tell(path, one) for one in positions if one not in here]
        if not here and not any(told):
            names = ", ".join(sorted({one.elsewhere or "other files" for one in positions}))
            reason = f"{path}: holds planes of images that begin in {names}, and is read with them; left out"
            self.missing.append(Failure(path, own_name(Input(path)), reason, left_out=True))

    def _tell(self, path: Path, position: Position) -> bool:
        """Name a position that cannot be read from this file, once in all; returns whether it was named here."""
        first = (path.parent / position.elsewhere) if position.elsewhere else path
        given = {given_path(one) for one in self.paths}
        if not position.missing and given_path(first) in given:
            return False
        key = (path.parent, position.number)
        if key in self._told or (position.missing and first != path and given_path(first) in given):
            return False
        self._told.add(key)
        one = Input(path, position.number, position.name)
        reason = f"{path}: {describe_absence(position)}"
        self.missing.append(Failure(path, own_name(one), reason, left_out=not position.missing))
        return True


def _candidates(one: Input, taken: Mapping[str, Path], longest: int) -> Iterator[str]:
    name, folder = own_name(one), one.path.absolute().parent
    yield name
    other = taken[shorten(name, longest).casefold()]
    if given_path(other) == given_path(one.path):
        yield f"{name}_s{one.number}"
    elif other.absolute().parent == folder:
        yield f"{name}_{one.path.suffix.lstrip('.').lower()}"
    else:
        yield f"{folder.name}_{name}"
    number = 2
    while True:
        yield f"{name}_{number}"
        number += 1


def _longest_name_bytes(out: Path) -> int:
    """What is left for a name before the longest of our endings."""
    try:
        most = os.pathconf(out, "PC_NAME_MAX")
    except (OSError, ValueError, AttributeError):  # a system without it
        most = _LONGEST_NAME_BYTES
    return most - max(len(ending) for ending in (*ENDINGS, *_OTHER_ENDINGS))


def _target(path: Path) -> Path:
    """The file behind a link; the path itself where it leads in a circle."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path.absolute()


def _name_unread(given: Path, say: Callable[[str], None]) -> None:
    """Say which images of a folder are of formats that are not read."""
    if not given.is_dir():
        return
    unread = unread_images(given)
    if unread:
        names = ", ".join(path.name for path in unread[:3]) + (", …" if len(unread) > 3 else "")
        count = f"{len(unread)} image{'' if len(unread) == 1 else 's'}"
        say(f"{given}: {count} left out, for the format is not read ({names}); save as OME-TIFF or PNG")


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
    names = {own_name(Input(path)) for path in paths}
    kept = []
    for path in paths:
        owners = [path.name.removesuffix(ending) for ending in ENDINGS if path.name.endswith(ending)]
        if _target(path).parent == _target(out) and names.intersection(owners):
            say(f"{path}: left out, as it is named like a result of {owners[0]}")
        else:
            kept.append(path)
    return kept
