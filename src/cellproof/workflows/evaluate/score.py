"""Predictions and references on disk become rows of scores."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import label as label_components

from ...checks import InputError, check_same_shape
from ...data.description import as_described
from ...data.samples import fix_mask
from ...io import read_mask
from ...metrics.rows import Level, Row
from .folders import NO_GROUP, Task, find_predictions, find_references, only_named, read_groups, read_task
from .kinds import planes_of
from .protocol import Reference, Variant

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImageScore:
    """One plane of one reference.

    Attributes:
        name: Name of the image; with the plane's number in a stack.
        group: Value of the attribute that images are grouped by; empty without.
        rows: Rows of this image alone.
        prediction: File of its prediction; None where there is none.
        reference: File of its reference.
        problem: Why its prediction cannot be used; empty where it can.
    """

    name: str
    group: str
    rows: list[Row]
    prediction: Path | None
    reference: Path
    problem: str = ""


@dataclass(frozen=True)
class FolderScores:
    """Scores of a folder of predictions.

    Attributes:
        rows: Rows over all images, then those of each group, then one for each problem.
        images: Scores of each image that could be counted, in the order of the names.
        task: What was compared, and how.
        n_references: References that there are, before ``only_predicted`` left some out.
        n_missing: References without a prediction of their name.
        only_predicted: Whether those were left out.
    """

    rows: list[Row]
    images: list[ImageScore]
    task: Task
    n_references: int
    n_missing: int
    only_predicted: bool = False

    @property
    def headline(self) -> str:
        """How many references have a prediction, and what became of the others."""
        there = self.n_references - self.n_missing
        have = f"{there} of {self.n_references} references {'has' if there == 1 else 'have'} a prediction"
        if not self.n_missing:
            return have
        return f"{have}; {self.n_missing} {'are left out' if self.only_predicted else 'count as missed'}"


def evaluate_folders(
    predictions: Path,
    reference: Path,
    *,
    protocol: str | None = None,
    by: str = "",
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
) -> list[Row]:
    """Rows of `score_folders`, of which the arguments and errors are."""
    return score_folders(predictions, reference, protocol=protocol, by=by, seed=seed, options=options).rows


def score_folders(
    predictions: Path,
    reference: Path,
    *,
    protocol: str | None = None,
    by: str = "",
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    only_predicted: bool = False,
) -> FolderScores:
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
        protocol: Name of a file in ``protocols/``; None takes "stardist" for objects and "pixel" for class maps.
        by: Column of the data set's attributes; its values form groups that get rows of their own.
        seed: Seed of the bootstrap intervals.
        options: Options of the protocol, as its struct names them.
        only_predicted: Whether references without a prediction of their name are left out. A prediction that is
            there and cannot be used still counts as missed.

    Raises:
        UsageError: An unknown protocol or option.
        InputError: Nothing to compare, an unknown column, or masks that the protocol does not fit.
    """
    task = read_task(reference, protocol, options or {}, predictions)
    references = find_references(reference)
    if predictions.is_file() and reference.is_dir():
        references = only_named(references, predictions)
    groups = read_groups(task, by) if by else {}
    found = find_predictions(predictions, references, task=task)
    n_references, n_missing = len(references), len(references.keys() - found.keys())
    if only_predicted:
        references = {name: path for name, path in references.items() if name in found}
        if not references:
            raise InputError(f"{predictions} holds no prediction for any of the {n_references} references")
    counted = _Counted()
    for name, mask_path in references.items():
        group = groups.get(name, NO_GROUP) if by else ""
        try:
            images = list(_count_file(name, found.get(name), mask_path, task=task, group=group))
        except InputError as error:
            counted.problems.append(
                _problem_row("unreadable reference", f"{name}: {error}; not counted", task=task, group=group)
            )
            continue
        for image in images:
            counted.add(image, task)
    if not counted.images:
        raise InputError(
            f"none of {len(references)} references in {reference} can be used; {counted.problems[0].problem}"
        )
    rows = _rows(counted.images, task=task, group="", seed=seed)
    for group in sorted({image.group for image in counted.images}) if by else []:
        rows += _rows([image for image in counted.images if image.group == group], task=task, group=group, seed=seed)
    if only_predicted:
        rows = [replace(row, empty_case=f"{row.empty_case}; references without prediction left out") for row in rows]
    scores = [_image_score(image, task) for image in counted.images]
    return FolderScores(rows + counted.problems, scores, task, n_references, n_missing, only_predicted)


@dataclass(frozen=True)
class _Image:
    """Counts of one plane, as its protocol makes them."""

    name: str
    group: str
    counts: Any
    prediction: Path | None
    reference: Path
    problem: str


@dataclass
class _Counted:
    """What has been counted so far."""

    images: list[_Image] = field(default_factory=list)
    problems: list[Row] = field(default_factory=list)

    def add(self, image: _Image, task: Task) -> None:
        """Take one more image, and a row for its problem."""
        self.images.append(image)
        if image.problem:
            sentence = f"{image.name}: {image.problem}; counted as all missed"
            n_objects = _rows([image], task=task, group="", seed=0)[0].n_objects
            self.problems.append(
                _problem_row("unusable prediction", sentence, task=task, group=image.group, n_objects=n_objects)
            )


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
        counts, own_problem = _count_plane(plane_name, plane, mask, task=task)
        yield _Image(plane_name, group, counts, prediction, reference, own_problem or problem)


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


def _count_plane(name: str, plane: np.ndarray | None, mask: np.ndarray, *, task: Task) -> tuple[Any, str]:
    """Counts of one plane; as if nothing had been predicted where the prediction cannot be used, and why not."""
    truth = Reference(mask, task.names)
    if plane is not None:
        try:
            check_same_shape(prediction=plane, reference=mask)
            values = plane if task.has_objects else _fixed(plane, name, task=task)
            return task.protocol.count(Variant("", values), truth, task.options), ""
        except InputError as error:
            return task.protocol.count(None, truth, task.options), str(error)
    return task.protocol.count(None, truth, task.options), ""


def _fixed(mask: np.ndarray, name: str, *, task: Task) -> np.ndarray:
    """The mask with a plain misfit of values repaired, unless a description vouches for its object ids."""
    if task.has_objects and task.root is not None:
        return mask
    fixed, notes = fix_mask(mask, task.description)
    for note in notes:
        _log.warning("%s: %s", name, note)
    return fixed


def _rows(images: Sequence[_Image], *, task: Task, group: str, seed: int) -> list[Row]:
    counts = [image.counts for image in images]
    return task.protocol.rows(counts, task.names, task.options, group=group, seed=seed)


def _image_score(image: _Image, task: Task) -> ImageScore:
    rows = _rows([image], task=task, group=image.group, seed=0)
    return ImageScore(image.name, image.group, rows, image.prediction, image.reference, image.problem)


def _problem_row(metric: str, problem: str, *, task: Task, group: str, n_objects: int | None = None) -> Row:
    level: Level = "object" if task.protocol.masks == ("instances",) else "pixel"
    return Row(
        metric=metric,
        value=math.nan,
        level=level,
        averaging="one image",
        class_or_threshold="",
        background="excluded" if level == "object" else "included",
        empty_case="says what is wrong, has no value",
        n_images=1,
        n_objects=n_objects,
        group=group,
        problem=problem,
    )
