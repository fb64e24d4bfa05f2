"""What every simulator returns, and what all refuse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..checks import InputError


@dataclass(frozen=True)
class Simulated:
    """A simulated image and the objects that are truly in it.

    Attributes:
        image: (H, W) uint16 fluorescence counts, or (H, W, 3) uint8 colors of a stained section.
        labels: (H, W) int32; 0 background, 1…n objects without gaps, each 4-connected. They are the
            shapes before blur, so an object's edge lies where its light has fallen to about half.
    """

    image: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class SimulatedTissue:
    """A simulated image of cells side by side and the truth of every pixel, before blur and noise.

    Attributes:
        image: (H, W) or (H, W, 3) uint8.
        class_map: (H, W) uint8; 0 inside cells, 1 membrane, 2 nucleus where the specimen shows nuclei.
        cells: (H, W) int32; 1…n what membranes enclose, nuclei included, 0 on membranes, which belong to no cell.
            Each cell is one 4-connected piece, and pieces of different cells touch nowhere.
        nuclei: (H, W) int32; 1…m, 0 elsewhere. Each lies in one cell and touches no membrane.
        dim: (H, W) boolean; membrane that hardly shows in the image.
        thickness_px: (H, W) float32; width of the membrane at each of its pixels, 0 elsewhere.
    """

    image: np.ndarray
    class_map: np.ndarray
    cells: np.ndarray
    nuclei: np.ndarray
    dim: np.ndarray
    thickness_px: np.ndarray


def check_shape(shape: tuple[int, int]) -> None:
    """Refuse an image without pixels.

    Raises:
        InputError: Naming the shape.
    """
    if min(shape) < 1:
        raise InputError(f"shape is {shape}, expected at least one row and one column")


def check_field(shape: tuple[int, int], *, count: int, diameter_px: tuple[float, float], clumping: float) -> None:
    """Refuse a field of objects that cannot be drawn.

    Raises:
        InputError: An empty image, a negative count, diameters below 4 px or out of order, or a share out of range.
    """
    check_shape(shape)
    if count < 0:
        raise InputError(f"count is {count}, expected 0 or more")
    if not 4 <= diameter_px[0] <= diameter_px[1]:
        raise InputError(f"diameter_px is {diameter_px}, expected (smallest, largest) from 4 px up")
    if not 0 <= clumping <= 1:
        raise InputError(f"clumping is {clumping}, expected a share in [0, 1]")
