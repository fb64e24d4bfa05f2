"""TIFF, ImageJ and OME-TIFF to a stored array."""

from __future__ import annotations

import html
import logging
import math
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from ._decoding import check_declared, decoding, refusal
from ._ome import OmeImage
from ._stored import Stored, drop_unit_axes, without_alpha
from ._tiff_metadata import channel_names, spacing
from ._tiff_series import Position, choose, contents, is_renamed, is_spread, ome_images

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _MASK, _YCBCR = 0, 1, 2, 3, 4, 6
_JPEG_COMPRESSIONS = (6, 7, 33007, 34892)
_ALPHA = (1, 2)
_CONTIGUOUS = 1

# tifffile only logs when the chain of pages or the description breaks off, and goes on with what it found so far.
_BROKEN_OFF = re.compile(
    "invalid page offset|corrupted tag list|invalid offset to page|circular reference"
    "|TiffTag 270 .*invalid value offset"
)


def read_tiff(path: Path, *, as_stored: bool, position: int | None = None) -> Stored:
    """One image of a TIFF file.

    Args:
        path: The file.
        as_stored: Keep the stored numbers (label images) where an image would be shown through
            a color table or inverted.
        position: Which of its images, by its number in `tiff_positions`; None for the first.

    Raises:
        InputError: for everything that cannot be read whole.
    """
    with decoding(path, "TIFF"), _listen() as messages, _open(path) as (tif, images):
        found = contents(path, tif, images)
        chosen = choose(path, found, position)
        series = chosen.series
        if "X" not in series.axes.upper() or "Y" not in series.axes.upper():
            raise refusal(path, f"the TIFF file has axes {series.axes} without rows and columns; export it again")
        _check_complete(path, series)
        pixels = series.asarray()
        if pixels.shape != tuple(series.shape):
            raise refusal(
                path, f"the file declares {tuple(series.shape)} values and holds {pixels.shape}; export it again"
            )
        axes = series.axes.upper()
        if chosen.ome is not None and series.kind != "ome":
            pixels, axes = _as_described(path, pixels, axes, chosen.ome)
        array, axes = drop_unit_axes(pixels, axes)
        sizes, doubts = spacing(tif, chosen.ome)
        names = channel_names(tif, chosen.ome, array.shape[axes.index("C")] if "C" in axes else 1)
        notes = [*found.notes, *doubts]
        if position is None and len(found.images) > 1:
            notes.append(f"the file holds {len(found.images)} images; {_named(chosen.position)} was read")
        stored = Stored(array, axes, spacing=sizes, channel_names=names, content=_content(tif), notes=tuple(notes))
        stored = _as_shown(path, stored, page=series.keyframe, as_stored=as_stored)
    for message in messages:
        if _BROKEN_OFF.search(message):
            raise refusal(path, "the file breaks off after its first image or metadata; export or copy it again")
        if not _EXPECTED.search(message):
            stored = stored.with_note(f"the TIFF metadata are faulty ({message[:200]})")
    return stored


def tiff_positions(path: Path) -> tuple[Position, ...]:
    """The images of a TIFF file that stand for themselves: positions, wells, scenes; at least one.

    Raises:
        InputError: for everything that cannot be opened.
    """
    with decoding(path, "TIFF"), _listen(), _open(path) as (tif, images):
        return tuple(image.position for image in contents(path, tif, images).images)


@contextmanager
def _open(path: Path) -> Iterator[tuple[Any, tuple[OmeImage, ...]]]:
    """The file and what its OME-XML describes; other files are opened only where planes of it lie there."""
    # A .ndpi file has offsets of 64 bits; where that leads nowhere, it is a plain TIFF under that name.
    named = {"is_ndpi": False} if path.suffix.lower() == ".ndpi" and not _has_pages(path) else {}
    with tifffile.TiffFile(path, _multifile=False, **named) as tif:
        images = ome_images(path, tif.ome_metadata) if tif.is_ome else ()
        if not is_spread(images) or is_renamed(path, images):
            yield tif, images
            return
    if any(Path(name).name != name for image in images for name in image.files):
        raise refusal(path, "its OME-XML names files in other folders; export it again as one file")
    # tifffile would fill what is missing with zeros; `choose` refuses it.
    with tifffile.TiffFile(path, _multifile=True) as tif:
        yield tif, images


def _has_pages(path: Path) -> bool:
    with tifffile.TiffFile(path) as tif:
        return len(tif.pages) > 0


def _as_described(path: Path, pixels: np.ndarray, axes: str, ome: OmeImage) -> tuple[np.ndarray, str]:
    """Pages with the axes that OME-XML gives them.

    Raises:
        InputError: There are fewer or more than it says.
    """
    letters, lengths = ome.axes
    behind = axes[axes.index("Y") :]
    plane = pixels.shape[axes.index("Y") :]
    if pixels.size != math.prod(lengths) * math.prod(plane):
        raise refusal(
            path,
            f"its OME-XML describes {math.prod(lengths)} planes in {', '.join(ome.files)}; put that file beside it",
        )
    return pixels.reshape(*lengths, *plane), letters + behind


def _named(position: Position) -> str:
    return f"number {position.number}" + (f" ({position.name})" if position.name else "")


@contextmanager
def _listen() -> Iterator[list[str]]:
    """Collect what tifffile logs in this thread, instead of letting it reach the screen."""
    messages: list[str] = []
    thread = threading.get_ident()

    def keep(record: logging.LogRecord) -> bool:
        if record.thread != thread:
            return True
        if record.levelno >= logging.WARNING and record.getMessage() not in messages:
            messages.append(record.getMessage())
        return False

    logger = logging.getLogger("tifffile")
    logger.addFilter(keep)
    try:
        yield messages
    finally:
        logger.removeFilter(keep)


def _check_complete(path: Path, series: Any) -> None:
    """Refuse declared sizes beyond reason, and pixels that lie beyond the end of the file.

    Raises:
        InputError: tifffile itself would fill what is missing with zeros, or allocate first.
    """
    page = series.keyframe
    samples = series.shape[series.axes.index("S")] if "S" in series.axes else 1
    check_declared(path, shape=tuple(series.shape), itemsize=series.dtype.itemsize, samples=samples)
    if page.is_tiled:
        check_declared(path, shape=tuple(page.chunks), itemsize=series.dtype.itemsize, samples=samples)
    if series.dataoffset is not None:
        _check_end(path, end=series.dataoffset + series.nbytes, file_bytes=path.stat().st_size)
        return
    if len(series.pages) != math.prod(series.shape) // math.prod(page.shape) or any(p is None for p in series.pages):
        raise refusal(path, f"images are missing of shape {tuple(series.shape)}; export it again as one complete file")
    for stored_page in series.pages:
        segments = list(zip(stored_page.dataoffsets, stored_page.databytecounts, strict=False))
        if len(segments) < math.prod(page.chunked) or not all(offset and count for offset, count in segments):
            raise refusal(path, "parts of the image were never stored; the file is incomplete, export or copy it again")
        end = max(offset + count for offset, count in segments)
        _check_end(path, end=end, file_bytes=stored_page.parent.filehandle.size)


# What tifffile says of files that are missing is said, or refused, for each position.
_EXPECTED = re.compile("OME series failed to read|OME series is missing")


def _check_end(path: Path, *, end: int, file_bytes: int) -> None:
    if end > file_bytes:
        raise refusal(
            path, f"the file ends after {file_bytes} of at least {end} bytes; it is incomplete, export or copy it again"
        )


def _as_shown(path: Path, stored: Stored, *, page: Any, as_stored: bool) -> Stored:
    """Drop alpha, resolve color tables, and invert where zero means white."""
    photometric = int(page.photometric)
    known = photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _MASK) or (
        photometric == _YCBCR and int(page.compression) in _JPEG_COMPRESSIONS
    )
    if not known:
        name = getattr(page.photometric, "name", photometric)
        raise refusal(path, f"colors are stored as {name}, expected gray, channels or RGB; save it as RGB")
    if _has_alpha(stored, page):
        stored = without_alpha(stored, as_stored=as_stored)
    samples = stored.array.shape[stored.axes.index("S")] if "S" in stored.axes else 1
    # Samples that lie beside each other in a pixel are a color; channels of a microscope are stored one by one.
    is_interleaved = int(page.planarconfig) == _CONTIGUOUS
    stored = replace(stored, color=samples == 3 and (photometric in (_RGB, _YCBCR) or is_interleaved))
    if as_stored:
        return stored
    if photometric == _PALETTE and page.colormap is not None:
        return _through_color_table(stored, page)
    # Bilevel files say white-is-zero as a habit and store masks with 1 for True all the same.
    if photometric == _WHITE_IS_ZERO and stored.array.dtype.kind == "u":
        largest = np.array(2 ** int(page.bitspersample) - 1, stored.array.dtype)
        return replace(stored, array=largest ^ stored.array).with_note(
            "the file stores white as 0; it was inverted, as viewers show it"
        )
    return stored


def _has_alpha(stored: Stored, page: Any) -> bool:
    return (
        "S" in stored.axes
        and stored.array.shape[stored.axes.index("S")] > 1
        and bool(page.extrasamples)
        and int(page.extrasamples[-1]) in _ALPHA
    )


def _content(tif: Any) -> str:
    """What a label file of this package says that its numbers are."""
    if not tif.is_ome:
        return ""
    found = re.search(r'"content":\s*"([^"]+)"', html.unescape(tif.ome_metadata))
    return found[1] if found else ""


def _through_color_table(stored: Stored, page: Any) -> Stored:
    """Look colors up, unless the table only tints intensities as ImageJ's look-up tables do."""
    table = np.asarray(page.colormap)
    if page.is_imagej or page.is_ome or (np.diff(table.astype(np.int64), axis=1) >= 0).all():
        return stored.with_note("the color table is taken for a display setting; stored intensities are used")
    array = np.moveaxis((table >> 8).astype(np.uint8)[:, stored.array], 0, -1)
    return replace(stored, array=array, axes=stored.axes + "S", color=True).with_note(
        "the color table was turned into RGB"
    )
