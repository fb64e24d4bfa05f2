"""What an image looks like at some of its pixels, computed at these alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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

    @cached_property
    def around(self) -> list[np.ndarray]:
        """The nine values around each pixel, row by row, (n,) each."""
        reach, width = WINDOW_PX // 2, self.gray.shape[1]
        middle = (self.rows + reach) * width + self.columns + reach
        flat = self.gray.ravel()
        return [flat[middle + row * width + column] for row in (-1, 0, 1) for column in (-1, 0, 1)]

    def window_mean(self, power: int) -> np.ndarray:
        """Mean over the window around each pixel of a power of the values, (n,) float64."""
        sums = np.zeros((self.gray.shape[0] + 1, self.gray.shape[1] + 1))
        # Of the distance from one value, lest variances drown in the rounding of large sums.
        shifted = self.gray - self.gray[0, 0]
        np.cumsum(np.cumsum(shifted**power, axis=0, dtype=np.float64), axis=1, out=sums[1:, 1:])
        top, left = self.rows, self.columns
        bottom, right = top + WINDOW_PX, left + WINDOW_PX
        total = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
        mean: np.ndarray = total / WINDOW_PX**2
        return mean


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


def _sd(at: Place) -> np.ndarray:
    spread: np.ndarray = np.sqrt(np.maximum(at.window_mean(2) - at.window_mean(1) ** 2, 0))
    return spread


FEATURES: Mapping[str, Callable[[Place], np.ndarray]] = {
    "intensity": lambda at: at.around[4],
    "sobel": _sobel,
    "mean": lambda at: at.window_mean(1) + at.gray[0, 0],
    "sd": _sd,
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
