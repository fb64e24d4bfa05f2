"""Decoders that only cut a map off: at which value, and who chooses it."""

from __future__ import annotations

import numpy as np
import pytest

from cellproof.checks import InputError
from cellproof.instances import detections, gray_flow, shaped, summed_masks
from cellproof.types import InstanceOptions

NOWHERE = np.zeros((1, 5), bool)


def test_a_detection_at_the_threshold_is_kept_whole_and_keeps_its_number():
    owner = np.array([[1, 1, 0, 2, 3]])
    maps = {"detections": np.stack([owner, np.array([[0.5, 0.5, 0.0, 0.49, 0.75]])])}
    found = detections.separate(maps, NOWHERE, InstanceOptions(foreground_threshold=0.5))
    assert (found.tolist(), found.dtype) == ([[1, 1, 0, 0, 3]], np.int32)
    assert detections.separate(maps, NOWHERE, InstanceOptions(foreground_threshold=0.76)).tolist() == [[0] * 5]


@pytest.mark.parametrize(("options", "expected"), [({}, [1, 1, 0, 2, 0]), ({"total": 0.8}, [1, 1, 1, 1, 0])])
def test_touching_masks_whose_sum_reaches_the_total_are_one_object(options, expected):
    maps = {"detections": np.stack([np.zeros((1, 5))] * 3 + [np.array([[0.9, 1.7, 0.89, 0.9, 0.2]])])}
    assert summed_masks.separate(maps, NOWHERE, InstanceOptions(options=options)).tolist() == [expected]


@pytest.mark.parametrize(("options", "expected"), [({}, [1, 1, 0, 2, 0]), ({"level": 0.25}, [0, 1, 0, 0, 0])])
def test_grays_from_the_level_on_are_objects(options, expected):
    maps = {"gray_flow": np.array([[[0.16, 0.25, 0.15, 0.2, 0.0]]])}
    assert gray_flow.separate(maps, NOWHERE, InstanceOptions(options=options)).tolist() == [expected]
    with pytest.raises(InputError, match="gray_flow"):
        gray_flow.separate({"gray_flow": np.full((1, 1, 5), np.nan)}, NOWHERE, InstanceOptions())


def test_what_validation_may_choose():
    assert gray_flow.TUNED == {"level": (0.08, 0.12, 0.16, 0.2, 0.25, 0.3)}
    assert detections.TUNED == summed_masks.TUNED == shaped.TUNED == {}
    assert (summed_masks.ON_REQUEST, shaped.ON_REQUEST) == (True, True)
    assert not getattr(detections, "ON_REQUEST", False)
    assert not getattr(gray_flow, "ON_REQUEST", False)
