"""Predictions and references on disk become rows of scores."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import label as label_components

from ...checks import InputError, check_same_shape
from ...data.description import as_described
from ...data.samples import fix_mask
from ...io import read_mask
from ...metrics import pixel
from ...metrics.pixel import Confusion
from ...metrics.protocols import ObjectImage, count_objects, foreground_confusion, pixel_rows, stardist_rows
from ...metrics.rows import Row
from .folders import NO_GROUP, Task, find_predictions, find_references, only_named, read_groups, read_task
from .kinds import planes_of

_log = logging.getLogger(__name__)


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
    task = read_task(reference, protocol, predictions)
    references = find_references(reference)
    if predictions.is_file() and reference.is_dir():
        references = only_named(references, predictions)
    groups = read_groups(task, by) if by else {}
    found = find_predictions(predictions, references, task=task)
    images: list[_Image] = []
    problems: list[Row] = []
    for name, mask_path in references.items():
        group = groups.get(name, NO_GROUP) if by else ""
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
class _Image:
    """Counts of one plane."""

    name: str
    group: str
    counts: ObjectImage | Confusion
    n_objects: int | None
    problem: str


def _count_file(name: str, prediction: Path | None, reference: Path, *, task: Task, group: str) -> Iterator[_Image]:
    """Counts of each plane of one reference file."""
    masks = [_fixed(mask, name, task=task) for mask in planes_of(_read(reference, task))]
    planes: Sequence[np.ndarray | None] = [None] * len(masks)
    problem = ""
    try:
        if prediction is None:
            raise InputError("no prediction of this name")
        planes = [_as_read(plane, task) for plane in planes_of(_read(prediction, task))]
        if len(planes) != len(masks):
            raise InputError(f"{len(planes)} planes in {prediction.name}, {len(masks)} in the reference")
    except InputError as error:
        planes, problem = [None] * len(masks), str(error)
    for place, (plane, mask) in enumerate(zip(planes, masks, strict=True)):
        plane_name = name if len(masks) == 1 else f"{name}[{place}]"
        yield _count_plane(plane_name, plane, mask, task=task, group=group, problem=problem)


def _read(path: Path, task: Task) -> np.ndarray:
    """A mask with the values that the description speaks of."""
    mask = read_mask(path)
    return as_described(mask.values, task.description, color=mask.color)


def _as_read(prediction: np.ndarray, task: Task) -> np.ndarray:
    """A prediction as the task takes it; see `Task.reading`."""
    if task.reading == "pieces":
        pieces: np.ndarray = label_components(prediction > 0, structure=np.ones((3, 3)))[0]
        return pieces
    return (prediction > 0).astype(np.uint8) if task.reading == "foreground" else prediction


def _count_plane(
    name: str, plane: np.ndarray | None, mask: np.ndarray, *, task: Task, group: str, problem: str
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


def _count(prediction: np.ndarray | None, mask: np.ndarray, *, task: Task) -> ObjectImage | Confusion:
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


def _number_of_objects(mask: np.ndarray, *, task: Task) -> int:
    return len(set(np.unique(mask).tolist()) - {0, task.description.ignore})


def _fixed(mask: np.ndarray, name: str, *, task: Task) -> np.ndarray:
    """The mask with a plain misfit of values repaired, unless a description vouches for its object ids."""
    if task.has_objects and task.root is not None:
        return mask
    fixed, notes = fix_mask(mask, task.description)
    for note in notes:
        _log.warning("%s: %s", name, note)
    return fixed


def _rows(images: Sequence[_Image], *, task: Task, group: str, seed: int) -> list[Row]:
    objects = [image.counts for image in images if isinstance(image.counts, ObjectImage)]
    if objects:
        return stardist_rows(objects, group=group, seed=seed)
    confusions = [image.counts for image in images if isinstance(image.counts, Confusion)]
    n_objects = sum(image.n_objects or 0 for image in images) if task.has_objects else None
    return pixel_rows(confusions, class_names=task.class_names, n_objects=n_objects, group=group, seed=seed)


def _missed_row(image: _Image, *, task: Task) -> Row:
    sentence = f"{image.name}: {image.problem}; counted as all missed"
    return _problem_row("unusable prediction", sentence, task=task, group=image.group, n_objects=image.n_objects)


def _problem_row(metric: str, problem: str, *, task: Task, group: str, n_objects: int | None = None) -> Row:
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
