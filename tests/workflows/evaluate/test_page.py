"""What the page of an evaluation colors: objects found, missed and false, pixel by pixel."""

from __future__ import annotations

import numpy as np

from cellproof.workflows.evaluate.page import _objects


def test_each_object_is_found_missed_or_false_and_all_else_is_none():
    truth, said = np.zeros((12, 30), np.int32), np.zeros((12, 30), np.int32)
    truth[2:8, 2:8], said[2:8, 3:8] = 1, 7
    truth[2:8, 12:18] = 2
    said[2:8, 22:28] = 9
    found, missed, false = _objects(truth, said, np.zeros(truth.shape, bool))
    np.testing.assert_array_equal(found, np.where(said == 7, 7, 0))
    np.testing.assert_array_equal(missed, np.where(truth == 2, 2, 0))
    np.testing.assert_array_equal(false, np.where(said == 9, 9, 0))


def test_nothing_is_missed_or_false_where_nothing_is_annotated():
    truth, said = np.full((8, 8), 5, np.int32), np.zeros((8, 8), np.int32)
    said[1:4, 1:4] = 3
    for some in _objects(truth, said, truth == 5):
        assert not some.any()
