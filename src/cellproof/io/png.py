"""Images and class maps of eight bits as PNG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ._decoding import refusal
from .atomic import atomic_path


def write_png(path: str | Path, pixels: np.ndarray) -> None:
    """Write (H, W) gray or (H, W, 3) colors without loss; equal content gives equal bytes.

    Args:
        path: Where to; the whole file appears at once.
        pixels: uint8.

    Raises:
        InputError: for another dtype or shape, or a file that cannot be written.
    """
    if pixels.dtype != np.uint8 or pixels.size == 0 or pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,)):
        raise refusal(
            Path(path), f"pixels of type {pixels.dtype} and shape {pixels.shape}; expected uint8, (H, W) or (H, W, 3)"
        )
    with atomic_path(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")
