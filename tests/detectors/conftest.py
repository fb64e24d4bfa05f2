"""Detections that tests draw, and the skip where torchvision is not installed."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from cellproof.detectors.detections import Detections


@pytest.fixture
def torchvision():
    """The package, with operators that work; skips where it is not installed."""
    if find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed; pip install cellproof[detect]")
    from cellproof.detectors._operators import torchvision

    return torchvision()


@pytest.fixture
def draw():
    """Full rectangles (left, top, right, bottom, score) of class 1, or of the class that is given last."""

    def detections(*objects, cells=4):
        rows = np.array([[*one, 1][:6] for one in objects], np.float32).reshape(-1, 6)
        return Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int32), np.ones((len(rows), cells, cells)))

    return detections
