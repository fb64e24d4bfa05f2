"""The result files of one input."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import fmean
from typing import TypedDict

import numpy as np

from ...difficulty.object_trust import DOUBTFUL_P_RIGHT
from ...difficulty.quality import DOUBTFUL_CONFIDENCE
from ...io import write_classes, write_csv, write_difficulty, write_labels
from ...types import Image, ModelHeader, Quality, Segmentation, Spacing
from .pictures import PlanePictures, write_pictures
from .record import CLASSES, DIFFICULTY, ENDINGS, LABELS, OBJECTS, STATE_FOLDER, Verdict

_NAMED_PLANES = 5
"""So many of a stack's doubtful planes are named; ``planes.csv`` has them all."""


@dataclass(frozen=True)
class Plane:
    """A segmented plane without its probabilities, which no file keeps."""

    labels: np.ndarray
    classes: np.ndarray
    difficulty: np.ndarray
    objects: Mapping[str, np.ndarray]
    quality: Quality
    scale: float = 1.0
    views: int = 1

    @classmethod
    def of(cls, found: Segmentation) -> Plane:
        """What of a segmentation is kept."""
        return cls(**{own.name: getattr(found, own.name) for own in fields(cls)})


class _Where(TypedDict):
    """What every result image says of its pixels."""

    plane_axes: str
    plane_shape: tuple[int, ...]
    spacing: Spacing
    channel_names: tuple[str, ...]


def write_results(
    out: Path, name: str, *, image: Image, planes: Sequence[Plane], header: ModelHeader
) -> dict[str, int]:
    """Write label, class and difficulty images, the overlay, and what the tables and the report need.

    Args:
        out: Folder of results, prepared by `open_state`.
        name: What the files' names begin with.
        image: The input.
        planes: Its planes, segmented.
        header: Of the model.

    Returns:
        File name relative to ``out`` → size in bytes.

    Raises:
        InputError: A file cannot be written; those that could are whole and stay.
    """

    def maps() -> None:
        write_maps(str(out / name), image=image, planes=planes, header=header)

    drawn: list[str] = []

    def pictures() -> None:
        drawn.extend(_write_pictures(out, name, image=image, planes=planes, header=header))

    def table() -> None:
        write_csv(out / STATE_FOLDER / OBJECTS / f"{name}.csv", object_columns(name, planes, header))

    # Compression leaves the interpreter free: two threads take two thirds of the time of one.
    with ThreadPoolExecutor(max_workers=2) as pool:
        written = [pool.submit(write) for write in (pictures, maps, table)]
    for one in written:
        one.result()
    files = [f"{name}{ending}" for ending in ENDINGS]
    files += [f"{STATE_FOLDER}/{OBJECTS}/{name}.csv", *drawn]
    return {file: (out / file).stat().st_size for file in files}


def write_maps(start: str, *, image: Image, planes: Sequence[Plane], header: ModelHeader) -> None:
    """Write label, class and difficulty image.

    Args:
        start: What the paths of the three files begin with.
        image: The input.
        planes: Its planes, segmented.
        header: Of the model.

    Raises:
        InputError: A file cannot be written.
    """
    where: _Where = {
        "plane_axes": image.plane_axes,
        "plane_shape": image.plane_shape,
        "spacing": image.spacing,
        "channel_names": image.channel_names if image.channel_names != ("gray",) else (),
    }
    write_labels(f"{start}{LABELS}", _stack([plane.labels for plane in planes], image), **where)
    classes = _stack([plane.classes for plane in planes], image)
    write_classes(f"{start}{CLASSES}", classes, names=header.classes, colors=header.colors, **where)
    write_difficulty(f"{start}{DIFFICULTY}", _stack([plane.difficulty for plane in planes], image), **where)


def most_doubtful(qualities: Sequence[Quality]) -> int:
    """Place of the plane that a person should see first."""
    return min(range(len(qualities)), key=lambda place: _doubt(qualities, place))


def _doubt(qualities: Sequence[Quality], place: int) -> tuple[int, float, float]:
    """What planes are sorted by, the most doubtful first."""
    quality = qualities[place]
    # Planes where expected Dice is undefined come last within their verdict.
    promised = 2.0 if math.isnan(quality.expected_dice) else quality.expected_dice
    sure = 2.0 if math.isnan(quality.mean_confidence) else quality.mean_confidence
    return ("reject", "review", "accept").index(quality.verdict), promised, sure


def join_quality(qualities: Sequence[Quality]) -> Quality:
    """One verdict for all planes: accept where all are, reject where most are, else review.

    Counts add up; confidence and expected Dice are means over the planes that have one.
    """
    if len(qualities) == 1:
        return qualities[0]
    sure = [quality.mean_confidence for quality in qualities if not math.isnan(quality.mean_confidence)]
    promised = [quality.expected_dice for quality in qualities if not math.isnan(quality.expected_dice)]
    rejected = sum(quality.verdict == "reject" for quality in qualities)
    to_review = sum(quality.verdict == "review" for quality in qualities)
    verdict: Verdict = "review" if rejected + to_review else "accept"
    why = f"all {len(qualities)} planes can be accepted"
    if 2 * rejected > len(qualities):
        verdict = "reject"
    if rejected + to_review:
        doubtful = sorted(range(len(qualities)), key=lambda place: _doubt(qualities, place))[: rejected + to_review]
        shown = ", ".join(map(str, doubtful[:_NAMED_PLANES]))
        more = f" and {len(doubtful) - _NAMED_PLANES} more" if len(doubtful) > _NAMED_PLANES else ""
        why = (
            f"of {len(qualities)} planes {rejected} to reject and {to_review} to review, the most doubtful first: "
            f"{shown}{more}; plane {doubtful[0]}: {qualities[doubtful[0]].why}"
        )
    return Quality(
        count=sum(quality.count for quality in qualities),
        mean_confidence=fmean(sure) if sure else math.nan,
        expected_dice=fmean(promised) if promised else math.nan,
        verdict=verdict,
        why=why,
        expected_f1=_mean_known([quality.expected_f1 for quality in qualities]),
        expected_count=sum(quality.expected_count for quality in qualities),
        # Errors of planes are taken for independent.
        expected_count_sd=math.hypot(*(quality.expected_count_sd for quality in qualities)),
        expected_iou=tuple(map(_mean_known, zip(*(quality.expected_iou for quality in qualities), strict=True))),
    )


def _mean_known(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return fmean(known) if known else math.nan


def class_fractions(planes: Sequence[Plane], header: ModelHeader) -> dict[str, float]:
    """Area fraction of each class over all planes, by name; empty where objects, not pixels, have classes."""
    if header.heads.has_instances:
        return {}
    counts = np.sum([np.bincount(plane.classes.ravel(), minlength=256) for plane in planes], axis=0)
    return {name: float(counts[number] / counts.sum()) for number, name in enumerate(header.classes)}


def object_columns(name: str, planes: Sequence[Plane], header: ModelHeader) -> dict[str, np.ndarray]:
    """Rows of all objects: image, plane counted from 0, then the columns of the measurements with classes by name."""
    counts = [len(plane.objects["label"]) for plane in planes]
    columns: dict[str, np.ndarray] = {
        "image": np.full(sum(counts), name, object),
        "plane": np.repeat(np.arange(len(planes)), counts),
    }
    for column in planes[0].objects:
        columns[column] = np.concatenate([plane.objects[column] for plane in planes])
    columns["class"] = class_names(columns["class"], header)
    return columns | {name: significant(values) for name, values in columns.items() if values.dtype.kind == "f"}


def significant(values: np.ndarray, digits: int = 6) -> np.ndarray:
    """Floats rounded to a number of significant digits, so that 0.32499999999999996 reads 0.325.

    Example:
        >>> significant(np.array([0.32499999999999996, 123456.789, np.nan])).tolist()
        [0.325, 123457.0, nan]
    """
    return np.array([float(f"{value:.{digits}g}") for value in values.tolist()], np.float64)


def class_names(numbers: np.ndarray, header: ModelHeader) -> np.ndarray:
    """Names of classes, (n,) objects of type str; the number itself where the model has no name for it."""
    names = dict(enumerate(header.classes))
    return np.array([names.get(number, str(number)) for number in numbers.tolist()], object)


def _stack(maps: Sequence[np.ndarray], image: Image) -> np.ndarray:
    return np.stack(maps) if image.plane_axes else maps[0]


def is_doubtful(objects: Mapping[str, np.ndarray]) -> np.ndarray:
    """Objects that outlines mark, (n,) bool: by their probability of being right, or their confidence without one."""
    if "p_right" in objects:
        unlikely: np.ndarray = objects["p_right"] < DOUBTFUL_P_RIGHT
        return unlikely
    unsure: np.ndarray = objects["confidence"] < DOUBTFUL_CONFIDENCE
    return unsure


def plane_pictures(image: Image, plane: Plane, place: int) -> PlanePictures:
    """What images of the plane at a place of the input are drawn from."""
    return PlanePictures(
        pixels=image.pixels[place],
        labels=plane.labels,
        classes=plane.classes,
        difficulty=plane.difficulty,
        doubtful=plane.objects["label"][is_doubtful(plane.objects)],
        pixel_size_um=image.pixel_size_um,
    )


def _write_pictures(out: Path, name: str, *, image: Image, planes: Sequence[Plane], header: ModelHeader) -> list[str]:
    """The images of the most doubtful plane."""
    place = most_doubtful([plane.quality for plane in planes])
    return write_pictures(out, name, plane_pictures(image, planes[place], place), header=header)
