"""Wiring: the results of one input on disk, and the record that says they are complete.

Under ``OUT/.cellproof/`` every finished input has a record, written after everything else of it. What has a
record is done; what has none is done again from the start.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Annotated, Literal, TypedDict

import msgspec
import numpy as np

from .checks import InputError
from .difficulty.confidence import difficult_pixels
from .difficulty.quality import DOUBTFUL_CONFIDENCE
from .io import (
    atomic_path,
    make_folder,
    read_json,
    remove_leftovers,
    write_classes,
    write_csv,
    write_difficulty,
    write_json,
    write_labels,
    write_text,
)
from .report.difficulty_pictures import white_on_image
from .report.overlay import class_overlay, difficulty_picture, overlay, write_overlay
from .report.pictures import Picture, inline_picture
from .types import Image, ModelHeader, Quality

STATE_FOLDER = ".cellproof"
LABELS, CLASSES, DIFFICULTY, OVERLAY = "_labels.tif", "_classes.tif", "_difficulty.tif", "_overlay.png"
ENDINGS = (LABELS, CLASSES, DIFFICULTY, OVERLAY)
"""What the names of an input's result files end in, after its own name."""

_RECORDS, _OBJECTS, _PICTURES, _CLAIMS = "records", "objects", "pictures", "claims"
_PARTS = (_RECORDS, _OBJECTS, _PICTURES, _CLAIMS)
_THUMBNAIL_PX = 400

Verdict = Literal["accept", "review", "reject"]


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file that was segmented: its absolute path, size and SHA-256."""

    path: str
    bytes: int
    sha256: str


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything asked for that changes results; one folder holds results of one set of these.

    Attributes:
        model: Name of the model.
        model_hash: SHA-256 of its file.
        tta: Whether views were averaged; None for those of small pictures only.
        channels: Channels read, None for all.
        axes: What the user said of the axes, None for what files say.
        engine: As asked for, "auto" included; so the next two.
        precision: Of the arithmetic.
        device: Where it runs.
    """

    model: str
    model_hash: str
    tta: bool | None = None
    channels: tuple[int, ...] | None = None
    axes: str | None = None
    engine: str = "auto"
    precision: str = "auto"
    device: str = "auto"


class EngineFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What computed a result, and why that."""

    engine: str
    precision: str
    device: str
    reason: str


class Seconds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Time that each part took, of one input or of several together."""

    read: float = 0.0
    network: float = 0.0
    instances: float = 0.0
    measure: float = 0.0
    write: float = 0.0

    @property
    def total(self) -> float:
        """All parts together."""
        total: float = sum(msgspec.structs.astuple(self))
        return total

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(*map(sum, zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)))


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One finished input.

    Attributes:
        name: What its files' names begin with.
        source: The input.
        parameters: What was asked.
        engine: What computed it.
        outputs: File name under the folder of results → size in bytes.
        height: Of a plane, in pixels.
        width: Of a plane, in pixels.
        planes: How many there are.
        count: Objects in all planes.
        mean_confidence: Mean over all pixels.
        expected_dice: Mean over planes that have one, None where none has.
        verdict: Of the planes together.
        why: Its reason.
        pixel_size_um: Edge of a pixel in µm, None if unknown.
        notes: Guesses made while reading, and what the overlay shows.
        seconds: What it took; the time to write the record itself is missing.
    """

    name: str
    source: Source
    parameters: Parameters
    engine: EngineFacts
    outputs: Mapping[str, int]
    height: int
    width: int
    planes: int
    count: int
    mean_confidence: float
    expected_dice: float | None
    verdict: Verdict
    why: str
    pixel_size_um: float | None
    notes: tuple[str, ...]
    seconds: Seconds


@dataclass(frozen=True)
class Plane:
    """A segmented plane without its probabilities, which no file keeps."""

    labels: np.ndarray
    classes: np.ndarray
    difficulty: np.ndarray
    objects: Mapping[str, np.ndarray]
    quality: Quality


def identify(path: Path) -> Source:
    """Path, size and SHA-256 of a file.

    Raises:
        InputError: It cannot be read.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: a pipe, device or folder, wanted a file; give the files themselves")
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return Source(str(path.resolve()), file.tell(), digest)
    except OSError as error:
        raise InputError(f"{path}: the file cannot be read ({error.strerror}); check the name and the disk") from error


def open_state(out: Path) -> Path:
    """The folder of records, made where it is missing.

    Raises:
        InputError: It cannot be made.
    """
    state = make_folder(out / STATE_FOLDER)
    for part in _PARTS:
        make_folder(state / part)
    return state


def clear_leftovers(out: Path) -> int:
    """Delete the half-written files of killed runs; returns how many there were."""
    folders = [out, *(out / STATE_FOLDER / part for part in _PARTS)]
    return sum(len(remove_leftovers(folder)) for folder in folders)


def read_records(out: Path) -> dict[str, Record]:
    """Name → record of everything finished in a folder, by name; records that cannot be read count as none."""
    records = {}
    for path in sorted((out / STATE_FOLDER / _RECORDS).glob("*.json")):
        try:
            record = msgspec.convert(read_json(path), Record)
        except (InputError, msgspec.ValidationError):
            continue
        records[record.name] = record
    return records


def is_whole(out: Path, record: Record) -> bool:
    """Whether all files of a record are there in the size that was written."""
    try:
        return all((out / name).stat().st_size == size for name, size in record.outputs.items())
    except OSError:
        return False


def object_table(out: Path, record: Record) -> Path:
    """The CSV file with the rows of a record's objects."""
    return out / STATE_FOLDER / _OBJECTS / f"{record.name}.csv"


@dataclass(frozen=True)
class Thumbnails:
    """What the report shows of an input.

    Attributes:
        overlay: Outlines or classes on the picture.
        difficulty: Heat map.
        difficult: Difficult pixels in white; None for results that were made before there was such a picture.
    """

    overlay: Picture
    difficulty: Picture
    difficult: Picture | None = None


def read_pictures(out: Path, record: Record) -> Thumbnails:
    """Small pictures of an input.

    Raises:
        InputError: They cannot be read.
    """
    values = read_json(out / STATE_FOLDER / _PICTURES / f"{record.name}.json")
    return Thumbnails(*msgspec.convert(values, Annotated[list[Picture], msgspec.Meta(min_length=2, max_length=3)]))


def claim(out: Path, name: str, *, overwrite: bool) -> None:
    """Say that the files of a name are ours to write, before the first of them is.

    Raises:
        InputError: One is there already and nothing says that we wrote it, as with a person's own ``NAME_labels.tif``.
    """
    mark = out / STATE_FOLDER / _CLAIMS / name
    foreign = [out / f"{name}{ending}" for ending in ENDINGS if (out / f"{name}{ending}").exists()]
    if foreign and not mark.exists() and not overwrite:
        raise InputError(f"{foreign[0]}: exists and is no result of CellProof; move it, or give another --out")
    write_text(mark, "")


def write_record(out: Path, record: Record) -> None:
    """Say that an input is finished; the last of its files."""
    write_json(out / STATE_FOLDER / _RECORDS / f"{record.name}.json", record)


def forget(out: Path, name: str) -> None:
    """Delete the results and then the record of a name, so that neither outlives a change of its input.

    Raises:
        InputError: A file cannot be deleted.
    """
    state = out / STATE_FOLDER
    files = [out / f"{name}{ending}" for ending in ENDINGS]
    files += [state / _OBJECTS / f"{name}.csv", state / _PICTURES / f"{name}.json", state / _RECORDS / f"{name}.json"]
    for file in files:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise InputError(f"{file}: cannot be replaced ({error.strerror}); check its permissions") from error


class _Where(TypedDict):
    """What every result image says of its pixels."""

    plane_axes: str
    plane_shape: tuple[int, ...]
    pixel_size_um: float | None


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
    where: _Where = {
        "plane_axes": image.plane_axes,
        "plane_shape": image.plane_shape,
        "pixel_size_um": image.pixel_size_um,
    }

    def labels() -> None:
        write_labels(out / f"{name}{LABELS}", _stack([plane.labels for plane in planes], image), **where)

    def classes() -> None:
        stack = _stack([plane.classes for plane in planes], image)
        write_classes(out / f"{name}{CLASSES}", stack, names=header.classes, colors=header.colors, **where)

    def difficulty() -> None:
        write_difficulty(out / f"{name}{DIFFICULTY}", _stack([plane.difficulty for plane in planes], image), **where)

    def pictures() -> None:
        _write_pictures(out, name, image=image, planes=planes, header=header)

    def table() -> None:
        write_csv(out / STATE_FOLDER / _OBJECTS / f"{name}.csv", object_columns(name, planes, header))

    # Compression leaves the interpreter free: two threads take two thirds of the time of one.
    with ThreadPoolExecutor(max_workers=2) as pool:
        written = [pool.submit(write) for write in (pictures, labels, difficulty, classes, table)]
    for one in written:
        one.result()
    files = [f"{name}{ending}" for ending in ENDINGS]
    files += [f"{STATE_FOLDER}/{_OBJECTS}/{name}.csv", f"{STATE_FOLDER}/{_PICTURES}/{name}.json"]
    return {file: (out / file).stat().st_size for file in files}


def most_doubtful(qualities: Sequence[Quality]) -> int:
    """Place of the plane that a person should see first."""

    def doubt(place: int) -> tuple[int, float, float]:
        quality = qualities[place]
        # Planes where expected Dice is undefined come last within their verdict.
        promised = 2.0 if math.isnan(quality.expected_dice) else quality.expected_dice
        return ("reject", "review", "accept").index(quality.verdict), promised, quality.mean_confidence

    return min(range(len(qualities)), key=doubt)


def join_quality(qualities: Sequence[Quality]) -> Quality:
    """One verdict for all planes: accept where all are, reject where most are, else review.

    Counts add up; confidence and expected Dice are means over planes, the latter over those that have one.
    """
    if len(qualities) == 1:
        return qualities[0]
    promised = [quality.expected_dice for quality in qualities if not math.isnan(quality.expected_dice)]
    rejected = sum(quality.verdict == "reject" for quality in qualities)
    to_review = sum(quality.verdict == "review" for quality in qualities)
    verdict: Verdict = "review" if rejected + to_review else "accept"
    why = f"all {len(qualities)} planes can be accepted"
    if 2 * rejected > len(qualities):
        verdict = "reject"
    if rejected + to_review:
        worst = most_doubtful(qualities)
        why = (
            f"of {len(qualities)} planes {rejected} to reject and {to_review} to review; "
            f"most doubtful is plane {worst}: {qualities[worst].why}"
        )
    return Quality(
        count=sum(quality.count for quality in qualities),
        mean_confidence=fmean(quality.mean_confidence for quality in qualities),
        expected_dice=fmean(promised) if promised else math.nan,
        verdict=verdict,
        why=why,
    )


def object_columns(name: str, planes: Sequence[Plane], header: ModelHeader) -> dict[str, np.ndarray]:
    """Rows of all objects: image, plane counted from 0, then the columns of the measurements with classes by name."""
    counts = [len(plane.objects["label"]) for plane in planes]
    columns: dict[str, np.ndarray] = {
        "image": np.full(sum(counts), name, object),
        "plane": np.repeat(np.arange(len(planes)), counts),
    }
    for column in planes[0].objects:
        columns[column] = np.concatenate([plane.objects[column] for plane in planes])
    columns["class"] = np.array([_class_name(header, number) for number in columns["class"].tolist()], object)
    return columns


def _class_name(header: ModelHeader, number: int) -> str:
    return header.classes[number] if number < len(header.classes) else str(number)


def _stack(maps: Sequence[np.ndarray], image: Image) -> np.ndarray:
    return np.stack(maps) if image.plane_axes else maps[0]


def _write_pictures(out: Path, name: str, *, image: Image, planes: Sequence[Plane], header: ModelHeader) -> None:
    """The overlay of the most doubtful plane, and small pictures of it for the report."""
    place = most_doubtful([plane.quality for plane in planes])
    pixels, plane = image.pixels[place], planes[place]
    with atomic_path(out / f"{name}{OVERLAY}") as temporary:
        write_overlay(temporary, _draw(pixels, plane, header=header))
    shown = inline_picture(_draw(pixels, plane, header=header, max_px=_THUMBNAIL_PX), max_px=_THUMBNAIL_PX)
    hard = inline_picture(difficulty_picture(pixels, plane.difficulty, max_px=_THUMBNAIL_PX), max_px=_THUMBNAIL_PX)
    # Less sure than the mean is more difficult than the mean: one is a falling line of the other.
    difficult = white_on_image(pixels, difficult_pixels(1 - plane.difficulty), max_px=_THUMBNAIL_PX)
    small = (shown, hard, inline_picture(difficult, max_px=_THUMBNAIL_PX))
    write_json(out / STATE_FOLDER / _PICTURES / f"{name}.json", small)


def _draw(pixels: np.ndarray, plane: Plane, *, header: ModelHeader, max_px: int | None = None) -> np.ndarray:
    if not header.heads.has_instances:
        return class_overlay(pixels, plane.classes, colors=header.colors, max_px=max_px)
    doubtful = plane.objects["label"][plane.objects["confidence"] < DOUBTFUL_CONFIDENCE]
    return overlay(pixels, plane.labels, doubtful=doubtful, max_px=max_px)
