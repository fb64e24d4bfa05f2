"""Objects as a detector finds them: a box, a score, a class and a mask of the box."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..checks import InputError

_COLUMNS = 6
"""Of a row before its mask: left, top, right, bottom, score, class."""


@dataclass(frozen=True)
class Detections:
    """Objects of an image; all arrays have one entry for each.

    Attributes:
        boxes: (n, 4) float32 left, top, right, bottom in pixels; the first pixel reaches from 0 to 1.
        scores: (n,) float32 in [0, 1].
        classes: (n,) int32, 1…K-1.
        masks: (n, M, M) float32 in [0, 1], probability that a point of the box lies in the object; cell (i, j) is the
            mean over its M-th part of the box.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    masks: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def of_table(cls, table: np.ndarray) -> Detections:
        """Of a table (n, 6 + M²) that a detector gives.

        Raises:
            InputError: The table is none.

        Example:
            >>> row = [[2, 3, 6, 9, 0.9, 1, *[1.0] * 16]]
            >>> Detections.of_table(np.array(row, np.float32)).masks.shape
            (1, 4, 4)
        """
        side = round(max(table.shape[-1] - _COLUMNS, 0) ** 0.5) if table.ndim == 2 else 0
        if not side or table.shape[1] != _COLUMNS + side * side:
            raise InputError(f"a table of detections has shape {table.shape}, expected (n, 6 + M × M)")
        return cls(
            boxes=table[:, :4],
            scores=table[:, 4],
            classes=table[:, 5].astype(np.int32),
            masks=table[:, _COLUMNS:].reshape(len(table), side, side),
        )

    def take(self, chosen: np.ndarray) -> Detections:
        """Those at these places, in this order."""
        return Detections(self.boxes[chosen], self.scores[chosen], self.classes[chosen], self.masks[chosen])

    def placed(self, *, scale: tuple[float, float] = (1.0, 1.0), shift: tuple[float, float] = (0.0, 0.0)) -> Detections:
        """Boxes multiplied by (row, column) factors, then shifted by (row, column) pixels."""
        factors = np.array([scale[1], scale[0]] * 2, np.float32)
        shifts = np.array([shift[1], shift[0]] * 2, np.float32)
        return Detections(self.boxes * factors + shifts, self.scores, self.classes, self.masks)

    def flipped(self, width: float) -> Detections:
        """As if the image, so many pixels wide, had its columns in reverse order."""
        left, top, right, bottom = self.boxes.T
        boxes = np.stack([width - right, top, width - left, bottom], axis=1)
        return Detections(boxes, self.scores, self.classes, self.masks[:, :, ::-1])

    def turned_back(self, height: float) -> Detections:
        """As if the image, so many pixels high, had been turned clockwise by a quarter.

        A point at (row, column) goes to (column, height - row).

        Example:
            >>> one = Detections(np.array([[0, 7, 2, 10]]), np.ones(1), np.ones(1), np.ones((1, 2, 2)))
            >>> one.turned_back(10).boxes.tolist()
            [[0, 0, 3, 2]]
        """
        left, top, right, bottom = self.boxes.T
        boxes = np.stack([height - bottom, left, height - top, right], axis=1)
        return Detections(boxes, self.scores, self.classes, np.rot90(self.masks, -1, axes=(1, 2)))

    def patches(self, shape: tuple[int, int]) -> Iterator[tuple[slice, slice, np.ndarray]]:
        """Of each object the rows and columns of an image that its box touches, and its mask there, (h, w) float32.

        A pixel has the value at its center, interpolated between the centers of the mask's cells; pixels whose centers
        lie outside of the box belong to no patch, which is empty where there is no other.

        Args:
            shape: Height and width of the image.
        """
        for box, mask in zip(self.boxes, self.masks, strict=True):
            columns, rows = (_covered(box[axis], box[axis + 2], shape[1 - axis]) for axis in (0, 1))
            yield rows, columns, sample_mask(mask, box, rows, columns)


def together(parts: Sequence[Detections]) -> Detections:
    """All detections of several, at least one, in their order."""
    return Detections(*(np.concatenate([getattr(part, name) for part in parts]) for name in Detections.__annotations__))


def by_score(detections: Detections, *, least: float = 0.0) -> Detections:
    """Those of at least a score, the best first; equal ones in their order."""
    order = np.argsort(-detections.scores, kind="stable")
    return detections.take(order[detections.scores[order] >= least])


def overlaps(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """IoU (n,) of a box (4,) with others (n, 4).

    Example:
        >>> overlaps(np.array([0, 0, 2, 2]), np.array([[1, 0, 3, 2], [5, 5, 6, 6]])).round(3).tolist()
        [0.333, 0.0]
    """
    width = np.minimum(box[2], boxes[:, 2]) - np.maximum(box[0], boxes[:, 0])
    height = np.minimum(box[3], boxes[:, 3]) - np.maximum(box[1], boxes[:, 1])
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    union = (box[2] - box[0]) * (box[3] - box[1]) + areas - shared
    return np.asarray(shared / np.maximum(union, 1e-9))


def sample_mask(mask: np.ndarray, box: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
    """A box's mask (M, M) at the centers of pixels, (h, w) float32."""
    along_rows = _weights(rows, box[1], box[3], len(mask))
    along_columns = _weights(columns, box[0], box[2], len(mask))
    return np.asarray(along_rows @ mask @ along_columns.T, np.float32)


def _covered(first: float, last: float, length: int) -> slice:
    """Pixels of an axis whose centers lie between two positions."""
    start, stop = (int(np.clip(np.ceil(place - 0.5), 0, length)) for place in (first, last))
    return slice(start, max(start, stop))


def _weights(pixels: slice, first: float, last: float, cells: int) -> np.ndarray:
    """Weights (pixels, cells) of linear interpolation between the centers of cells; constant beyond the outermost."""
    centers = np.arange(pixels.start, pixels.stop) + 0.5
    places = np.clip((centers - first) / max(last - first, 1e-6) * cells - 0.5, 0, cells - 1)
    weights: np.ndarray = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(cells))).astype(np.float32)
    return weights
