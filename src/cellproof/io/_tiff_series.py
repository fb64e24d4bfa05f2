"""Which of a TIFF file's images are to be read: positions, not previews; and where the others are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._decoding import refusal
from ._ome import OmeImage, metadata_file, parse_ome


@dataclass(frozen=True)
class Position:
    """One image of a file: a position, well or scene, or simply the image.

    Attributes:
        number: Its place in the file, counted from 0; the argument of `read_image`.
        name: As the file names it, empty where it does not or where the file holds only one.
        elsewhere: The file beside this one that holds it, or its first plane; empty where this one does.
        missing: Names of files that hold planes of it and are not there.
    """

    number: int = 0
    name: str = ""
    elsewhere: str = ""
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """One image of an open file that can be read.

    Attributes:
        position: What it is.
        series: tifffile's series of it; None where its planes are in other files.
        ome: What OME-XML says of it.
    """

    position: Position
    series: Any
    ome: OmeImage | None = None


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Attributes:
        images: Those to be read, each a position.
        notes: What was left out, a sentence each.
    """

    images: tuple[Found, ...]
    notes: tuple[str, ...] = ()


def ome_images(path: Path, xml: str | None) -> tuple[OmeImage, ...]:
    """What OME-XML describes.

    Raises:
        InputError: It says only that another file describes them.
    """
    elsewhere = metadata_file(xml)
    if elsewhere:
        state = "give that file" if (path.parent / Path(elsewhere).name).exists() else "which is missing; put it back"
        raise refusal(path, f"what its planes are stands in {elsewhere}, {state}")
    return parse_ome(xml, file_name=path.name)


def is_spread(images: tuple[OmeImage, ...]) -> bool:
    """Whether planes of any image lie in other files."""
    return any(image.files for image in images)


def is_renamed(path: Path, images: tuple[OmeImage, ...]) -> bool:
    """Whether the XML speaks of one file only, under a name that is not there: this file, before it was renamed."""
    names = {name for image in images for name in image.files}
    return len(names) == 1 and not any(image.own for image in images) and bool(missing_files(path, images[0]))


def missing_files(path: Path, image: OmeImage) -> tuple[str, ...]:
    """Files that hold planes of an image and are not beside ``path``; a name with a folder in it is never opened."""
    return tuple(name for name in image.files if Path(name).name != name or not (path.parent / name).is_file())


def contents(path: Path, tif: Any, images: tuple[OmeImage, ...]) -> Contents:
    """Positions of an open file, without previews.

    Args:
        path: The file.
        tif: It, opened by tifffile; with other files where `is_spread`.
        images: From `ome_images`; none for a file without OME-XML.

    Raises:
        InputError: The file holds no image.
    """
    if not tif.series:
        problem = (
            describe_absence(Position(0, images[0].name, missing=missing_files(path, images[0]))) if images else ""
        )
        raise refusal(path, problem or "the TIFF file holds no image; export it again")
    if images and all(series.kind == "ome" for series in tif.series):
        return _of_ome(path, tif, images)
    if len(images) == 1 and is_renamed(path, images):
        note = (
            f"the OME metadata name other files ({images[0].files[0]}), as when a file was renamed; its pages were read"
        )
        return Contents((Found(Position(), tif.series[0], images[0]),), (note,))
    return _by_size(path, list(tif.series), faulty=bool(tif.is_ome))


def choose(path: Path, found: Contents, number: int | None) -> Found:
    """The image of a number, or the first that this file holds.

    Raises:
        InputError: There is none of that number, or its planes are in files that are missing.
    """
    images = {image.position.number: image for image in found.images}
    if number is None:
        here = [image for image in found.images if not image.position.elsewhere and not image.position.missing]
        chosen = (here or list(found.images))[0]
    elif number in images:
        chosen = images[number]
    else:
        raise refusal(path, f"position {number} asked for; the file holds {', '.join(map(str, images))}")
    problem = describe_absence(chosen.position)
    if problem or chosen.series is None:
        raise refusal(path, problem or "the image has no planes; export it again")
    return chosen


def describe_absence(position: Position) -> str:
    """Why an image cannot be read from a file, in a sentence; empty where it can."""
    name = f"position {position.number}" + (f" ({position.name})" if position.name else "")
    if position.missing:
        return (
            f"{name} has planes in files that are missing: {', '.join(position.missing[:3])}"
            f"{', …' if len(position.missing) > 3 else ''}; put them beside this one, or export it again as one file"
        )
    return f"{name} begins in {position.elsewhere}; give that file" if position.elsewhere else ""


def _of_ome(path: Path, tif: Any, images: tuple[OmeImage, ...]) -> Contents:
    """Positions as the XML says; tifffile has one series for each image of which any plane is there."""
    there = [image.own or len(missing_files(path, image)) < len(image.files) for image in images]
    if sum(there) != len(tif.series):
        raise refusal(
            path,
            f"its OME-XML describes {len(images)} images, and {len(tif.series)} can be read; it is incomplete, "
            "export or copy it again",
        )
    series = iter(tif.series)
    every = [(image, next(series) if is_there else None) for image, is_there in zip(images, there, strict=True)]
    real = [number for number, image in enumerate(images) if not image.is_preview] or list(range(len(images)))
    left = [image for number, image in enumerate(images) if number not in real]
    notes = tuple(f"the image {image.name!r} of the file is a preview; it was left out" for image in left)
    found = []
    for number in real:
        image, one = every[number]
        position = Position(
            number=number,
            name=image.name if len(real) > 1 else "",
            elsewhere=image.first_file,
            missing=missing_files(path, image),
        )
        found.append(Found(position, one, image))
    return Contents(tuple(found), notes)


def _by_size(path: Path, every: list[Any], *, faulty: bool) -> Contents:
    """Of images of several sizes the largest, for thumbnails, labels and macro images are smaller."""
    notes = ["the OME metadata are faulty; only the pages of this file were read"] if faulty else []
    readable = [series for series in every if {"X", "Y"} <= set(series.axes.upper())]
    if not readable:
        raise refusal(path, f"the TIFF file has axes {every[0].axes} without rows and columns; export it again")
    full = [series for series in readable if not series.keyframe.is_reduced] or readable
    largest = max(map(_plane_pixels, full))
    kept = [series for series in full if _plane_pixels(series) == largest]
    left = [series for series in every if series not in kept]
    if left:
        sizes = ", ".join(f"{series.name or 'image'} {_size(series)}" for series in left[:4])
        more = ", …" if len(left) > 4 else ""
        notes.append(
            f"the file holds images of several sizes; the largest, {_size(kept[0])}, was read, and left out: "
            f"{sizes}{more}"
        )
    positions = [Position(every.index(series), "") for series in kept]
    return Contents(
        tuple(Found(position, series) for position, series in zip(positions, kept, strict=True)), tuple(notes)
    )


def _plane_pixels(series: Any) -> int:
    rows, columns = _rows_and_columns(series)
    return rows * columns


def _size(series: Any) -> str:
    rows, columns = _rows_and_columns(series)
    return f"{rows} × {columns}"


def _rows_and_columns(series: Any) -> tuple[int, int]:
    axes = series.axes.upper()
    if not {"X", "Y"} <= set(axes):
        return 1, int(series.shape[-1])
    return int(series.shape[axes.index("Y")]), int(series.shape[axes.index("X")])
