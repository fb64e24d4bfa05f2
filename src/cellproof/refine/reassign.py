"""Difficult pixels take the class of the sure structure that they hang on: first membrane, then nucleus, then the rest.

References:
    Matsuzuki, Hotta (2020). VISIGRAPP, section 3. doi:10.5220/0009164203140318
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from scipy import ndimage

from ..checks import InputError, check_labels, check_ndim, check_same_shape
from ..types import IGNORE, Prediction
from .roles import Roles, find_roles


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How difficult pixels are reassigned.

    Attributes:
        connected: Name of the structure that must hold together; "" takes the class called membrane, wall or border.
        rest: Name of what belongs to no structure; "" finds it as `find_roles` does.
        compact: Name of the class that is second to grow; "" takes one called nucleus, if there is one.
        rounds: How often each of the first two steps is done; 0 until nothing changes.
    """

    connected: str = ""
    rest: str = ""
    compact: str = ""
    rounds: Annotated[int, Meta(ge=0)] = 0


def apply(prediction: Prediction, options: Options) -> Prediction:
    """The prediction with its difficult pixels reassigned; see `reassign`.

    Raises:
        InputError: The classes do not have these roles, or nobody computed the difficult pixels.
    """
    if prediction.difficult is None:
        raise InputError("step reassign needs the difficult pixels of a prediction; compute them first")
    roles = _roles(options, prediction.classes)
    class_map = reassign(
        prediction.class_map,
        prediction.difficult,
        connected=roles.connected,
        rest=roles.rest,
        compact=roles.compact,
        rounds=options.rounds or None,
    )
    return replace(prediction, class_map=class_map)


def say(options: Options, classes: Sequence[str]) -> str:
    """What the options mean for these classes.

    Raises:
        InputError: The classes do not have these roles.
    """
    roles = _roles(options, classes)
    second = "" if roles.compact is None else f", then {classes[roles.compact]}"
    return f"difficult pixels become {classes[roles.connected]} where they touch it{second}, else {classes[roles.rest]}"


def _roles(options: Options, classes: Sequence[str]) -> Roles:
    return find_roles(classes, connected=options.connected, rest=options.rest, compact=options.compact)


def reassign(
    class_map: np.ndarray,
    difficult: np.ndarray,
    *,
    connected: int,
    rest: int,
    compact: int | None = None,
    rounds: int | None = None,
) -> np.ndarray:
    """Give every difficult pixel a new class, in the paper's three steps.

    All difficult pixels lose the class they had, also those of the connected class: only sure
    pixels found anything. Then (1) a difficult pixel with a neighbor of the connected class
    becomes it, all such pixels at once, round after round; (2) what is still difficult joins the
    compact class in the same way; (3) what is left becomes the rest. Pixels are neighbors across
    edges and corners.

    Args:
        class_map: (H, W) uint8; 255 is not annotated: it never changes and nothing spreads through it.
        difficult: (H, W) bool.
        connected: Class of the structure that must hold together (membrane).
        rest: Class of what belongs to no structure (cytoplasm).
        compact: Class that is second to grow (nucleus). None: step 2 is left out.
        rounds: How often each of the first two steps is done. None: until nothing changes.

    Returns:
        (H, W) uint8. Without a sure pixel of the connected class, step 1 finds nothing to start from, and the other
        two act on all difficult pixels: a difficult membrane that hangs on no sure one is lost.

    Raises:
        InputError: shapes differ, ``difficult`` is not bool, ``rounds`` is below 1, or the classes are
            not different numbers in 0…254.

    References:
        Matsuzuki, Hotta (2020). VISIGRAPP, section 3. doi:10.5220/0009164203140318

    Example:
        >>> class_map = np.array([[1, 0, 0, 0, 2]], np.uint8)
        >>> difficult = np.array([[False, True, False, True, False]])
        >>> reassign(class_map, difficult, connected=1, compact=2, rest=0)
        array([[1, 1, 0, 2, 2]], dtype=uint8)
    """
    check_ndim(2, class_map=class_map, difficult=difficult)
    check_same_shape(class_map=class_map, difficult=difficult)
    check_labels(class_map=class_map)
    if difficult.dtype != bool:
        raise InputError(f"difficult has dtype {difficult.dtype}, expected bool; threshold the difficulty first")
    if rounds is not None and rounds < 1:
        raise InputError(f"rounds is {rounds}, expected at least 1, or None for until nothing changes")
    check_classes(connected=connected, rest=rest, compact=compact)
    repaired = class_map.astype(np.uint8)
    open_pixels = difficult & (class_map != IGNORE)
    repaired[open_pixels] = rest
    for number in (connected, compact):
        if number is not None:
            reached = _flood((class_map == number) & ~difficult, open_pixels, rounds)
            repaired[reached] = number
            open_pixels &= ~reached
    return repaired


def check_classes(**classes: int | None) -> None:
    """Refuse class numbers that no pixel can have, or that are given twice; None is no class.

    Raises:
        InputError: naming the numbers.
    """
    given = {name: number for name, number in classes.items() if number is not None}
    if not all(0 <= number < IGNORE for number in given.values()) or len(set(given.values())) < len(given):
        listed = ", ".join(f"{name} {number}" for name, number in given.items())
        raise InputError(f"classes are {listed}; expected different numbers in 0…{IGNORE - 1}")


def _flood(seeds: np.ndarray, ground: np.ndarray, rounds: int | None) -> np.ndarray:
    """Pixels of the ground that the seeds reach over the ground, in at most so many steps to a neighbor."""
    if rounds is not None:
        return _front(seeds, ground, rounds)
    regions, count = ndimage.label(seeds | ground, np.ones((3, 3), bool))
    is_reached = np.zeros(count + 1, bool)
    is_reached[regions[seeds]] = True
    reached: np.ndarray = is_reached[regions] & ground
    return reached


def _front(seeds: np.ndarray, ground: np.ndarray, rounds: int) -> np.ndarray:
    """Grow the seeds over the ground; each pixel is in the front once, so the work does not grow with the rounds."""
    shape = (ground.shape[0] + 2, ground.shape[1] + 2)
    first = np.pad(ground & _around(seeds), 1)
    reached = first.ravel()
    free = np.pad(ground, 1).ravel() & ~reached
    steps = np.array([row * shape[1] + column for row in (-1, 0, 1) for column in (-1, 0, 1) if row or column])
    front = np.flatnonzero(reached)
    last_claim = np.empty(free.size, np.intp)
    for _ in range(rounds - 1):
        if front.size == 0:
            break
        touched = (front[:, None] + steps).ravel()
        touched = touched[free[touched]]
        # Where several pixels of the front touch the same one, one claim on it survives.
        claims = np.arange(touched.size)
        last_claim[touched] = claims
        front = touched[last_claim[touched] == claims]
        free[front] = False
        reached[front] = True
    return reached.reshape(shape)[1:-1, 1:-1]


def _around(mask: np.ndarray) -> np.ndarray:
    """The mask and all neighbors of its pixels."""
    tall = mask.copy()
    tall[1:] |= mask[:-1]
    tall[:-1] |= mask[1:]
    wide = tall.copy()
    wide[:, 1:] |= tall[:, :-1]
    wide[:, :-1] |= tall[:, 1:]
    return wide
