"""The protocols of outlines and of the upper bound on drawn objects and classes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cellproof.checks import UsageError
from cellproof.types import IGNORE
from cellproof.workflows.evaluate.protocol import ClassNames, Reference, Variant
from cellproof.workflows.evaluate.protocols import boundary, load, upper_bound
from cellproof.workflows.evaluate.protocols.boundary import Options

OBJECTS = ClassNames(("nucleus",), has_objects=True)


def three_objects() -> np.ndarray:
    mask = np.zeros((60, 60), np.int32)
    mask[5:20, 5:20], mask[5:20, 20:35], mask[35:50, 10:30] = 1, 2, 3
    return mask


def values(protocol, pairs, names=OBJECTS, options=None) -> dict[str, float]:
    """Metric and class → pooled value."""
    counts = [
        protocol.count(None if labels is None else Variant("", labels), Reference(mask, names), options)
        for labels, mask in pairs
    ]
    rows = protocol.rows(counts, names, options)
    return {f"{row.metric} {row.class_or_threshold}".strip(): row.value for row in rows if row.averaging == "pooled"}


def test_the_reference_itself_is_perfect():
    mask = three_objects()
    found = values(boundary, [(mask, mask)], options=Options())
    assert found["surface Dice within 2"] == found["boundary Dice Canny 7×7"] == found["boundary Dice within 3"] == 1
    assert found["median HD95"] == found["missed outlines"] == found["false outlines"] == 0


def test_missed_and_false_objects_enter_every_distance():
    mask = three_objects()
    labels = np.where(mask == 3, 0, mask)
    labels[52:58, 50:56] = 7
    found = values(boundary, [(labels, mask)], options=Options())
    assert (found["missed outlines"], found["false outlines"]) == (1, 1)
    assert found["median HD95"] == math.inf
    assert found["mean HD95 of matched"] == 0
    # Outlines of 60, 60, 70 and 24 px (corners cut): four of 60 meet, 70 and 24 do not.
    assert found["surface Dice within 2"] == pytest.approx(240 / (240 + 70 + 24), abs=0.01)


def test_an_image_without_a_prediction_is_missed_as_a_whole():
    mask = three_objects()
    found = values(boundary, [(mask, mask), (None, mask)], options=Options())
    assert found["missed outlines"] == 3
    assert found["surface Dice within 2"] == pytest.approx(2 / 3, abs=1e-6)
    assert found["boundary Dice within 3"] == pytest.approx(2 / 3, abs=1e-6)


def test_pixels_have_a_size():
    mask = three_objects()
    moved = np.roll(mask, 2, axis=0)
    near = values(boundary, [(moved, mask)], options=Options(row_size=0.5, tolerance=1.0))
    far = values(boundary, [(moved, mask)], options=Options(row_size=2.0, tolerance=1.0))
    assert near["surface Dice within 1"] == 1
    assert far["surface Dice within 1"] < 0.8
    assert far["median HD95"] == pytest.approx(4)


def test_classes_are_compared_one_by_one_and_the_first_is_none():
    names = ClassNames(("ground", "wall", "door"), ignore=IGNORE)
    mask = np.zeros((30, 30), np.uint8)
    mask[5:12], mask[18:25, 5:12] = 1, 2
    mask[:, 25:] = IGNORE
    predicted = mask.copy()
    predicted[predicted == 2] = 0
    predicted[:, 25:] = 2
    found = values(boundary, [(predicted, mask)], names, Options())
    assert found["surface Dice wall, within 2"] == 1
    assert found["surface Dice door, within 2"] == 0
    assert (found["missed outlines wall"], found["missed outlines door"]) == (0, 1)


def test_options_that_are_none_are_refused():
    with pytest.raises(UsageError, match="known options: tolerance, band, row_size, column_size"):
        load("boundary").options({"tolerance_px": 3})


def test_the_upper_bound_forgives_merges_but_not_what_is_missing_and_says_its_name():
    mask = three_objects()
    merged = (mask > 0).astype(np.int32)
    merged[35:50] = 0
    found = values(upper_bound, [(merged, mask)])
    assert found["upper bound of precision 0.5"] == 1
    assert found["upper bound of recall 0.5"] == pytest.approx(2 / 3)
    assert found["upper bound of merges"] == 0
    assert all(name.startswith("upper bound of ") for name in found)
    assert "upper bound" in load("upper_bound").title
