"""Narrow gaps in a class are filled, as a morphological closing with a disc does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from ..checks import InputError, check_labels, check_ndim
from ..types import Prediction
from ._edges import closed
from .roles import Sides, find_sides


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How gaps are filled; see `close`.

    Attributes:
        inside: Name of the class that is closed; "" takes the one that is left beside ``outside`` of two classes.
        outside: Name of the class that gaps are of; "" finds it as `find_sides` does.
        radius_px: Of the disc.
    """

    inside: str = ""
    outside: str = ""
    radius_px: Annotated[int, Meta(ge=0, le=1000)] = 2


def apply(prediction: Prediction, options: Options) -> Prediction:
    """The prediction with the gaps of a class filled; see `close`.

    Raises:
        InputError: The classes do not have these sides.
    """
    sides = _sides(options, prediction.classes)
    class_map = close(prediction.class_map, inside=sides.inside, outside=sides.outside, radius_px=options.radius_px)
    return replace(prediction, class_map=class_map)


def say(options: Options, classes: Sequence[str]) -> str:
    """What the options mean for these classes.

    Raises:
        InputError: The classes do not have these sides.
    """
    sides = _sides(options, classes)
    return (
        f"{classes[sides.outside]} into which no disc of radius {options.radius_px} px fits beside "
        f"{classes[sides.inside]} becomes {classes[sides.inside]}"
    )


def _sides(options: Options, classes: Sequence[str]) -> Sides:
    return find_sides(classes, inside=options.inside, outside=options.outside)


def close(class_map: np.ndarray, *, inside: int, outside: int, radius_px: int) -> np.ndarray:
    """Fill what is too narrow for a disc between pixels of a class.

    A pixel of ``outside`` becomes ``inside`` unless a disc that it lies in, of pixels whose centers are at most the
    radius from a pixel's, holds no pixel of ``inside``. Outside of the image there is none, so that nothing grows
    toward its rim.

    Args:
        class_map: (H, W) uint8; other classes and pixels without annotation never change.
        inside: Class that is closed.
        outside: Class that gaps are of.
        radius_px: Of the disc, at least 0; 0 fills nothing.

    Returns:
        (H, W) uint8.

    Raises:
        InputError: not one (H, W) map of whole numbers, or a negative radius.

    References:
        Serra (1982). Image analysis and mathematical morphology, chapter II.

    Example:
        >>> drawn = np.array([[1, 0, 1, 1, 0, 0], [1, 0, 1, 2, 0, 0], [1, 1, 1, 1, 0, 0]], np.uint8)
        >>> close(drawn, inside=1, outside=0, radius_px=1)
        array([[1, 0, 1, 1, 0, 0],
               [1, 1, 1, 2, 0, 0],
               [1, 1, 1, 1, 0, 0]], dtype=uint8)
    """
    check_ndim(2, class_map=class_map)
    check_labels(class_map=class_map)
    if radius_px < 0:
        raise InputError(f"radius_px is {radius_px}, expected at least 0")
    filled = class_map.astype(np.uint8)
    filled[closed(class_map == inside, radius_px) & (class_map == outside)] = inside
    return filled
