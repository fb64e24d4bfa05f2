"""The record that says which results of an input are complete."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from ...checks import InputError
from ...io import make_folder, read_json, remove_leftovers, write_json, write_text

STATE_FOLDER = ".cellproof"

LABELS, CLASSES, DIFFICULTY, OVERLAY = "_labels.tif", "_classes.tif", "_difficulty.tif", "_overlay.png"

ENDINGS = (LABELS, CLASSES, DIFFICULTY, OVERLAY)
"""What the names of an input's result files end in, after its own name."""

REPORT_FILES = "report_files"
"""Folder beside the report with its images."""

PICTURE_KINDS = ("image", "difficulty", "difficult", "overlay_small", "difficulty_small", "difficult_small")
"""What the names of an input's files in that folder end in, after its own name and ``_``."""

_RECORDS, OBJECTS, PICTURES, _CLAIMS = "records", "objects", "pictures", "claims"

_PARTS = (_RECORDS, OBJECTS, PICTURES, _CLAIMS)

Verdict = Literal["accept", "review", "reject"]


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file that was segmented.

    Attributes:
        path: Absolute, as it was given: a link keeps its own name.
        bytes: Size.
        sha256: Of its content.
        position: Number of the image in a file that holds several; None for the only one.
    """

    path: str
    bytes: int
    sha256: str
    position: int | None = None


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything asked for that changes results; one folder holds results of one set of these.

    Attributes:
        model: Name of the model.
        model_hash: SHA-256 of its file.
        tta: Whether eight views were averaged; "auto" for four where one leaves doubt, None in older records, for eight
            of small images only.
        channels: Channels asked for, by number or name; None where they were left to the names.
        axes: What the user said of the axes, None for what files say.
        diameter_px: Usual diameter of the objects that the user gave; "auto" for a measured one, None for the
            model's own scale.
        min_area_px: Smaller objects are left out; 0 for none.
        condition: What the network was told of the images; empty for nothing.
        engine: As asked for, "auto" included; so the next two.
        precision: Of the arithmetic.
        device: Where it runs.
        steps: Repairs of the class map, as written on a command line.
        promise: What accepted images shall keep, as written on a command line; None for what the model says.
    """

    model: str
    model_hash: str
    tta: bool | Literal["auto"] | None = None
    channels: tuple[int | str, ...] | None = None
    axes: str | None = None
    diameter_px: float | Literal["auto"] | None = None
    min_area_px: int = 0
    condition: str = ""
    engine: str = "auto"
    precision: str = "auto"
    device: str = "auto"
    steps: tuple[str, ...] = ()
    promise: str | None = None


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


class PlaneFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was found in one plane; numbers are None where they are undefined or the model cannot tell.

    Attributes:
        place: Its index along each axis of planes, as in ``"T 0, Z 3"``; empty for a single image.
        count: Objects.
        mean_confidence: Mean over the pixels of objects.
        expected_dice: Of the foreground.
        expected_f1: At IoU 0.5.
        expected_count: Objects that are there.
        expected_count_sd: Its standard deviation.
        verdict: On this plane alone.
        why: Its reason.
        views: Ways to lay it whose maps were averaged; None in older records.
    """

    place: str
    count: int
    mean_confidence: float | None
    expected_dice: float | None
    expected_f1: float | None
    expected_count: float | None
    expected_count_sd: float | None
    verdict: Verdict
    why: str
    views: int | None = None


class ChannelFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Raw intensities of one channel over all pixels of an input.

    Attributes:
        mean: Mean.
        min: Smallest.
        max: Largest.
        std: Standard deviation.
    """

    mean: float
    min: float
    max: float
    std: float


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
        mean_confidence: Mean over the pixels of objects, None without objects.
        expected_dice: Mean over planes that have one, None where none has.
        verdict: Of the planes together.
        why: Its reason.
        pixel_size_um: Pixel size in µm, None if unknown.
        notes: Guesses made while reading, and what the overlay shows.
        seconds: What it took; the time to write the record itself is missing.
        class_fractions: Area fraction of each class by name, of models without objects.
        scale: Pixels of the network's grid per pixel of the image, smallest over planes; None in older records.
        expected_f1: Mean over planes that have one; None where none has.
        expected_count: Objects that are there, in all planes; None where the model cannot tell.
        expected_count_sd: Its standard deviation.
        plane_facts: Of each plane; empty in older records.
        channel_facts: Of each channel that was read; empty in older records.
        views: Ways to lay the image whose maps were averaged, most over planes; None in older records.
        expected_iou: Mean over planes that have one, of each class of pixels by name, of models without objects.
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
    mean_confidence: float | None
    expected_dice: float | None
    verdict: Verdict
    why: str
    pixel_size_um: float | None
    notes: tuple[str, ...]
    seconds: Seconds
    class_fractions: Mapping[str, float] = {}
    scale: float | None = None
    expected_f1: float | None = None
    expected_count: float | None = None
    expected_count_sd: float | None = None
    plane_facts: tuple[PlaneFacts, ...] = ()
    channel_facts: tuple[ChannelFacts, ...] = ()
    views: int | None = None
    expected_iou: Mapping[str, float | None] = {}


def given_path(path: Path) -> str:
    """The absolute path of a file under the name it was given, links and all."""
    return os.path.abspath(path)


def identify(path: Path, position: int | None = None) -> Source:
    """Path, size and SHA-256 of a file.

    Raises:
        InputError: It cannot be read.
    """
    if path.is_symlink() and not path.exists():
        there = os.path.lexists(path.parent / os.readlink(path))
        why = "which leads in a circle; remove it" if there else "which is not there; put that file back, or remove it"
        raise InputError(f"{path}: a link to {os.readlink(path)}, {why}")
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: a pipe, device or folder, expected a file; give the files themselves")
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return Source(given_path(path), file.tell(), digest, position)
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
    folders = [out, out / REPORT_FILES, *(out / STATE_FOLDER / part for part in _PARTS)]
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
    return out / STATE_FOLDER / OBJECTS / f"{record.name}.csv"


def claim(out: Path, name: str, *, overwrite: bool) -> None:
    """Say that the files of a name are ours to write, before the first of them is.

    Raises:
        InputError: One is there already and nothing says that we wrote it, as with a person's own ``NAME_labels.tif``.
    """
    mark = out / STATE_FOLDER / _CLAIMS / name
    foreign = [out / f"{name}{ending}" for ending in ENDINGS if (out / f"{name}{ending}").exists()]
    if foreign and not mark.exists() and not overwrite:
        raise InputError(
            f"{foreign[0]}: exists and is not a result of CellProof; move it, or give another folder", argument="out"
        )
    write_text(mark, "")


def unclaim(out: Path, name: str) -> None:
    """Take back what `claim` said, of a name of which nothing was written."""
    (out / STATE_FOLDER / _CLAIMS / name).unlink(missing_ok=True)


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
    files += [out / REPORT_FILES / f"{name}_{kind}.jpg" for kind in PICTURE_KINDS]
    files += [state / OBJECTS / f"{name}.csv", state / PICTURES / f"{name}.json", state / _RECORDS / f"{name}.json"]
    for file in files:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise InputError(f"{file}: cannot be replaced ({error.strerror}); check its permissions") from error
