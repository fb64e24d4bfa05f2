"""Pictures that live inside a page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from .overlay import thumbnail

_JPEG_QUALITY = 88


@dataclass(frozen=True)
class Picture:
    """A small picture as text.

    Attributes:
        data_uri: ``data:image/jpeg;base64,…``.
        height: In pixels.
        width: In pixels.
    """

    data_uri: str
    height: int
    width: int


@dataclass(frozen=True)
class Figure:
    """A picture in a page, with what it shows.

    Attributes:
        caption: In words.
        picture: What is shown.
        top: Value from which on a heat map has its palest color, black being 0; None for other pictures.
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
    buffer = io.BytesIO()
    # Full color resolution: a colored outline is one pixel wide.
    Image.fromarray(small).save(buffer, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(f"data:image/jpeg;base64,{text}", height=small.shape[0], width=small.shape[1])
