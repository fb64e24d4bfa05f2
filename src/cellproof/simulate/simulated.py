"""What every simulator returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Simulated:
    """A simulated picture and the objects that are truly in it.

    Attributes:
        image: (H, W) uint16 fluorescence counts, or (H, W, 3) uint8 colours of a stained section.
        labels: (H, W) int32; 0 background, 1…n objects without gaps, each 4-connected. They are the
            shapes before blur, so an object's edge lies where its light has fallen to about half.
    """

    image: np.ndarray
    labels: np.ndarray
