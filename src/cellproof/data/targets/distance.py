"""Height of a pixel in its object."""

from __future__ import annotations

import numpy as np

from ...types import Head, LossTerm
from ._objects import Objects

LOSS = (LossTerm("smooth_l1", 2.0, "distance"),)


def head() -> Head:
    """One channel: the Poisson height of the pixel in its object, 0 outside, 1 at the summit."""
    return Head("distance", activation="clip")


def target(objects: Objects, head: Head) -> np.ndarray:
    """(1, H, W) float32 in [0, 1]; see `poisson_height`."""
    return objects.height[np.newaxis]
