"""An image's difficulty for the eye: difficult pixels white on the image, and a heat map of every measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..checks import check_ndim, check_same_shape
from ._inferno import INFERNO
from .overlay import block_step, block_sums, difficulty_picture, image_picture
from .pictures import Figure, end_of_scale, inline_picture

_DIMMED = 0.5
_TOPS = (0.05, 0.1, 0.2, 0.5, 1.0)
_SHOWN_PERCENTILE = 99.5
_WORDS = (
    ("confidence", "Chance of error (1 = a guess)"),
    ("entropy", "Entropy"),
    ("margin", "1 − margin between the two best classes"),
    ("tta", "Disagreement of flips and turns"),
    ("ensemble", "Disagreement of networks"),
)
_GAP_PX, _SMALLEST_TEXT_PX, _LEADING = 8, 11, 1.3
_PAPER, _INK = (255, 255, 255), (30, 30, 30)


_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Captioned:
    """An image with what it shows.

    Attributes:
        caption: In words.
        rgb: (H, W, 3) uint8.
        top: Value from which on a heat map has its palest color, black being 0; None for other images.
    """

    caption: str
    rgb: np.ndarray
    top: float | None = None


def white_on_image(
    image: np.ndarray, difficult: np.ndarray, *, max_px: int | None = None, shown: np.ndarray | None = None
) -> np.ndarray:
    """Difficult pixels white over the image, which is dimmed by half so that nothing else is white.

    Args:
        image: (C, H, W) as read, any dtype.
        difficult: (H, W) bool.
        max_px: Shrink to at most this height and width; a pixel is then as white as the fraction of difficult ones
            in it.
        shown: As in `overlay`.

    Returns:
        (H, W, 3) uint8.

    Raises:
        InputError: When the shapes do not fit.
    """
    check_ndim(3, image=image)
    check_same_shape(image=image[0], difficult=difficult)
    step = block_step(difficult, max_px)
    if shown is None:
        shown = image_picture(image, max_px=max_px)
    # A table of all counts and grays, for a difficult pixel of a block is one of few.
    share = (np.arange(step**2 + 1, dtype=np.float32) / np.float32(step**2))[:, None]
    dimmed = np.arange(256) * _DIMMED
    table = (dimmed + share * (255 - dimmed)).astype(np.uint8).ravel()
    start = block_sums(difficult[None], step)[0].astype(np.int32) * 256
    if image.shape[0] == 1:
        return np.repeat(table[start + shown[..., 0]][..., None], 3, axis=2)
    return np.asarray(table[start[..., None] + shown])


def scale_top(values: np.ndarray) -> float:
    """Where a heat map's scale should end: the first of 0.05, 0.1, 0.2, 0.5 and 1 that hides next to nothing.

    Disagreement of good networks stays far below 1, and on a scale up to 1 would be black all over.

    Args:
        values: Any shape, in [0, 1].

    Returns:
        The smallest of these that the 99.5th percentile does not pass; 0.05 without values.
    """
    if not values.size:
        return _TOPS[0]
    high = float(np.percentile(values, _SHOWN_PERCENTILE))
    return next((top for top in _TOPS if high <= top), _TOPS[-1])


def difficulty_row(
    image: np.ndarray,
    *,
    prediction: np.ndarray,
    difficult: np.ndarray,
    measures: Sequence[tuple[str, np.ndarray]],
    reference: np.ndarray | None = None,
    max_px: int | None = None,
) -> tuple[Captioned, ...]:
    """One image in all its aspects: itself, reference, prediction, difficult pixels, and each measure of difficulty.

    Args:
        image: (C, H, W) as read, any dtype.
        prediction: (h, w, 3) uint8, drawn with the same ``max_px``, by `overlay` or `class_overlay`.
        difficult: (H, W) bool.
        measures: Name and (H, W) map in [0, 1] of each measure, 1 hardest.
        reference: Drawn like the prediction; None where there is none.
        max_px: As in `white_on_image`.

    Returns:
        The images from left to right, all of one size.

    Raises:
        InputError: When the shapes do not fit.
    """
    plain = image_picture(image, max_px=max_px)
    row = [Captioned("Image", plain)]
    if reference is not None:
        row.append(Captioned("Reference", reference))
    row.append(Captioned("Prediction", prediction))
    share = float(difficult.mean()) if difficult.size else 0.0
    words = f"Difficult pixels, white: less sure than the image's mean; {100 * share:.1f} %"
    row.append(Captioned(words, white_on_image(image, difficult, max_px=max_px)))
    for name, values in measures:
        top = scale_top(values)
        heat = difficulty_picture(image, np.minimum(values / top, 1), max_px=max_px)
        row.append(Captioned(dict(_WORDS).get(name, name), heat, top))
    check_same_shape(**{picture.caption: picture.rgb for picture in row})
    return tuple(row)


def inline_figures(row: Sequence[Captioned], *, max_px: int = 400) -> tuple[Figure, ...]:
    """The same images for a page."""
    return tuple(Figure(one.caption, inline_picture(one.rgb, max_px=max_px), one.top) for one in row)


def side_by_side(row: Sequence[Captioned], *, columns: int | None = None) -> np.ndarray:
    """One image of them all, captions and the heat maps' scales below each, for a file of its own.

    Args:
        row: At least one image, all of one height and width, best at least 200 pixels wide.
        columns: Images beside each other before the next row begins; None for all in one row.

    Returns:
        (height, width, 3) uint8.

    Raises:
        InputError: When the sizes differ.
    """
    check_same_shape(**{picture.caption: picture.rgb for picture in row})
    height, width, _ = row[0].rgb.shape
    font = ImageFont.load_default(max(_SMALLEST_TEXT_PX, width // 18))
    captions = [_broken(one.caption, font, width=width) for one in row]
    line_px = round(_LEADING * font.getbbox("Åg")[3])
    below_px = line_px * (1 + max(len(lines) for lines in captions)) + 3 * _GAP_PX
    columns = min(columns or len(row), len(row))
    across, down = width + _GAP_PX, height + below_px
    sheet = Image.new("RGB", (across * columns - _GAP_PX, down * -(-len(row) // columns)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for place, (one, lines) in enumerate(zip(row, captions, strict=True)):
        left, upper = place % columns * across, place // columns * down
        sheet.paste(Image.fromarray(one.rgb), (left, upper))
        upper += height + _GAP_PX // 2
        for number, line in enumerate(lines):
            draw.text((left, upper + number * line_px), line, _INK, font)
        if one.top is not None:
            _draw_scale(sheet, one.top, font=font, box=(left, upper + len(lines) * line_px, width, line_px))
    return np.asarray(sheet)


def _broken(text: str, font: _Font, *, width: int) -> list[str]:
    """Lines of whole words, at most ``width`` long where a word is not longer itself."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _draw_scale(sheet: Image.Image, top: float, *, font: _Font, box: tuple[int, int, int, int]) -> None:
    """A strip of all colors between 0 and the largest value; changes the sheet."""
    left, upper, width, height = box
    draw = ImageDraw.Draw(sheet)
    start, length = int(font.getlength("0 ")), max(width // 2, 1)
    colors = INFERNO[np.linspace(0, 255, length).astype(int)]
    strip = np.broadcast_to(colors, (max(height // 2, 1), length, 3))
    sheet.paste(Image.fromarray(np.ascontiguousarray(strip)), (left + start, upper + height // 3))
    draw.text((left, upper), "0", _INK, font)
    draw.text((left + start + length, upper), f" {end_of_scale(top)}", _INK, font)
