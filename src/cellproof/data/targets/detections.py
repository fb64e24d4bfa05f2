"""Objects one by one, as detectors find them."""

from __future__ import annotations

import numpy as np

from ...types import Head, LossTerm
from ._objects import Objects

LOSS: tuple[LossTerm, ...] = ()
"""Detectors compute their losses themselves."""


def head() -> Head:
    """Four channels: number of the object that owns a pixel, its score, its mask's probability, the sum of all masks.

    No dense network can learn them: numbers have no order.
    """
    return Head("detections", channels=4)


def target(objects: Objects, head: Head) -> np.ndarray:
    """(4, H, W) float32: object ids, and 1 in the other channels where there is an object.

    Example:
        >>> ids = np.array([[0, 7]])
        >>> target(Objects(ids, ids < 0, ids > 0), head())[:, 0].tolist()
        [[0.0, 7.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]
    """
    inside = objects.instances > 0
    return np.stack([objects.instances, inside, inside, inside]).astype(np.float32)
