"""Run-length encoded masks, as competitions and COCO write them.

A run is a start and a length. Sartorius counts pixels row by row, the Data Science Bowl 2018 and COCO column by column;
the first two count from 1. The order cannot be told from the numbers alone, so it is always stated, and
`wrong_order` says when the other one is far likelier.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.ndimage import label as label_components

from ..checks import InputError, check_ndim

Order = Literal["row", "column"]

FEWEST_RUNS = 8
"""Masks of fewer runs may fall apart by themselves, and say nothing about the order."""


def decode(text: str, shape: tuple[int, int], *, order: Order, first: int = 1) -> np.ndarray:
    """Mask of runs written as ``start length start length …``.

    Args:
        text: Whole numbers separated by spaces; empty for an empty mask.
        shape: (H, W) of the image.
        order: "row": pixels are counted along rows; "column": along columns.
        first: Number of the first pixel, 0 or 1.

    Returns:
        (H, W) bool.

    Raises:
        InputError: Not whole numbers, an odd count of them, a length below 1, or a run that leaves the image.

    Examples:
        >>> decode("2 2 6 1", (2, 3), order="row").astype(int).tolist()
        [[0, 1, 1], [0, 0, 1]]
        >>> decode("2 2 6 1", (2, 3), order="column").astype(int).tolist()
        [[0, 1, 0], [1, 0, 1]]
    """
    starts, ends = _runs(text, size=shape[0] * shape[1], first=first)
    # +1 where a run begins and -1 behind its end: runs may overlap, and their sum is still above 0 inside.
    steps = np.zeros(shape[0] * shape[1] + 1, np.int32)
    np.add.at(steps, starts, 1)
    np.add.at(steps, ends, -1)
    flat = np.cumsum(steps[:-1]) > 0
    return flat.reshape(shape, order="C" if order == "row" else "F")


def encode(mask: np.ndarray, *, order: Order, first: int = 1) -> str:
    """Runs of a mask; `decode` of them gives the mask back.

    Args:
        mask: (H, W), nonzero inside.
        order: See `decode`.
        first: See `decode`.

    Returns:
        ``start length start length …`` in ascending order; empty for an empty mask.

    Raises:
        InputError: The mask does not have two axes.

    Examples:
        >>> encode(np.array([[0, 1, 1], [0, 0, 1]]), order="row")
        '2 2 6 1'
    """
    check_ndim(2, mask=mask)
    flat = np.concatenate([[0], (mask != 0).ravel(order="C" if order == "row" else "F"), [0]]).astype(np.int8)
    edges = np.diff(flat)
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return " ".join(f"{start + first} {end - start}" for start, end in zip(starts, ends, strict=True))


def wrong_order(text: str, shape: tuple[int, int], *, order: Order, first: int = 1) -> bool:
    """Whether the other order is far likelier: in this one the mask is scattered, in that one it hangs together.

    Args:
        text: Runs that `decode` takes.
        shape: (H, W) of the image.
        order: The order that is believed.
        first: See `decode`.

    Examples:
        >>> square = np.zeros((40, 60)); square[10:22, 30:40] = 1
        >>> wrong_order(encode(square, order="column"), (40, 60), order="row")
        True
        >>> wrong_order(encode(square, order="row"), (40, 60), order="row")
        False
    """
    runs = len(text.split()) // 2
    if runs < FEWEST_RUNS:
        return False
    other: Order = "column" if order == "row" else "row"
    here, there = (_pieces(decode(text, shape, order=one, first=first)) for one in (order, other))
    return here > runs / 2 and there <= max(1, here // 4)


def _pieces(mask: np.ndarray) -> int:
    return int(label_components(mask, np.ones((3, 3)))[1])


def _runs(text: str, *, size: int, first: int) -> tuple[np.ndarray, np.ndarray]:
    """Starts from 0 and ends (exclusive) of runs that lie in the image."""
    try:
        numbers = np.array(text.split(), dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise InputError(f"runs hold {text[:30]!r}…, expected whole numbers: start length start length …") from error
    if len(numbers) % 2:
        raise InputError(f"{len(numbers)} numbers, expected an even count: start length start length …")
    starts, lengths = numbers[::2] - first, numbers[1::2]
    if (lengths < 1).any():
        raise InputError(f"a run of length {lengths[lengths < 1][0]}, expected at least 1")
    outside = (starts < 0) | (starts + lengths > size)
    if outside.any():
        place = int(np.flatnonzero(outside)[0])
        raise InputError(
            f"a run from {starts[place] + first} of length {lengths[place]} leaves an image of {size} pixels; "
            "expected another image size, or the order or the first number are others"
        )
    return starts, starts + lengths
