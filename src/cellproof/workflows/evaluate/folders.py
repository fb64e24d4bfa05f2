"""Which prediction belongs to which reference, and what the masks hold."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...checks import InputError
from ...data.description import FILE_NAME, Description, describe, read_description
from ...data.index import MASK_ENDING, index
from ...io.images import IMAGE_SUFFIXES, read_labels
from .protocol import ClassNames, Protocol
from .protocols import load

_log = logging.getLogger(__name__)

_SEGMENT_ENDINGS = ("_labels", "_classes", "_difficulty", "_overlay")

_MASKS_TO_GUESS_FROM = 20

NO_GROUP = "(none)"


@dataclass(frozen=True)
class Task:
    """What is compared, and how.

    Attributes:
        protocol: The protocol.
        options: Options of the protocol, of its own type.
        description: What the references hold.
        root: Folder of the data set's description; None when it was found out from the masks.
    """

    protocol: Protocol
    options: Any
    description: Description
    root: Path | None

    @property
    def has_objects(self) -> bool:
        """Whether the masks hold object ids."""
        return self.names.has_objects

    @property
    def names(self) -> ClassNames:
        """What the values of the masks mean."""
        return ClassNames.of(self.description)


def read_task(reference: Path, protocol: str | None, options: Mapping[str, Any]) -> Task:
    """What a reference holds, and the protocol that fits it where none is given.

    Raises:
        UsageError: An unknown protocol or option.
        InputError: No such reference, or masks that the protocol does not fit.
    """
    chosen = None if protocol is None else load(protocol)
    if chosen is not None and chosen.needs_source:
        raise InputError(f"protocol {chosen.name} scores probabilities, which files do not hold; it is for reproduce")
    if not reference.exists():
        raise InputError(f"{reference} does not exist; wanted a folder of masks, a data set's split, or one mask")
    description, root = _find_description(reference)
    if description is None and chosen is not None and chosen.masks == ("instances",):
        description = Description(reference.name, "instances")
    if description is None:
        description, notes = describe(str(reference), _sample_masks(reference))
        for note in notes:
            _log.warning(note)
    chosen = chosen or load("stardist" if description.masks == "instances" else "pixel")
    chosen.check_fits(description, where=str(root / FILE_NAME if root else reference))
    return Task(chosen, chosen.options(options), description, root)


def _find_description(reference: Path) -> tuple[Description | None, Path | None]:
    """The nearest ``dataset.toml`` at or above the reference, and its folder."""
    for folder in (reference, *list(reference.parents)[:3]):
        description = read_description(folder)
        if description is not None:
            return description, folder
    return None, None


def _sample_masks(reference: Path) -> list[np.ndarray]:
    """Some of the masks that can be read."""
    paths = list(find_references(reference).values())
    step = -(-len(paths) // _MASKS_TO_GUESS_FROM)
    masks: list[np.ndarray] = []
    for path in paths[::step]:
        try:
            masks += planes_of(read_labels(path))
        except InputError:
            # It gets a row of its own when it is to be counted.
            continue
    return masks


def find_references(reference: Path) -> dict[str, Path]:
    """Name → mask, by name."""
    if reference.is_file():
        return {_name(reference): reference}
    folders = [reference / "masks"] if (reference / "masks").is_dir() else sorted(reference.glob("*/masks"))
    found: dict[str, Path] = {}
    for folder in folders or [reference]:
        files = _files(folder)
        if any(name.endswith(MASK_ENDING) for name in files):
            files = {n.removesuffix(MASK_ENDING): path for n, path in files.items() if n.endswith(MASK_ENDING)}
        twice = sorted(found.keys() & files.keys())
        if twice:
            raise InputError(f"{reference}: {twice[0]} is in two splits; give one split, e.g. {folder.parent}")
        found |= files
    if not found:
        raise InputError(
            f"{reference} holds no masks; wanted {', '.join(IMAGE_SUFFIXES)} files, or a folder masks/ of them"
        )
    return found


def only_named(references: dict[str, Path], prediction: Path) -> dict[str, Path]:
    """The reference that a single prediction is named like.

    Raises:
        InputError: There is none.
    """
    named = [name for name in (_name(prediction), _base_name(prediction)) if name in references]
    if not named:
        raise InputError(
            f"no reference is named like {prediction.name}; there are {', '.join(list(references)[:3])}, …"
        )
    return {named[0]: references[named[0]]}


def find_predictions(predictions: Path, references: dict[str, Path], *, task: Task) -> dict[str, Path]:
    """Reference name → file of its prediction, where there is one."""
    if predictions.is_file():
        return dict.fromkeys(references, predictions)
    if not predictions.is_dir():
        raise InputError(f"{predictions} does not exist; wanted a folder of label images, or one label image")
    ending = "_labels" if task.has_objects else "_classes"
    files = _files(predictions)
    found = {name: files.get(name + ending, files.get(name)) for name in references}
    given = {path for name, path in files.items() if name.endswith(ending)} or {
        path for name, path in files.items() if not name.endswith(_SEGMENT_ENDINGS)
    }
    extra = sorted(path.name for path in given - set(found.values()))
    if extra:
        _log.warning("%d predictions have no reference and are not scored: %s", len(extra), ", ".join(extra[:3]))
    return {name: path for name, path in found.items() if path is not None}


def _files(folder: Path) -> dict[str, Path]:
    """Name → file of every picture in the folder, by name."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in IMAGE_SUFFIXES or path.name.startswith(".") or not path.is_file():
            continue
        name = _name(path)
        if name in found:
            raise InputError(f"{folder}: {found[name].name} and {path.name} have the same name; keep one of them")
        found[name] = path
    return found


def _name(path: Path) -> str:
    return path.stem.removesuffix(".ome")


def _base_name(path: Path) -> str:
    return _name(path).removesuffix("_labels").removesuffix("_classes")


def read_groups(task: Task, by: str) -> dict[str, str]:
    """Name → the image's value in the attribute column."""
    if task.root is None:
        raise InputError(f"cannot group by {by!r}: no {FILE_NAME} with attributes belongs to the reference")
    records = index(task.root, task.description)
    columns = sorted({column for record in records for column in record.attributes})
    if by not in columns:
        raise InputError(f"cannot group by {by!r}; the attributes' columns are {', '.join(columns) or '(none)'}")
    return {record.name: record.attributes.get(by) or NO_GROUP for record in records}


def planes_of(labels: np.ndarray) -> list[np.ndarray]:
    """(H, W) planes of an image (H, W) or a stack (P, H, W)."""
    return [labels] if labels.ndim == 2 else list(labels)
