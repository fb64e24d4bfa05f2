"""The colors of outlines and classes, the same in images and in the legends beside them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..checks import InputError
from ..types import IGNORE

LIGHT = np.array(
    [[255, 225, 40], [40, 170, 255], [50, 230, 110], [255, 90, 200], [150, 100, 255], [0, 225, 225]], np.uint8
)
"""Six colors for outlines on dark images: none is white or pastel, which would vanish on bright nuclei."""

STRONG = np.array([[0, 215, 235], [0, 190, 70], [255, 225, 0], [0, 140, 255], [255, 165, 0], [165, 240, 0]], np.uint8)
"""Six colors for outlines on bright images; no pink or violet, which would vanish on stained sections."""

WARNING = np.array([255, 60, 10], np.uint8)
"""Orange-red of doubtful objects; in neither palette."""

NOT_ANNOTATED = np.array([128, 128, 128], np.uint8)
"""Gray of pixels that nobody annotated."""

_FIRST_CLASS = "#000000"


def class_colors(classes: int, given: Sequence[str] = ()) -> tuple[str, ...]:
    """Color of each class in overlays and legends.

    Args:
        classes: How many there are, at least 0.
        given: ``#rrggbb`` of the first ones, as a description or a model says.

    Returns:
        ``#rrggbb`` of each; classes beyond ``given`` take colors of our own, and class 0, which overlays leave clear,
        is black.

    Raises:
        InputError: A color is not of the form ``#rrggbb``.

    Example:
        >>> class_colors(3, ["#000000", "#ff0000"])
        ('#000000', '#ff0000', '#28aaff')
    """
    own = [_FIRST_CLASS, *("#" + LIGHT[number % len(LIGHT)].tobytes().hex() for number in range(classes - 1))]
    colors = [*given[:classes], *own[len(given) : classes]]
    for number, color in enumerate(colors):
        _rgb(color, number)
    return tuple(colors)


def class_table(given: Sequence[str] = ()) -> np.ndarray:
    """(256, 3) uint8 color of every class id, `IGNORE` gray.

    Raises:
        InputError: As of `class_colors`.
    """
    table = np.array([_rgb(color, number) for number, color in enumerate(class_colors(256, given))], np.uint8)
    table[IGNORE] = NOT_ANNOTATED
    return table


def _rgb(color: str, number: int) -> tuple[int, ...]:
    try:
        red, green, blue = bytes.fromhex(color.removeprefix("#"))
    except ValueError:
        raise InputError(f"color {color!r} of class {number} is not of the form #rrggbb") from None
    return red, green, blue
