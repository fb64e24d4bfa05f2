"""Which prediction belongs to which reference, and what the masks hold."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...checks import InputError
from ...data.description import FILE_NAME, Description, describe_facts, read_description
from ...data.index import index
from ...data.pairing import (
    MASK_FOLDERS,
    RESULT_ENDINGS,
    is_mask_name,
    list_names,
    pair,
    shared_name,
    stem,
    without_mask_ending,
)
from ...io.images import IMAGE_SUFFIXES
from .kinds import Reading, kind_of, look_at, reading_of
from .protocol import ClassNames, Protocol
from .protocols import load

_log = logging.getLogger(__name__)

NO_GROUP = "(none)"


@dataclass(frozen=True)
class Task:
    """What is compared, and how.

    Attributes:
        protocol: The protocol.
        options: Options of the protocol, of its own type.
        description: What the references hold.
        root: Folder of the data set's description; None when it was found out from the masks.
        reading: What predictions are taken for: as they are stored, each connected piece for an object, or all
            objects for one foreground.
    """

    protocol: Protocol
    options: Any
    description: Description
    root: Path | None
    reading: Reading = "as stored"

    @property
    def has_objects(self) -> bool:
        """Whether the masks hold object ids."""
        return self.names.has_objects

    @property
    def names(self) -> ClassNames:
        """What the values of the masks mean."""
        return ClassNames.of(self.description)


def read_task(
    reference: Path, protocol: str | None, options: Mapping[str, Any], predictions: Path | None = None
) -> Task:
    """What references and predictions hold, and the protocol that fits them where none is given.

    Args:
        reference: Folder or file of references.
        protocol: As asked for; it settles what the masks alone leave open.
        options: Of the protocol.
        predictions: Folder or file of predictions, looked at together with the references.

    Raises:
        UsageError: An unknown protocol or option.
        InputError: No such reference, masks that the protocol does not fit, or that may be read both ways.
    """
    chosen = None if protocol is None else load(protocol)
    if chosen is not None and chosen.needs_source:
        raise InputError(f"protocol {chosen.name} scores probabilities, which files do not hold; it is for reproduce")
    if not reference.exists():
        raise InputError(f"{reference} does not exist; expected a folder of masks, a data set's split, or one mask")
    description, root = _find_description(reference)
    sides = look_at(find_references(reference), _labels_or_classes(predictions))
    if description is None and chosen is not None and chosen.masks == ("instances",):
        description = Description(reference.name, "instances")
    if description is None:
        kind = kind_of(sides, None if chosen is None else chosen.name, str(reference))
        description, notes = describe_facts(str(reference), sides.references, kind)
        for note in notes:
            _log.warning(note)
    chosen = chosen or load("stardist" if description.masks == "instances" else "pixel")
    chosen.check_fits(description, where=str(root / FILE_NAME if root else reference))
    return Task(chosen, chosen.options(options), description, root, reading_of(sides, description))


def _find_description(reference: Path) -> tuple[Description | None, Path | None]:
    """The nearest ``dataset.toml`` at or above the reference, and its folder."""
    for folder in (reference, *list(reference.parents)[:3]):
        description = read_description(folder)
        if description is not None:
            return description, folder
    return None, None


def _labels_or_classes(predictions: Path | None) -> list[Path]:
    """Predictions to look at: object ids where there are any, for classes can be told from them alone."""
    if predictions is None or not predictions.exists():
        return []
    if predictions.is_file():
        return [predictions]
    return prediction_files(predictions, "_labels") or prediction_files(predictions, "_classes")


def find_references(reference: Path) -> dict[str, Path]:
    """Name that a mask shares with its image → mask, by name."""
    if reference.is_file():
        return {without_mask_ending(stem(reference)): reference}
    own = [reference / name for name in MASK_FOLDERS if (reference / name).is_dir()]
    parts = sorted(path for name in MASK_FOLDERS for path in reference.glob(f"*/{name}"))
    found: dict[str, Path] = {}
    for folder in own or parts or [reference]:
        files = _masks(folder)
        twice = sorted(found.keys() & files.keys())
        if twice:
            raise InputError(f"{reference}: {twice[0]} is in two splits; give one split, e.g. {folder.parent}")
        found |= files
    if not found:
        raise InputError(
            f"{reference} holds no masks; expected {', '.join(IMAGE_SUFFIXES)} files, or a folder masks/ of them"
        )
    return found


def _masks(folder: Path) -> dict[str, Path]:
    """Name → mask of a folder, in which images may lie beside masks that are named so."""
    files = _files(folder)
    masks = [path for path in files if is_mask_name(path)] or files
    images = {shared_name(stem(path)) for path in masks} if masks is not files else set()
    others = [path for path in files if path not in masks and shared_name(stem(path)) not in images]
    if others:
        _log.warning(
            "%s: left out as no masks, for others are named so (%s): %s", folder, masks[0].name, list_names(others)
        )
    named: dict[str, Path] = {}
    for path in masks:
        name = without_mask_ending(stem(path))
        if name in named:
            raise InputError(f"{folder}: {named[name].name} and {path.name} both may be the mask of {name}; keep one")
        named[name] = path
    return dict(sorted(named.items()))


def only_named(references: dict[str, Path], prediction: Path) -> dict[str, Path]:
    """The reference that a single prediction is named like.

    Raises:
        InputError: There is none.
    """
    found = pair(references.values(), [prediction]).pairs
    if not found:
        raise InputError(
            f"no reference is named like {prediction.name}; there are {', '.join(list(references)[:3])}, …"
        )
    masks = {mask for mask, _ in found.values()}
    return {name: path for name, path in references.items() if path in masks}


def find_predictions(predictions: Path, references: dict[str, Path], *, task: Task) -> dict[str, Path]:
    """Reference name → file of its prediction, where there is one."""
    if predictions.is_file():
        return dict.fromkeys(references, predictions)
    if not predictions.is_dir():
        raise InputError(f"{predictions} does not exist; expected a folder of label images, or one label image")
    candidates = prediction_files(predictions, "_labels" if task.has_objects else "_classes")
    joined = pair(references.values(), candidates)
    if joined.second_alone:
        _log.warning(
            "%d predictions have no reference and are not scored: %s",
            len(joined.second_alone),
            list_names(joined.second_alone),
        )
    of_mask = dict(joined.pairs.values())
    return {name: of_mask[path] for name, path in references.items() if path in of_mask}


def prediction_files(folder: Path, ending: str) -> list[Path]:
    """Files of a folder that may be predictions: of results that `segment` wrote, those of one ending alone."""
    files = _files(folder)
    stems = {stem(path) for path in files}
    kept, ours = [], set()
    for path in files:
        name = next((stem(path).removesuffix(end) for end in RESULT_ENDINGS if stem(path).endswith(end)), "")
        siblings = sum(f"{name}{end}" in stems for end in RESULT_ENDINGS)
        if name and siblings > 1:
            ours.add(name)
        # A mask of classes may be called NAME_labels elsewhere, but nothing else is called like our other results.
        is_other = bool(name) and not stem(path).endswith((ending, "_labels"))
        if not is_other and (siblings < 2 or stem(path).endswith(ending) or not name):
            kept.append(path)
    # An image beside its own results, as with results in the folder of the images, is no prediction.
    return [path for path in kept if stem(path) not in ours]


def _files(folder: Path) -> list[Path]:
    """Every image in the folder, by name."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def read_groups(task: Task, by: str) -> dict[str, str]:
    """Name → the image's value in the attribute column."""
    if task.root is None:
        raise InputError(f"cannot group by {by!r}: no {FILE_NAME} with attributes belongs to the reference")
    records = index(task.root, task.description)
    columns = sorted({column for record in records for column in record.attributes})
    if by not in columns:
        raise InputError(f"cannot group by {by!r}; the attributes' columns are {', '.join(columns) or '(none)'}")
    return {record.name: record.attributes.get(by) or NO_GROUP for record in records}
