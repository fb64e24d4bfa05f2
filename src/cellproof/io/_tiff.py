"""TIFF, ImageJ and OME-TIFF to a stored array."""

from __future__ import annotations

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
from ._stored import Stored, drop_unit_axes
from ._tiff_metadata import channel_names, pixel_size_um

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _MASK, _YCBCR = 0, 1, 2, 3, 4, 6
_JPEG_COMPRESSIONS = (6, 7, 33007, 34892)
_ALPHA = (1, 2)

# tifffile only logs when the chain of pages or the description breaks off, and goes on with what it found so far.
_BROKEN_OFF = re.compile(
    "invalid page offset|corrupted tag list|invalid offset to page|circular reference"
    "|TiffTag 270 .*invalid value offset"
)


def read_tiff(path: Path, *, as_stored: bool) -> Stored:
    """The first image of a TIFF file.

    Args:
        path: The file.
        as_stored: Keep the stored numbers (label images) where a picture would be shown through
            a color table or inverted.

    Raises:
        InputError: for everything that cannot be read whole.
    """
    # _multifile: other files that an OME-TIFF names would be opened too, and missing ones filled with zeros.
    with decoding(path, "TIFF"), _listen() as messages, tifffile.TiffFile(path, _multifile=False) as tif:
        series = _first_series(path, tif)
        _check_complete(path, series)
        pixels = series.asarray()
        if pixels.shape != tuple(series.shape):
            raise refusal(
                path, f"the file declares {tuple(series.shape)} values and holds {pixels.shape}; export it again"
            )
        array, axes = drop_unit_axes(pixels, series.axes.upper())
        stored = Stored(
            array, axes, pixel_size_um=pixel_size_um(tif), channel_names=channel_names(tif), notes=_notes(tif)
        )
        stored = _as_shown(path, stored, page=series.keyframe, as_stored=as_stored)
    for message in messages:
        if _BROKEN_OFF.search(message):
            raise refusal(path, "the file breaks off after its first image or metadata; export or copy it again")
        stored = stored.with_note(f"the TIFF metadata are faulty ({message[:200]})")
    return stored


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


def _first_series(path: Path, tif: Any) -> Any:
    if not tif.series:
        raise refusal(path, "the TIFF file holds no image; export it again")
    series = tif.series[0]
    if "X" not in series.axes.upper() or "Y" not in series.axes.upper():
        raise refusal(path, f"the TIFF file has axes {series.axes} without rows and columns; export it again")
    return series


def _notes(tif: Any) -> tuple[str, ...]:
    notes = []
    if len(tif.series) > 1:
        shape = tif.series[0].shape
        notes.append(f"the file holds {len(tif.series)} images of different kind; the first, {shape}, was read")
    if tif.is_ome and tif.series[0].kind != "ome":
        notes.append("the OME metadata are faulty or name other files; only the pages of this file were read")
    return tuple(notes)


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
    file_bytes = path.stat().st_size
    if series.dataoffset is not None:
        _check_end(path, end=series.dataoffset + series.nbytes, file_bytes=file_bytes)
        return
    if len(series.pages) != math.prod(series.shape) // math.prod(page.shape) or any(p is None for p in series.pages):
        raise refusal(path, f"images are missing of shape {tuple(series.shape)}; export it again as one complete file")
    for stored_page in series.pages:
        segments = list(zip(stored_page.dataoffsets, stored_page.databytecounts, strict=False))
        if len(segments) < math.prod(page.chunked) or not all(offset and count for offset, count in segments):
            raise refusal(path, "parts of the image were never stored; the file is incomplete, export or copy it again")
        _check_end(path, end=max(offset + count for offset, count in segments), file_bytes=file_bytes)


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
        raise refusal(path, f"colors are stored as {name}, wanted gray, channels or RGB; save it as RGB")
    stored = _without_alpha(stored, page)
    samples = stored.array.shape[stored.axes.index("S")] if "S" in stored.axes else 1
    stored = replace(stored, color=photometric in (_RGB, _YCBCR) and samples == 3)
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


def _without_alpha(stored: Stored, page: Any) -> Stored:
    if "S" not in stored.axes or not page.extrasamples or int(page.extrasamples[-1]) not in _ALPHA:
        return stored
    axis = stored.axes.index("S")
    if stored.array.shape[axis] < 2:
        return stored
    colors = stored.array.take(range(stored.array.shape[axis] - 1), axis=axis)
    return replace(stored, array=colors).with_note("transparency (alpha) was left out")


def _through_color_table(stored: Stored, page: Any) -> Stored:
    """Look colors up, unless the table only tints intensities as ImageJ's look-up tables do."""
    table = np.asarray(page.colormap)
    if page.is_imagej or page.is_ome or (np.diff(table.astype(np.int64), axis=1) >= 0).all():
        return stored.with_note("the color table is taken for a display setting; stored intensities are used")
    array = np.moveaxis((table >> 8).astype(np.uint8)[:, stored.array], 0, -1)
    return replace(stored, array=array, axes=stored.axes + "S", color=True).with_note(
        "the color table was turned into RGB"
    )
