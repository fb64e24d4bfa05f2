"""Where to read and where to write when an image is too large for one pass: integers and slices only.

Along one axis, with a halo on every side that is not the image's edge::

    image     |--------------------------------------------|
    window 0  [=======core=======|..halo..]
    window 1            [..halo..|=====core=====|..halo..]
    window 2                           [..halo..|====core==]

Windows have one length, so that an engine meets one shape, and start at multiples of the network's
stride, so that its poolings fall on the same grid as in the whole image. Cores partition the axis.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from ..checks import InputError


@dataclass(frozen=True)
class Span:
    """One tile along one axis: what the network reads, and what it may write.

    Attributes:
        read: Window on the axis padded to a multiple of the stride.
        core: Part of the unpadded axis that is this tile's own.
    """

    read: slice
    core: slice

    def in_read(self, part: slice) -> slice:
        """A part of the axis, counted from the window's first pixel."""
        return slice(part.start - self.read.start, part.stop - self.read.start)


@dataclass(frozen=True)
class Tile:
    """A window of an image, by row and column."""

    row: Span
    column: Span


@dataclass(frozen=True)
class Plan:
    """All windows of one image.

    Attributes:
        shape: (H, W) of the image.
        rows: Spans down the image.
        columns: Spans across it.
    """

    shape: tuple[int, int]
    rows: tuple[Span, ...]
    columns: tuple[Span, ...]

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)

    def __iter__(self) -> Iterator[Tile]:
        return (Tile(row, column) for row in self.rows for column in self.columns)


def plan_tiles(shape: tuple[int, int], *, halo_px: int, stride_px: int, max_pixels: int) -> Plan:
    """Cut an (H, W) image into the windows that read the fewest pixels in all; of such, into the fewest.

    Args:
        shape: (H, W), any size from 1 × 1.
        halo_px: Radius of the receptive field; rounded up to the stride.
        stride_px: Windows are multiples of this, and start at multiples of it.
        max_pixels: Largest number of pixels in one window.

    Returns:
        A single window where the whole image fits.

    Raises:
        InputError: When no window with its halo fits ``max_pixels``, or an argument is out of range.
    """
    if min(shape) < 1 or halo_px < 0 or stride_px < 1:
        raise InputError(
            f"cannot tile shape {shape} with halo_px={halo_px} and stride_px={stride_px}; expected at least 1, 0 and 1"
        )
    halo_px = round_up(halo_px, stride_px)
    height_px, width_px = (round_up(length_px, stride_px) for length_px in shape)
    best: tuple[int, int, int, int] | None = None  # pixels read, number of windows, height and width of a window
    for rows, row_px in _windows(height_px, halo_px=halo_px, stride_px=stride_px):
        affordable_px = max_pixels // row_px // stride_px * stride_px
        columns = _count(width_px, affordable_px, halo_px=halo_px)
        if columns is not None:
            column_px = _window(width_px, columns, halo_px=halo_px, stride_px=stride_px)
            candidate = (rows * row_px * columns * column_px, rows * columns, row_px, column_px)
            best = candidate if best is None or candidate < best else best
    if best is None:
        smallest = smallest_window(shape, halo_px=halo_px, stride_px=stride_px)
        raise InputError(
            f"a window may have {max_pixels} pixels, but the smallest that covers the network's receptive field "
            f"has {smallest}; allow more memory"
        )
    return Plan(
        shape=shape,
        rows=spans(shape[0], window_px=best[2], halo_px=halo_px, stride_px=stride_px),
        columns=spans(shape[1], window_px=best[3], halo_px=halo_px, stride_px=stride_px),
    )


def smallest_window(shape: tuple[int, int], *, halo_px: int, stride_px: int) -> int:
    """Pixels of the smallest window that holds a stride with its halo; of the whole (H, W) image where that is less."""
    around_px = 2 * round_up(halo_px, stride_px) + stride_px
    return min(round_up(shape[0], stride_px), around_px) * min(round_up(shape[1], stride_px), around_px)


def spans(length_px: int, *, window_px: int, halo_px: int, stride_px: int) -> tuple[Span, ...]:
    """Cut ``[0, length_px)`` into cores, each read in a window with at least ``halo_px`` around it.

    Args:
        length_px: Length of the image; windows lie on it padded to a multiple of the stride.
        window_px: Length of every window, a multiple of the stride.
        halo_px: Smallest distance from a core to an edge of its window that is not the image's edge;
            rounded up to the stride.
        stride_px: Windows start at multiples of this.

    Raises:
        InputError: When the window is no multiple of the stride, or leaves no core between its halos.
    """
    halo_px, padded_px = round_up(halo_px, stride_px), round_up(length_px, stride_px)
    count = _count(padded_px, window_px, halo_px=halo_px)
    if window_px < 1 or window_px % stride_px or count is None:
        raise InputError(
            f"window_px={window_px} must be a multiple of stride_px={stride_px} and exceed two halos of {halo_px} px; "
            f"use window_px={round_up(2 * halo_px + 1, stride_px)} or more"
        )
    window_px = min(window_px, padded_px)
    room = (padded_px - window_px) // stride_px
    starts = [stride_px * (room * number // max(1, count - 1)) for number in range(count)]
    # A seam lies in the middle of two windows' overlap, as far as can be from both their edges.
    seams = [(start + previous + window_px) // 2 for previous, start in pairwise(starts)]
    edges = [0, *seams, length_px]
    return tuple(
        Span(read=slice(start, start + window_px), core=slice(edges[number], edges[number + 1]))
        for number, start in enumerate(starts)
    )


def round_up(length_px: int, stride_px: int) -> int:
    """Smallest multiple of ``stride_px`` that is at least ``length_px``."""
    return -(-length_px // stride_px) * stride_px


def _count(padded_px: int, window_px: int, *, halo_px: int) -> int | None:
    """Fewest windows that cover the axis with their halos; None where no number does."""
    if padded_px <= window_px:
        return 1
    if window_px <= 2 * halo_px:
        return None
    return 1 - (window_px - padded_px) // (window_px - 2 * halo_px)


def _window(padded_px: int, count: int, *, halo_px: int, stride_px: int) -> int:
    """Shortest window of which ``count`` cover the axis with their halos."""
    return min(padded_px, round_up(-(-(padded_px + 2 * halo_px * (count - 1)) // count), stride_px))


def _windows(padded_px: int, *, halo_px: int, stride_px: int) -> Iterator[tuple[int, int]]:
    """Every number of windows worth trying along an axis, with the length each needs."""
    count: int | None = 1
    window_px = padded_px
    while count is not None:
        window_px = _window(padded_px, count, halo_px=halo_px, stride_px=stride_px)
        yield count, window_px
        count = _count(padded_px, window_px - stride_px, halo_px=halo_px) if window_px > stride_px else None
