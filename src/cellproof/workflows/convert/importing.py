"""A set in a foreign format becomes a folder that `train` reads: images, label images, table and ``dataset.toml``."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from ...checks import InputError, UsageError
from ...data.description import FILE_NAME, Description, description_to_toml
from ...exchange import coco, dsb2018, glas, sartorius
from ...exchange.annotations import AnnotatedImage, label_image
from ...io import make_folder, read_labels, write_csv, write_labels, write_text
from ...io.images import read_image

_CELLS = Description("", "instances", ("cell",))

_GLANDS = Description(
    "",
    "instances",
    ("gland",),
    group="patient",
    pixel_size_um=glas.PIXEL_SIZE_UM,
    license="research use only",
)

FORMATS: Mapping[str, Description] = {"sartorius": _CELLS, "coco": _CELLS, "dsb2018": _CELLS, "glas": _GLANDS}
"""What `import_set` reads, and what is known of such a set beforehand."""

TABLE = "manifest.csv"


@dataclass(frozen=True)
class Imported:
    """What was imported.

    Attributes:
        images: Number of images written.
        objects: Number of objects that have a pixel.
        overlapping_px: Pixels that several objects claim; the smallest has them.
        skipped: Images left out, each with the reason.
    """

    images: int
    objects: int
    overlapping_px: int
    skipped: tuple[str, ...]


def import_set(
    source: Path,
    out: Path,
    *,
    format: str,
    images: Path | None = None,
    skip: bool = False,
    progress: Callable[[int, int], None] = lambda done, count: None,
) -> Imported:
    """Write ``OUT/train/{images,masks}``, likewise for official test splits, ``manifest.csv`` and ``dataset.toml``.

    Images are copied as they are, one after the other; only one image's masks are in memory.

    Args:
        source: Folder of the set; of "coco" the annotation file.
        out: Folder of the new data set; new or empty.
        format: One of `FORMATS`.
        images: Of "coco": folder of the images; None for that of the annotation file.
        skip: Whether an image whose annotation cannot be used is left out, rather than stopping everything.
        progress: Called with (images done, images in all).

    Returns:
        What was written and what was left out.

    Raises:
        UsageError: An unknown format, or a folder that holds something.
        InputError: A file of the set cannot be used; the message names file and row.
    """
    if format not in FORMATS:
        raise UsageError(f"format is {format!r}, expected one of {', '.join(FORMATS)}")
    if out.exists() and any(out.iterdir()):
        raise UsageError(f"{out} is not empty; give a new folder")
    found = _index(source, format, images)
    rows: list[tuple[AnnotatedImage, int]] = []
    skipped: list[str] = []
    objects = overlapping = 0
    for done, one in enumerate(found, start=1):
        try:
            count, shared = _write(one, out / one.split)
            rows.append((one, count))
            objects, overlapping = objects + count, overlapping + shared
        except InputError as error:
            if not skip:
                raise
            skipped.append(str(error))
        progress(done, len(found))
    if not rows:
        raise InputError(
            f"{source}: none of {len(found)} images can be used; {skipped[0] if skipped else 'it is empty'}"
        )
    _describe(source, out, rows, FORMATS[format])
    return Imported(len(rows), objects, overlapping, tuple(skipped))


def _index(source: Path, format: str, images: Path | None) -> list[AnnotatedImage]:
    if format == "sartorius":
        return sartorius.index(source)
    if format == "dsb2018":
        return dsb2018.index(source, read_mask=_shape_or_mask)
    if format == "glas":
        return glas.index(source, read_mask=read_labels)
    return coco.index(source, images or source.parent)


def _shape_or_mask(path: Path) -> np.ndarray:
    if path.parent.name == "images":
        return np.zeros(read_image(path).pixels.shape[-2:], np.uint8)
    return read_labels(path)


def _write(one: AnnotatedImage, folder: Path) -> tuple[int, int]:
    """Copy the image and write its label image; the number of objects and of pixels that several claim."""
    shape = tuple(read_image(one.image).pixels.shape[-2:])
    if one.shape is not None and one.shape != shape:
        raise InputError(
            f"{one.image}: {shape[0]} × {shape[1]} pixels, the annotation says {one.shape[0]} × {one.shape[1]}"
        )
    masks = []
    for where, mask in one.masks():
        if mask.shape != shape:
            raise InputError(f"{where}: a mask of {mask.shape} for an image of {shape}")
        masks.append(mask)
    labels, shared = label_image(masks, (shape[0], shape[1]))
    for part in ("images", "masks"):
        make_folder(folder / part)
    shutil.copyfile(one.image, folder / "images" / f"{one.name}{one.image.suffix}")
    write_labels(folder / "masks" / f"{one.name}.tif", labels)
    return int(np.unique(labels[labels > 0]).size), shared


def _describe(source: Path, out: Path, rows: list[tuple[AnnotatedImage, int]], known: Description) -> None:
    """The table, and last the file that makes the folder a data set."""
    columns = sorted({name for one, _ in rows for name in one.attributes})
    write_csv(
        out / TABLE,
        {
            "split": [one.split for one, _ in rows],
            "name": [one.name for one, _ in rows],
            "objects": [count for _, count in rows],
            **{column: [one.attributes.get(column, "") for one, _ in rows] for column in columns},
        },
    )
    description = msgspec.structs.replace(known, name=source.stem, attributes=TABLE, source=str(source))
    write_text(out / FILE_NAME, description_to_toml(description))
