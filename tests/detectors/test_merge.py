"""Detections of several runs become one set."""

from __future__ import annotations

import numpy as np
import pytest

from cellproof.detectors.detections import Detections
from cellproof.detectors.merge import distinct, merge


def test_one_object_found_twice_is_the_mean_and_one_found_once_counts_half(draw):
    merged = merge([draw((0, 0, 10, 10, 0.9), (40, 0, 50, 10, 0.8)), draw((1, 0, 11, 10, 0.6))])
    assert merged.scores.tolist() == pytest.approx([0.75, 0.4])
    # Weighted by score: (0 × 0.9 + 1 × 0.6) / 1.5.
    np.testing.assert_allclose(merged.boxes, [[0.4, 0, 10.4, 10], [40, 0, 50, 10]], atol=1e-6)


def test_classes_and_distant_boxes_stay_apart(draw):
    merged = merge([draw((0, 0, 10, 10, 0.8, 1)), draw((0, 0, 10, 10, 0.8, 2)), draw((6, 0, 16, 10, 0.8, 1))])
    assert sorted(merged.classes.tolist()) == [1, 1, 2]


def test_two_boxes_of_one_run_are_never_one_object(draw):
    merged = merge([draw((0, 0, 10, 10, 0.9), (1, 0, 11, 10, 0.8)), draw((0, 0, 10, 10, 0.7))])
    assert merged.scores.tolist() == pytest.approx([0.8, 0.4])


def test_masks_are_laid_on_the_mean_box(draw):
    """Two boxes of one size, shifted by half of a cell: their half-filled masks meet in the middle."""
    half = np.zeros((1, 4, 4), np.float32)
    half[:, :, :2] = 1
    one = Detections(np.array([[0.0, 0, 8, 8]]), np.array([0.5]), np.ones(1), half)
    other = Detections(np.array([[2.0, 0, 10, 8]]), np.array([0.5]), np.ones(1), half)
    merged = merge([one, other])
    np.testing.assert_allclose(merged.boxes, [[1, 0, 9, 8]])
    # Cells of the mean box have their centers at 2, 4, 6, 8: in the first mask at 1, 1/2, 0 and 0 after interpolation,
    # in the second at 0 (outside of it is 2 only at its edge), 1, 1/2 and 0.
    np.testing.assert_allclose(merged.masks[0][0], [1, 0.75, 0.25, 0], atol=1e-6)


def test_no_runs_found_anything(draw):
    merged = merge([draw(), draw()])
    assert len(merged) == 0
    assert merged.masks.shape == (0, 4, 4)


def test_windows_that_see_one_object_twice_keep_the_better(draw):
    kept = distinct(draw((0, 0, 10, 10, 0.7), (1, 0, 11, 10, 0.9), (0, 0, 10, 10, 0.5, 2), (30, 0, 40, 10, 0.2)))
    assert kept.scores.tolist() == pytest.approx([0.9, 0.5, 0.2])
