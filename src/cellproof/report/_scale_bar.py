"""A bar that says how long so many micrometers are."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_SMALLEST_PX = 120
_MOST_OF_WIDTH = 0.25
_SMALLEST_TEXT_PX = 11
_TEXT_OF_HEIGHT = 1 / 32


def bar_length_um(width_px: int, pixel_size_um: float) -> float:
    """The longest of 1, 2, 5 × 10ⁿ µm that fits into a quarter of the width.

    Example:
        >>> bar_length_um(1000, 0.5)
        100.0
    """
    most = _MOST_OF_WIDTH * width_px * pixel_size_um
    power = 10.0 ** math.floor(math.log10(most))
    return float(f"{max(factor * power for factor in (1, 2, 5) if factor * power <= most * (1 + 1e-9)):.1g}")


def with_scale_bar(rgb: np.ndarray, pixel_size_um: float | None) -> np.ndarray:
    """Draw a white bar with its length on dark ground into the lower right corner.

    Args:
        rgb: (H, W, 3) uint8.
        pixel_size_um: Of this image; None for an unknown one.

    Returns:
        A copy; the image itself where the size is unknown or there is no room for the letters.
    """
    height, width, _ = rgb.shape
    if not pixel_size_um or not math.isfinite(pixel_size_um) or min(height, width) < _SMALLEST_PX:
        return rgb
    length_um = bar_length_um(width, pixel_size_um)
    length_px = max(1, round(length_um / pixel_size_um))
    font = _font(max(_SMALLEST_TEXT_PX, round(height * _TEXT_OF_HEIGHT)))
    words = f"{length_um:g} µm" if length_um < 1000 else f"{length_um / 1000:g} mm"
    sheet = Image.fromarray(rgb)
    draw = ImageDraw.Draw(sheet)
    _, _, text_px, line_px = (round(edge) for edge in draw.textbbox((0, 0), words, font=font))
    gap = max(3, line_px // 3)
    thick = max(2, line_px // 4)
    box_px = max(length_px, text_px)
    left, top = width - box_px - 3 * gap, height - line_px - thick - 4 * gap
    draw.rectangle((left, top, width - gap - 1, height - gap - 1), fill=(0, 0, 0))
    bar_left = left + gap + (box_px - length_px) // 2
    bar_top = height - 2 * gap - thick
    draw.rectangle((bar_left, bar_top, bar_left + length_px - 1, bar_top + thick - 1), fill=(255, 255, 255))
    draw.text((left + gap + (box_px - text_px) // 2, top + gap // 2), words, (255, 255, 255), font)
    return np.asarray(sheet)


def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Matplotlib's font, found without importing it: Pillow's own has no µ."""
    package = find_spec("matplotlib")
    assert package is not None
    assert package.origin is not None
    return ImageFont.truetype(Path(package.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf", size_px)
