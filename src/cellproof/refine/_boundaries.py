"""Lines that divide an image into basins of the evidence, taken apart into the boundaries of two basins each.

References:
    Meyer (1994). Topographic distance and watershed lines. Signal Processing 38(1), 113-125.
    doi:10.1016/0165-1684(94)90060-4
    Cousty, Bertrand, Najman, Couprie (2009). Watershed cuts: minimum spanning forests and the drop of water principle.
    IEEE Transactions on Pattern Analysis and Machine Intelligence 31(8), 1362-1374. doi:10.1109/TPAMI.2008.173
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, label
from skimage.morphology import h_minima
from skimage.segmentation import watershed

SMOOTHING_PX = 1.0
"""Standard deviation of the filter that takes the pixels' noise out of the evidence."""

LEAST_DEPTH = 5 / 255
"""A hollow of the evidence that is less deep is no basin of its own."""

SURE = 0.5
"""Evidence that a pixel of the network has at least, whatever the map says."""

EIGHT = np.ones((3, 3), bool)


@dataclass(frozen=True)
class Boundaries:
    """Basins and the lines between them.

    Attributes:
        relief: (H, W) the evidence, smoothed, at least `SURE` in the network.
        basins: (H, W) int32 number of each pixel's basin from 1, 0 on the lines.
        pairs: (m, 2) numbers of the two basins at each boundary, the lower first.
        start: (m + 1,) where the pixels of each boundary begin in the following.
        pixels: (n, 2) row and column. Where three basins meet, the pixel belongs to three boundaries.
    """

    relief: np.ndarray
    basins: np.ndarray
    pairs: np.ndarray
    start: np.ndarray
    pixels: np.ndarray


def find_boundaries(evidence: np.ndarray, network: np.ndarray, *, unknown: np.ndarray) -> Boundaries:
    """Watershed of the evidence.

    Its lines are minimal paths: none between the same two basins stays above a higher evidence (Cousty et al.).

    Args:
        evidence: (H, W) in [0, 1], high on membranes.
        network: (H, W) bool, membrane that is there.
        unknown: (H, W) bool, pixels that nothing is known of: walls, and on no boundary.
    """
    raised = np.where(network, np.maximum(evidence, SURE), evidence)
    relief = gaussian_filter(np.where(unknown, 1, raised).astype(np.float32), SMOOTHING_PX)
    levels = np.round(relief * 255).astype(np.uint8)
    markers, _ = label(h_minima(levels, round(LEAST_DEPTH * 255)), EIGHT)
    basins = watershed(relief, markers, watershed_line=True).astype(np.int32)
    pixels = np.argwhere((basins == 0) & ~unknown)
    place, pairs = _pairs_at(basins, pixels)
    order = np.lexsort((place, pairs[:, 1], pairs[:, 0]))
    place, pairs = place[order], pairs[order]
    is_first = np.ones(len(pairs), bool)
    is_first[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    start = np.append(np.flatnonzero(is_first), len(pairs))
    return Boundaries(relief, basins, pairs[is_first], start, pixels[place])


def _pairs_at(basins: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every pair of different basins among the eight neighbors of each pixel: the pixel's place, and the pair."""
    padded = np.pad(basins, 1)
    row, column = pixels.T + 1
    around = [padded[row + r, column + c] for r in (-1, 0, 1) for c in (-1, 0, 1) if r or c]
    numbers = np.sort(np.stack(around, axis=1), axis=1)
    numbers[:, 1:][numbers[:, 1:] == numbers[:, :-1]] = 0
    numbers = np.sort(numbers, axis=1)[
        :, -4:
    ]  # four basins at most touch a pixel of a line without touching each other
    places, pairs = [], []
    for one in range(numbers.shape[1]):
        for two in range(one + 1, numbers.shape[1]):
            chosen = np.flatnonzero(numbers[:, one])
            places.append(chosen)
            pairs.append(numbers[chosen][:, [one, two]])
    return np.concatenate(places), np.concatenate(pairs)
