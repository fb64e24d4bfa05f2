"""Images padded to a square and resized to one side, with the padding remembered so that results come back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..checks import InputError, check_ndim
from .samples import rescale_image


@dataclass(frozen=True)
class Square:
    """The way from an image to a square of one side, and back.

    Padding is below and to the right, so pixel (0, 0) stays where it is.

    Attributes:
        shape: (H, W) of the image.
        side_px: Side of the square that it becomes.

    Raises:
        InputError: A length below 1.

    Example:
        >>> square = Square((2, 4), side_px=8)
        >>> square.scale, square.labels(np.ones((2, 4), int)).sum(), square.inside.sum()
        (2.0, 32, 32)
    """

    shape: tuple[int, int]
    side_px: int = 512

    def __post_init__(self) -> None:
        if min(*self.shape, self.side_px) < 1:
            raise InputError(f"an image of {self.shape} pixels and a side of {self.side_px}, expected at least 1 each")

    @property
    def padded_px(self) -> int:
        """Side of the square before it is resized."""
        return max(self.shape)

    @property
    def scale(self) -> float:
        """Pixels of the square per pixel of the image."""
        return self.side_px / self.padded_px

    @property
    def inside(self) -> np.ndarray:
        """(side, side) bool, what is image and not padding."""
        return self.labels(np.ones(self.shape, np.uint8)) > 0

    def image(self, image: np.ndarray) -> np.ndarray:
        """(C, side, side) float32 of a (C, H, W) image, padded with 0, linear.

        Raises:
            InputError: The image has another shape.
        """
        check_ndim(3, image=image)
        self._check(image.shape[1:], self.shape)
        below, right = (self.padded_px - length for length in self.shape)
        padded = np.pad(image, ((0, 0), (0, below), (0, right)))
        return rescale_image(padded, (self.side_px, self.side_px))

    def labels(self, labels: np.ndarray) -> np.ndarray:
        """(side, side) of an (H, W) label image or mask, padded with 0; each pixel takes the value at its center.

        Raises:
            InputError: The labels have another shape.
        """
        self._check(labels.shape, self.shape)
        centers = self._centers(self.side_px, self.padded_px)
        rows, columns = (centers[centers < length] for length in self.shape)
        square = np.zeros((self.side_px, self.side_px), labels.dtype)
        square[: len(rows), : len(columns)] = labels[np.ix_(rows, columns)]
        return square

    def back(self, labels: np.ndarray) -> np.ndarray:
        """(H, W) at the image's own size, without the padding, of labels of the square.

        Raises:
            InputError: The labels have another shape.
        """
        self._check(labels.shape, (self.side_px, self.side_px))
        centers = self._centers(self.padded_px, self.side_px)
        rows, columns = (centers[:length] for length in self.shape)
        return np.asarray(labels[np.ix_(rows, columns)])

    @staticmethod
    def _centers(count: int, of: int) -> np.ndarray:
        """(count,) places, in a row of ``of`` pixels, of the centers of ``count`` pixels laid over it."""
        return ((2 * np.arange(count) + 1) * of) // (2 * count)

    @staticmethod
    def _check(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
        if tuple(shape) != tuple(expected):
            raise InputError(f"shape {tuple(shape)}, expected {tuple(expected)}; make a square for each size of image")
