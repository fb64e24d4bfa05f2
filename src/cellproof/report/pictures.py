"""Images that live inside a page, or in files beside it."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from .overlay import thumbnail

_JPEG_QUALITY = 88
_INLINE = "data:image/jpeg;base64,"


@dataclass(frozen=True)
class Picture:
    """An image of a page.

    Attributes:
        source: ``data:image/jpeg;base64,…``, or the path of a file relative to the page.
        height: In pixels.
        width: In pixels.
    """

    source: str
    height: int
    width: int

    @property
    def is_inline(self) -> bool:
        """Whether the page holds it, so that it shows wherever the page is taken."""
        return self.source.startswith(_INLINE)


@dataclass(frozen=True)
class Figure:
    """An image in a page, with what it shows.

    Attributes:
        caption: In words.
        image: What is shown.
        top: Value from which on a heat map has its palest color, black being 0; None for other images.
    """

    caption: str
    picture: Picture
    top: float | None = None


def end_of_scale(top: float) -> str:
    """What stands at the palest end of a heat map's scale, for values that nowhere exceed 1."""
    return "1" if top == 1 else f"{top:g} or more"


def inline_picture(rgb: np.ndarray, *, max_px: int = 400) -> Picture:
    """Shrink (H, W, 3) uint8 to ``max_px`` and encode it for a page, some 20 to 50 kB."""
    small = thumbnail(rgb, max_px=max_px)
    return Picture(_data_uri(_jpeg(small)), height=small.shape[0], width=small.shape[1])


def write_picture(path: Path, rgb: np.ndarray, *, source: str, max_px: int = 400) -> Picture:
    """Shrink (H, W, 3) uint8 to ``max_px`` and write it as JPEG.

    Args:
        path: Of the file.
        rgb: What to show.
        source: The path as the page writes it, relative to itself.
        max_px: Largest height and width.
    """
    small = thumbnail(rgb, max_px=max_px)
    path.write_bytes(_jpeg(small))
    return Picture(source, height=small.shape[0], width=small.shape[1])


def moved_inside(picture: Picture, folder: Path) -> Picture:
    """The same image inside the page; as it is where the page holds it already or its file is gone.

    Args:
        picture: A JPEG file's.
        folder: Of the page.
    """
    if picture.is_inline:
        return picture
    try:
        return replace(picture, source=_data_uri((folder / picture.source).read_bytes()))
    except OSError:
        return picture


def _jpeg(rgb: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    # Full color resolution: a colored outline is one pixel wide.
    Image.fromarray(rgb).save(buffer, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()


def _data_uri(jpeg: bytes) -> str:
    return _INLINE + base64.b64encode(jpeg).decode("ascii")
