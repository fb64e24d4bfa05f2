"""Wiring: predictions and reference on disk become rows of scores."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .checks import InputError, check_same_shape
from .data.description import FILE_NAME, Description, describe, read_description
from .data.index import MASK_ENDING, index
from .data.samples import fix_mask
from .io.images import IMAGE_SUFFIXES, read_labels
from .metrics import pixel
from .metrics.pixel import Confusion
from .metrics.protocols import (
    PROTOCOLS,
    ObjectImage,
    count_objects,
    foreground_confusion,
    pixel_rows,
    stardist_rows,
)
from .metrics.rows import Row

_log = logging.getLogger(__name__)

_SEGMENT_ENDINGS = ("_labels", "_classes", "_difficulty", "_overlay")
_MASKS_TO_GUESS_FROM = 20
_NO_GROUP = "(none)"


def evaluate_folders(
    predictions: Path, reference: Path, *, protocol: str | None = None, by: str = "", seed: int = 0
) -> list[Row]:
    """Score predictions against references of the same names.

    A reference without a usable prediction is counted as if nothing had been predicted there, and has a row of its
    own whose `problem` says why; so has a reference that cannot be read, which cannot be counted. A prediction
    without reference is not scored and logged as a warning. Each plane of a stack is an image.

    Args:
        predictions: Folder with ``NAME_labels.*`` and ``NAME_classes.*`` as `segment` writes them, or with
            ``NAME.*``; or one file, which is compared with the reference of its name.
        reference: Folder of masks ``NAME.*``, or of a data set or one of its splits (``masks/`` inside); or one
            file, which is compared with the only prediction or the one of its name. A ``dataset.toml`` up to three
            folders above says what the masks hold; without one it is found out from them.
        protocol: One of `PROTOCOLS`; None takes "stardist" for objects and "pixel" for class maps.
        by: Column of the data set's attributes; its values form groups that get rows of their own.
        seed: Of the bootstrap intervals.

    Returns:
        Rows over all images, then those of each group, then one for each problem.

    Raises:
        InputError: Nothing to compare, an unknown protocol or column, or class maps where objects are wanted.
    """
    task = _read_task(reference, protocol)
    references = _find_references(reference)
    if predictions.is_file() and reference.is_dir():
        references = _only_named(references, predictions)
    groups = _read_groups(task, by) if by else {}
    found = _find_predictions(predictions, references, task=task)
    images: list[_Image] = []
    problems: list[Row] = []
    for name, mask_path in references.items():
        group = groups.get(name, _NO_GROUP) if by else ""
        try:
            counted = list(_count_file(name, found.get(name), mask_path, task=task, group=group))
        except InputError as error:
            problems.append(
                _problem_row("unreadable reference", f"{name}: {error}; not counted", task=task, group=group)
            )
            continue
        images += counted
        problems += [_missed_row(image, task=task) for image in counted if image.problem]
    if not images:
        raise InputError(f"none of {len(references)} references in {reference} can be used; {problems[0].problem}")
    rows = _rows(images, task=task, group="", seed=seed)
    for group in sorted({image.group for image in images}) if by else []:
        rows += _rows([image for image in images if image.group == group], task=task, group=group, seed=seed)
    return rows + problems


@dataclass(frozen=True)
class _Task:
    """What is compared, and how.

    Attributes:
        protocol: One of `PROTOCOLS`.
        description: Of the references.
        root: Folder of the data set's description; None when it was found out from the masks.
    """

    protocol: str
    description: Description
    root: Path | None

    @property
    def has_objects(self) -> bool:
        return self.description.masks == "instances"

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of the ``pixel`` protocol, in which all objects are one foreground."""
        if not self.has_objects:
            return self.description.classes
        return ("background", self.description.classes[0] if len(self.description.classes) == 1 else "foreground")


@dataclass(frozen=True)
class _Image:
    """Counts of one plane."""

    name: str
    group: str
    counts: ObjectImage | Confusion
    n_objects: int | None
    problem: str


def _read_task(reference: Path, protocol: str | None) -> _Task:
    if protocol not in (None, *PROTOCOLS):
        raise InputError(f"protocol is {protocol!r}; there are {', '.join(PROTOCOLS)}")
    if not reference.exists():
        raise InputError(f"{reference} does not exist; wanted a folder of masks, a data set's split, or one mask")
    for folder in (reference, *list(reference.parents)[:3]):
        description = read_description(folder)
        if description is None:
            continue
        if protocol == "stardist" and description.masks == "semantic":
            raise InputError(
                f"{folder / FILE_NAME} says that the masks are class maps, and stardist compares objects; use pixel"
            )
        return _Task(protocol or _usual_protocol(description), description, folder)
    if protocol == "stardist":
        return _Task(protocol, Description(reference.name, "instances"), None)
    description, notes = describe(str(reference), _sample_masks(reference))
    for note in notes:
        _log.warning(note)
    return _Task(protocol or _usual_protocol(description), description, None)


def _usual_protocol(description: Description) -> str:
    return "stardist" if description.masks == "instances" else "pixel"


def _sample_masks(reference: Path) -> list[np.ndarray]:
    """Some of the masks that can be read."""
    paths = list(_find_references(reference).values())
    step = -(-len(paths) // _MASKS_TO_GUESS_FROM)
    masks: list[np.ndarray] = []
    for path in paths[::step]:
        try:
            masks += _planes(read_labels(path))
        except InputError:
            # It gets a row of its own when it is to be counted.
            continue
    return masks


def _find_references(reference: Path) -> dict[str, Path]:
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


def _only_named(references: dict[str, Path], prediction: Path) -> dict[str, Path]:
    names = [name for name in (_name(prediction), _base_name(prediction)) if name in references]
    if not names:
        raise InputError(
            f"no reference is named like {prediction.name}; there are {', '.join(list(references)[:3])}, …"
        )
    return {names[0]: references[names[0]]}


def _find_predictions(predictions: Path, references: dict[str, Path], *, task: _Task) -> dict[str, Path]:
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


def _read_groups(task: _Task, by: str) -> dict[str, str]:
    """Name → the image's value in the attribute column."""
    if task.root is None:
        raise InputError(f"cannot group by {by!r}: no {FILE_NAME} with attributes belongs to the reference")
    records = index(task.root, task.description)
    columns = sorted({column for record in records for column in record.attributes})
    if by not in columns:
        raise InputError(f"cannot group by {by!r}; the attributes' columns are {', '.join(columns) or '(none)'}")
    return {record.name: record.attributes.get(by) or _NO_GROUP for record in records}


def _count_file(name: str, prediction: Path | None, reference: Path, *, task: _Task, group: str) -> Iterator[_Image]:
    """Counts of each plane of one reference file."""
    masks = [_fixed(mask, name, task=task) for mask in _planes(read_labels(reference))]
    planes: Sequence[np.ndarray | None] = [None] * len(masks)
    problem = ""
    try:
        if prediction is None:
            raise InputError("no prediction of this name")
        planes = _planes(read_labels(prediction))
        if len(planes) != len(masks):
            raise InputError(f"{len(planes)} planes in {prediction.name}, {len(masks)} in the reference")
    except InputError as error:
        planes, problem = [None] * len(masks), str(error)
    for place, (plane, mask) in enumerate(zip(planes, masks, strict=True)):
        plane_name = name if len(masks) == 1 else f"{name}[{place}]"
        yield _count_plane(plane_name, plane, mask, task=task, group=group, problem=problem)


def _count_plane(
    name: str, plane: np.ndarray | None, mask: np.ndarray, *, task: _Task, group: str, problem: str
) -> _Image:
    """Counts of one plane; as if nothing had been predicted where the prediction cannot be used."""
    counts = _count(None, mask, task=task)
    if plane is not None:
        try:
            check_same_shape(prediction=plane, reference=mask)
            counts = _count(_fixed(plane, name, task=task) if not task.has_objects else plane, mask, task=task)
        except InputError as error:
            problem = str(error)
    n_objects = None
    if task.has_objects:
        n_objects = counts.n_objects if isinstance(counts, ObjectImage) else _number_of_objects(mask, task=task)
    return _Image(name, group, counts, n_objects, problem)


def _count(prediction: np.ndarray | None, mask: np.ndarray, *, task: _Task) -> ObjectImage | Confusion:
    ignore = task.description.ignore
    if not task.has_objects:
        classes = len(task.description.classes)
        if prediction is None:
            return pixel.missed(mask, classes=classes, ignore=ignore)
        return pixel.confusion(prediction, mask, classes=classes, ignore=ignore)
    labels = np.zeros_like(mask) if prediction is None else prediction
    ignored = None if ignore is None else mask == ignore
    count = count_objects if task.protocol == "stardist" else foreground_confusion
    return count(labels, mask, ignored=ignored)


def _number_of_objects(mask: np.ndarray, *, task: _Task) -> int:
    return len(set(np.unique(mask).tolist()) - {0, task.description.ignore})


def _fixed(mask: np.ndarray, name: str, *, task: _Task) -> np.ndarray:
    """The mask with a plain misfit of values repaired, unless a description vouches for its object ids."""
    if task.has_objects and task.root is not None:
        return mask
    fixed, notes = fix_mask(mask, task.description)
    for note in notes:
        _log.warning("%s: %s", name, note)
    return fixed


def _planes(labels: np.ndarray) -> list[np.ndarray]:
    return [labels] if labels.ndim == 2 else list(labels)


def _rows(images: Sequence[_Image], *, task: _Task, group: str, seed: int) -> list[Row]:
    objects = [image.counts for image in images if isinstance(image.counts, ObjectImage)]
    if objects:
        return stardist_rows(objects, group=group, seed=seed)
    confusions = [image.counts for image in images if isinstance(image.counts, Confusion)]
    n_objects = sum(image.n_objects or 0 for image in images) if task.has_objects else None
    return pixel_rows(confusions, class_names=task.class_names, n_objects=n_objects, group=group, seed=seed)


def _missed_row(image: _Image, *, task: _Task) -> Row:
    sentence = f"{image.name}: {image.problem}; counted as all missed"
    return _problem_row("unusable prediction", sentence, task=task, group=image.group, n_objects=image.n_objects)


def _problem_row(metric: str, problem: str, *, task: _Task, group: str, n_objects: int | None = None) -> Row:
    return Row(
        metric=metric,
        value=math.nan,
        level="object" if task.protocol == "stardist" else "pixel",
        averaging="one image",
        class_or_threshold="",
        background="excluded" if task.protocol == "stardist" else "included",
        empty_case="says what is wrong, has no value",
        n_images=1,
        n_objects=n_objects,
        group=group,
        problem=problem,
    )
