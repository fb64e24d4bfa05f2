"""What each window contributes to the image: its core, or all of it with weights that sum to one.

Where the halo covers the receptive field, every window agrees about its core, and writing cores is exact.
Where it cannot (attention, very deep networks), a core's edge would show as a seam; a ramp hides it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .tiles import Plan, Span, Tile


@dataclass(frozen=True)
class Share:
    """A window's contribution to the image.

    Attributes:
        tile: The window.
        rows: Rows of the image that it contributes to.
        columns: Columns of the image.
        weights: (rows, columns) float32, over all windows summing to 1 on every pixel; None stands for ones.
    """

    tile: Tile
    rows: slice
    columns: slice
    weights: np.ndarray | None

    @property
    def in_window(self) -> tuple[slice, slice]:
        """The same rows and columns, counted from the window's first pixel."""
        return self.tile.row.in_read(self.rows), self.tile.column.in_read(self.columns)


def cores(plan: Plan) -> Iterator[Share]:
    """Each window contributes its core alone."""
    return (Share(tile, tile.row.core, tile.column.core, None) for tile in plan)


def fades(plan: Plan) -> Iterator[Share]:
    """Each window contributes all that it read, fading out toward its edges inside the image."""
    height, width = plan.shape
    row_weights = ramps(plan.rows, length_px=height)
    column_weights = ramps(plan.columns, length_px=width)
    for row, down in zip(plan.rows, row_weights, strict=True):
        for column, across in zip(plan.columns, column_weights, strict=True):
            rows, columns = visible(row, length_px=height), visible(column, length_px=width)
            yield Share(Tile(row, column), rows, columns, np.outer(down, across))


def ramps(spans: tuple[Span, ...], *, length_px: int) -> tuple[np.ndarray, ...]:
    """Weights of every window along one axis; on each pixel they sum to 1.

    A weight grows with the distance to the nearer edge of its window, except toward the image's own
    edges, where nothing was cut off.

    Args:
        spans: All windows of the axis.
        length_px: Length of the image, where the weights end; windows may reach past it.

    Returns:
        One float32 array a span, over ``visible(span, ...)``; ones for a single window.
    """
    raw = [_distance_to_cut(span, length_px=length_px) for span in spans]
    total = np.zeros(length_px)
    for span, weights in zip(spans, raw, strict=True):
        total[visible(span, length_px=length_px)] += weights
    return tuple(
        (weights / total[visible(span, length_px=length_px)]).astype(np.float32)
        for span, weights in zip(spans, raw, strict=True)
    )


def visible(span: Span, *, length_px: int) -> slice:
    """The part of a window that lies in the image."""
    return slice(span.read.start, min(span.read.stop, length_px))


def _distance_to_cut(span: Span, *, length_px: int) -> np.ndarray:
    """Distance of each pixel's center to the window's nearer edge inside the image."""
    part = visible(span, length_px=length_px)
    centers = np.arange(part.start, part.stop) + 0.5
    before = centers - part.start if part.start > 0 else np.full(centers.size, float(length_px))
    after = part.stop - centers if part.stop < length_px else np.full(centers.size, float(length_px))
    return np.minimum(before, after)
