"""What the decoders cannot do, from perfect maps: as the decision records say, so that they stay true."""

from __future__ import annotations

import numpy as np
import pytest

from cellproof.data.targets import flow_field, poisson_height
from cellproof.instances.flows import follow_flows
from cellproof.instances.watershed import watershed_objects

ROWS, COLUMNS = np.indices((100, 160))


def dumbbell() -> np.ndarray:
    balls = (np.hypot(ROWS - 50, COLUMNS - 50) < 25) | (np.hypot(ROWS - 50, COLUMNS - 110) < 25)
    return balls | ((np.abs(ROWS - 50) < 5) & (np.abs(COLUMNS - 80) < 30))


def thin_c(width_px: float = 8) -> np.ndarray:
    ring = np.abs(np.hypot(ROWS - 50, COLUMNS - 80) - 35) < width_px / 2
    return ring & ~((COLUMNS > 80) & (np.abs(ROWS - 50) < 12))


def counts(shape: np.ndarray) -> dict[str, int]:
    """Objects that either decoder makes of one object's perfect maps."""
    labels = shape.astype(np.int32)
    height = poisson_height(labels)
    return {
        "flows": int(follow_flows(flow_field(height, labels), shape).max()),
        "watershed": int(watershed_objects(height, shape).max()),
    }


def test_both_decoders_split_a_dumbbell_as_its_height_has_two_summits():
    assert counts(dumbbell()) == {"flows": 2, "watershed": 2}


def test_flows_split_a_thin_c_and_the_watershed_does_not():
    found = counts(thin_c())
    assert found["flows"] > 1
    assert found["watershed"] == 1


@pytest.mark.parametrize("length_px", [30, 60])
def test_a_rod_of_a_few_widths_is_one_object_to_both(length_px):
    rod = (np.abs(ROWS - 50) < 5) & (np.abs(COLUMNS - 80) < length_px / 2)
    assert counts(rod) == {"flows": 1, "watershed": 1}


def test_three_widths_from_the_end_the_height_of_a_rod_is_level_to_within_the_solvers_error():
    width_px = 9
    rod = (np.abs(ROWS - 50) <= width_px // 2) & (np.abs(COLUMNS - 80) <= 70)
    height = poisson_height(rod.astype(np.int32))[50]
    assert height[10 + width_px // 2] < 0.9 * height[80]
    assert height[10 + 3 * width_px : 81] == pytest.approx(height[80], abs=0.012)
