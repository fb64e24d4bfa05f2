"""An array as a file stores it, and its way to planes and channels."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..checks import InputError
from ..types import Spacing
from ._decoding import refusal

_CHANNEL_AXES = "CS"
_MOST_CHANNELS = 4
"""An axis longer than this is not taken for channels without being told."""


@dataclass(frozen=True)
class Stored:
    """What one file holds.

    Attributes:
        array: The stored numbers.
        axes: One letter an axis: Y row, X column, C channel, S sample of a color, T time, Z depth,
            Q or I unknown, others as in tifffile.
        color: Whether the samples are red, green and blue.
        spacing: Distances between pixels, planes and time points, as far as the file says.
        channel_names: As the file names them; empty where it does not.
        content: What a file of this package says that its numbers are, e.g. "object ids"; empty for others.
        notes: Guesses made so far.
    """

    array: np.ndarray
    axes: str
    color: bool = False
    spacing: Spacing = field(default_factory=Spacing)
    channel_names: tuple[str, ...] = ()
    content: str = ""
    notes: tuple[str, ...] = ()

    def with_note(self, note: str) -> Stored:
        """The same with one more note."""
        return replace(self, notes=(*self.notes, note))


@dataclass(frozen=True)
class Planes:
    """Pixels in the order of the rooms: (P, C, H, W), and what the P planes were."""

    pixels: np.ndarray
    axes: str
    shape: tuple[int, ...]


def rename_axes(path: Path, stored: Stored, axes: str) -> Stored:
    """Replace the axes by the caller's.

    Raises:
        InputError: when the letters do not fit the stored shape.
    """
    letters, shape = axes.upper(), stored.array.shape
    if len(letters) != len(shape):
        raise refusal(
            path, f"axes {axes!r} for an array of shape {shape}; expected one letter an axis, {len(shape)} in all"
        )
    if not (letters.isascii() and letters.isalpha() and len(set(letters)) == len(letters) and {*"YX"} <= {*letters}):
        raise refusal(
            path, f"axes {axes!r}; expected different letters with Y and X among them, such as ZYX, CYX or YXC"
        )
    color = "S" in letters and shape[letters.index("S")] == 3
    return replace(stored, axes=letters, color=color)


def settle_axes(path: Path, stored: Stored) -> Stored:
    """Decide what the unknown axes (Q, I) are: a safe guess with a note, or a refusal.

    One unknown axis besides rows and columns is taken for planes. An array without any names is an image,
    planes of images, or an image with at most four channels last, where its lengths leave no doubt.

    Raises:
        InputError: listing what the array may be.
    """
    if set(stored.axes) <= set("QI"):
        stored = _guess_all_axes(path, stored)
    shape = stored.array.shape
    unknown = [letter for letter in stored.axes if letter in "QI"]
    if not unknown:
        return stored
    if len(unknown) > 1:
        known = "".join(letter for letter in stored.axes if letter not in "QI")
        raise _ambiguous(path, shape, [planes + known for planes in ("TC", "ZC", "TZ")])
    if len(shape) == 3 and shape[stored.axes.index("X")] <= _MOST_CHANNELS < shape[0]:
        raise _ambiguous(path, shape, ["YXC", "ZYX"])
    count = shape[stored.axes.index(unknown[0])]
    return stored.with_note(
        f"the file does not say what its axis of length {count} is; its {count} images are taken for separate planes "
        f"(if they are channels, say axes {stored.axes.replace(unknown[0], 'C')})"
    )


def _guess_all_axes(path: Path, stored: Stored) -> Stored:
    """Name the axes of an array that came without any names."""
    shape = stored.array.shape
    if len(shape) < 2:
        raise refusal(path, f"an array of shape {shape}; expected rows and columns, with planes or channels if any")
    if len(shape) == 2:
        return replace(stored, axes="YX")
    if len(shape) > 3:
        raise _ambiguous(path, shape, ["TCYX", "ZCYX", "TZYX", "ZYXC"])
    if min(shape) > _MOST_CHANNELS:
        return replace(stored, axes="QYX")
    if not shape[2] <= _MOST_CHANNELS < min(shape[:2]):
        raise _ambiguous(path, shape, ["CYX", "ZYX", "YXC"])
    color = shape[2] == 3
    meaning = "red, green, blue" if color else "channels"
    return replace(stored, axes="YXS" if color else "YXC", color=color).with_note(
        f"the file does not name the axes of its shape {shape}; the last is taken for {meaning}"
    )


def _ambiguous(path: Path, shape: tuple[int, ...], guesses: list[str]) -> InputError:
    return refusal(
        path,
        f"cannot tell the axes of shape {shape}; it may be {', '.join(guesses)}: "
        "name its axes (Y rows, X columns, C channels, Z depth, T time)",
        argument="axes",
    )


def drop_unit_axes(array: np.ndarray, axes: str) -> tuple[np.ndarray, str]:
    """Leave out axes of length 1, but for rows and columns."""
    kept = [axis for axis, letter in enumerate(axes) if letter in "YX" or array.shape[axis] != 1]
    return array.reshape([array.shape[axis] for axis in kept]), "".join(axes[axis] for axis in kept)


def without_alpha(stored: Stored, *, as_stored: bool) -> Stored:
    """Leave the last of the samples out, which is transparency; in a mask, what is transparent is background.

    Args:
        stored: With an axis S of at least two samples.
        as_stored: Whether it is a mask.
    """
    samples = np.moveaxis(stored.array, stored.axes.index("S"), -1)
    colors, alpha = samples[..., :-1], samples[..., -1]
    if not as_stored or (alpha == alpha.flat[0]).all():
        note = "transparency (alpha) was left out"
    elif (colors == colors[(0,) * (colors.ndim - 1)]).all():
        colors, note = np.repeat(alpha[..., None], colors.shape[-1], axis=-1), "the mask is in its transparency (alpha)"
    else:
        colors, note = np.where(alpha[..., None] > 0, colors, 0), "transparent pixels are taken for background"
    axis = stored.axes.index("S")
    return replace(stored, array=np.moveaxis(colors, -1, axis)).with_note(note)


def arrange(stored: Stored) -> Planes:
    """Reorder to (P, C, H, W), flattening C and S to channels and every other axis to planes.

    Plane axes keep their letters where OME-TIFF can hold them, and become one axis Q otherwise.
    """
    array, axes = drop_unit_axes(stored.array, stored.axes)
    plane = [axis for axis, letter in enumerate(axes) if letter not in _CHANNEL_AXES + "YX"]
    channel = [axis for axis, letter in enumerate(axes) if letter in _CHANNEL_AXES]
    ordered = array.transpose([*plane, *channel, axes.index("Y"), axes.index("X")])
    plane_shape = ordered.shape[: len(plane)]
    channels = math.prod(ordered.shape[len(plane) : -2])
    pixels = ordered.reshape((math.prod(plane_shape), channels, *ordered.shape[-2:]))
    letters = "".join(axes[axis] for axis in plane).replace("I", "Q")
    if not can_be_named(letters):
        return Planes(pixels, "Q", (len(pixels),))
    return Planes(pixels, letters, plane_shape)


def can_be_named(plane_axes: str) -> bool:
    """Whether OME-TIFF can name these plane axes: time, depth and at most two further, three in all."""
    others = set(plane_axes) - set("TZ")
    return (
        len(plane_axes) <= 3
        and len(others) <= 2
        and others <= set("APRHEQ")
        and len(set(plane_axes)) == len(plane_axes)
    )
