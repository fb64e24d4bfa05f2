"""What an image looks like at some of its pixels, computed at these alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

WINDOW_PX = 7
"""Side of the square whose mean and standard deviation are features."""


@dataclass(frozen=True)
class Place:
    """Pixels of an image, and what is known of the whole.

    Attributes:
        image: (C, H, W) normalized; several channels are averaged.
        probability: (H, W) of the class inside.
        rings: (H, W) signed distance from the edge, see `rings`.
        rows: (n,) of the pixels.
        columns: (n,).
    """

    image: np.ndarray
    probability: np.ndarray
    rings: np.ndarray
    rows: np.ndarray
    columns: np.ndarray

    @cached_property
    def gray(self) -> np.ndarray:
        """(H + 2r, W + 2r) float32 of the image with its rim repeated, r half the window."""
        gray = self.image[0] if len(self.image) == 1 else self.image.mean(axis=0)
        return np.pad(gray.astype(np.float32, copy=False), WINDOW_PX // 2, mode="edge")

    def values(self, reach: int) -> Iterator[np.ndarray]:
        """Values of the square around each pixel that reaches so far to each side, row by row, (n,) each."""
        width, flat = self.gray.shape[1], self.gray.ravel()
        middle = (self.rows + WINDOW_PX // 2) * width + self.columns + WINDOW_PX // 2
        for row in range(-reach, reach + 1):
            for column in range(-reach, reach + 1):
                yield flat.take(middle + (row * width + column))

    @cached_property
    def around(self) -> list[np.ndarray]:
        """The nine values around each pixel, row by row, (n,) each."""
        return list(self.values(1))

    @cached_property
    def window(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the window around each pixel, (n,) float64 each."""
        middle = self.around[4]
        total, squares = np.zeros(len(middle)), np.zeros(len(middle))
        for value in self.values(WINDOW_PX // 2):
            # Distances from the pixel's own value, lest a small spread drown in the rounding of large squares.
            far = value - middle
            total += far
            squares += far * far
        mean = total / WINDOW_PX**2
        return middle + mean, np.sqrt(np.maximum(squares / WINDOW_PX**2 - mean**2, 0))


def _sobel(at: Place) -> np.ndarray:
    a = at.around
    down = (a[6] - a[0]) + 2 * (a[7] - a[1]) + (a[8] - a[2])
    right = (a[2] - a[0]) + 2 * (a[5] - a[3]) + (a[8] - a[6])
    slope: np.ndarray = np.sqrt(down * down + right * right) / 8
    return slope


def _laplacian(at: Place) -> np.ndarray:
    a = at.around
    curvature: np.ndarray = a[1] + a[3] + a[5] + a[7] - 4 * a[4]
    return curvature


FEATURES: Mapping[str, Callable[[Place], np.ndarray]] = {
    "intensity": lambda at: at.around[4],
    "sobel": _sobel,
    "mean": lambda at: at.window[0],
    "sd": lambda at: at.window[1],
    "laplacian": _laplacian,
    "distance": lambda at: at.rings[at.rows, at.columns],
    "probability": lambda at: at.probability[at.rows, at.columns],
}
"""Name → values at the pixels: the value, the length of its slope by Sobel's filter in values per pixel, mean and
standard deviation in a square, the Laplacian, the distance from the edge (positive inside), and the network's
probability."""


def pixel_features(names: Sequence[str], at: Place) -> np.ndarray:
    """Features of pixels, (n, d) float32, a column each; all are in `FEATURES`.

    Example:
        >>> image = np.array([[[0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]], np.float32)
        >>> at = Place(image, image[0], np.zeros((3, 3), np.int8), np.array([1, 1]), np.array([0, 1]))
        >>> pixel_features(["intensity", "sobel", "laplacian"], at)
        array([[0. , 0. , 0. ],
               [0. , 0.5, 1. ]], dtype=float32)
    """
    return np.stack([FEATURES[name](at) for name in names], axis=1).astype(np.float32)
