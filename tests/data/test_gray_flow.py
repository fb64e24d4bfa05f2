"""The gray flow image, with the code of Cellpose's figures and Pillow as oracles; and what a threshold leaves of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import floats
from PIL import Image

from cellproof.checks import InputError
from cellproof.data.targets import heads_of, make_targets
from cellproof.data.targets.gray_flow import gray_of
from cellproof.instances.gray_flow import separate
from cellproof.types import InstanceOptions, Sample


def published_colors(flows):
    """As ``cellpose.plot.dx_to_circ`` has it, of flows that are scaled already."""
    magnitude = np.hypot(flows[0], flows[1])
    angles = np.arctan2(flows[1], flows[0]) + np.pi
    return np.stack([255 * magnitude * (np.cos(angles + turn * np.pi / 3) + 1) / 2 for turn in (0, 2, 4)], -1)


@given(floats(0, 2 * np.pi), floats(0, 1))
def test_it_is_the_luminance_of_the_published_colors(angle, length):
    flows = (length * np.array([np.cos(angle), np.sin(angle)])).reshape(2, 1, 1)
    colors = np.rint(published_colors(flows)).astype(np.uint8)
    gray = np.asarray(Image.fromarray(colors).convert("L"))[0, 0]
    # Pillow rounds each color and the sum.
    assert 255 * gray_of(flows)[0, 0] == pytest.approx(gray, abs=1.1)


def test_objects_are_gray_and_the_ground_is_black():
    labels = np.zeros((24, 30), np.int32)
    labels[3:12, 4:13], labels[3:12, 13:22] = 1, 2
    heads = heads_of(2, ["gray_flow"])
    sample = Sample(np.zeros((1, 24, 30), np.float32), (labels > 0).astype(np.uint8), labels)
    (gray,) = make_targets(sample, heads).fields
    assert gray[labels == 0].max() == 0
    # At a summit there is no flow; everywhere else it is unit long.
    inside = gray[labels > 0]
    assert np.mean((inside > 0.29) & (inside < 0.71)) > 0.97
    # Left of its summit an object flows to the right, and the other way on its right: two grays.
    assert abs(gray[7, 5] - gray[7, 11]) > 0.1


def test_a_threshold_leaves_pieces_and_touching_objects_become_one():
    gray = np.array([[0.5, 0.3, 0.1, 0.4]])[np.newaxis]
    nothing = np.zeros((1, 4), bool)
    assert separate({"gray_flow": gray}, nothing, InstanceOptions()).tolist() == [[1, 1, 0, 2]]
    high = InstanceOptions(options={"level": 0.35})
    assert separate({"gray_flow": gray}, nothing, high).tolist() == [[1, 0, 0, 2]]
    with pytest.raises(InputError, match="gray_flow"):
        separate({"gray_flow": gray * np.nan}, nothing, InstanceOptions())
