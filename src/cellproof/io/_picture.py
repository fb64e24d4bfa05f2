"""PNG, JPEG, BMP and WebP to a stored array."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from PIL import BmpImagePlugin, ImageOps, JpegImagePlugin, PngImagePlugin, WebPImagePlugin
from PIL.Image import Image as Picture

from ._decoding import check_declared, decoding, read_file, refusal
from ._stored import Stored, without_alpha

_ORIENTATION_TAG = 0x0112
_UPRIGHT = 1


def read_picture(path: Path, kind: str, *, as_stored: bool) -> Stored:
    """The first image of a PNG, JPEG, BMP or WebP file.

    Args:
        path: The file.
        kind: ``"PNG"``, ``"JPEG"``, ``"BMP"`` or ``"WebP"``, as its first bytes say.
        as_stored: Keep the indices of a color table (label images) instead of its colors.

    Raises:
        InputError: for everything that cannot be read whole.
    """
    data = read_file(path)
    with decoding(path, kind):
        if kind == "WebP":
            # Its decoder allocates when it opens.
            check_declared(path, shape=(*_webp_size(data), 3), itemsize=1, samples=3)
        if kind in ("PNG", "BMP"):
            # Pillow only says of an image without pixels that it is none.
            check_declared(path, shape=_plain_size(data, kind), itemsize=0)
        if kind == "PNG":
            # Opening does not look at the checksums of the pixel data; a second, closed, image does.
            PngImagePlugin.PngImageFile(io.BytesIO(data)).verify()
        with _opener(kind)(io.BytesIO(data)) as picture:
            width, height = picture.size
            samples = len(picture.getbands())
            check_declared(path, shape=(height, width, samples), itemsize=1, samples=samples)
            if kind == "PNG" and data[24] == 16:
                # Pillow cuts 16-bit color to 8 bits.
                return _named(imagecodecs.png_decode(data), (), as_stored=as_stored)
            return _stored(path, picture, as_stored=as_stored)


def _opener(kind: str) -> Callable[[io.BytesIO], Any]:
    # The classes, not PIL.Image.open, whose limit on pixels is one global of the whole process.
    match kind:
        case "PNG":
            return PngImagePlugin.PngImageFile
        case "JPEG":
            return JpegImagePlugin.JpegImageFile
        case "BMP":
            return BmpImagePlugin.BmpImageFile
        case _:
            return WebPImagePlugin.WebPImageFile


def _stored(path: Path, picture: Picture, *, as_stored: bool) -> Stored:
    notes = []
    if getattr(picture, "n_frames", 1) > 1:
        notes.append(f"an animation of {getattr(picture, 'n_frames', 1)} images; the first was read")
    picture.load()
    if picture.getexif().get(_ORIENTATION_TAG, _UPRIGHT) != _UPRIGHT:
        picture = ImageOps.exif_transpose(picture)
        notes.append("the image was turned upright as its EXIF orientation says")
    if picture.mode in ("P", "PA") and as_stored:
        indices = np.asarray(picture)[..., 0] if picture.mode == "PA" else np.asarray(picture)
        if not _is_scrambled(indices, picture.convert("RGB")):
            return _named(indices, notes, as_stored=True)
    if picture.mode in ("P", "PA"):
        notes.append("the color table was turned into RGB")
        picture = picture.convert("RGB")
    elif picture.mode in ("CMYK", "YCbCr", "LAB", "HSV", "RGBX"):
        notes.append(f"{picture.mode} colors were turned into RGB")
        picture = picture.convert("RGB")
    if picture.mode not in ("1", "L", "LA", "RGB", "RGBA", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"):
        raise refusal(path, f"colors of mode {picture.mode} are not read; save it as RGB or gray")
    return _named(np.array(picture), notes, as_stored=as_stored)


def _is_scrambled(indices: np.ndarray, colors: Picture) -> bool:
    """Whether a mask's indices are no ids: black is used, and its index is not 0, as after a reduction of colors."""
    black = (np.asarray(colors) == 0).all(axis=-1)
    return bool(black.any() and (indices[black] != 0).any())


def _named(array: np.ndarray, notes: list[str] | tuple[str, ...], *, as_stored: bool) -> Stored:
    """Name the axes of a decoded image and leave its alpha out."""
    if array.ndim == 2:
        return Stored(array, "YX", notes=tuple(notes))
    samples = array.shape[2]
    stored = Stored(array, "YXS", color=samples >= 3, notes=tuple(notes))
    if samples in (2, 4):
        return without_alpha(stored, as_stored=as_stored)
    return stored


def _plain_size(data: bytes, kind: str) -> tuple[int, int]:
    """Rows and columns from a PNG's or BMP's header."""
    if kind == "PNG":
        return int.from_bytes(data[20:24]), int.from_bytes(data[16:20])
    if data[14:18] == b"\x0c\0\0\0":  # of OS/2
        return int.from_bytes(data[20:22], "little"), int.from_bytes(data[18:20], "little")
    # Negative heights mean that rows are stored from the top.
    return abs(int.from_bytes(data[22:26], "little", signed=True)), int.from_bytes(data[18:22], "little")


def _webp_size(data: bytes) -> tuple[int, int]:
    """Rows and columns from the header, RFC 9649 sections 2.5 to 2.7; (0, 0) where it is none."""
    match data[12:16]:
        case b"VP8X":
            return int.from_bytes(data[27:30], "little") + 1, int.from_bytes(data[24:27], "little") + 1
        case b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
        case b"VP8 ":
            return int.from_bytes(data[28:30], "little") & 0x3FFF, int.from_bytes(data[26:28], "little") & 0x3FFF
        case _:
            return 0, 0
