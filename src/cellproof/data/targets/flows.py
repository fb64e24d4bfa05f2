"""The way to an object's summit."""

from __future__ import annotations

import numpy as np

from ...types import Head, LossTerm
from ._objects import Objects
from ._poisson import flow_field

LOSS = (LossTerm("flow", 5.0, "flows"),)


def head() -> Head:
    """Two channels: unit vector (row, column) uphill on the Poisson height, 0 outside objects."""
    return Head("flows", 2, geometry="vector")


def target(objects: Objects, head: Head) -> np.ndarray:
    """(2, H, W) float32; see `flow_field`."""
    return flow_field(objects.height, objects.instances)
