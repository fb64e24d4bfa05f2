"""Detections moved, turned and painted on pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellproof.checks import InputError
from cellproof.detectors.detections import Detections, by_score, overlaps


def test_a_table_becomes_columns_and_one_of_another_width_is_refused():
    table = np.array([[1, 2, 5, 8, 0.75, 2, 0.1, 0.2, 0.3, 0.4]], np.float32)
    found = Detections.of_table(table)
    assert found.boxes.tolist() == [[1, 2, 5, 8]]
    assert (found.scores.tolist(), found.classes.tolist()) == ([0.75], [2])
    assert found.masks[0].round(1).tolist() == np.array([[0.1, 0.2], [0.3, 0.4]], np.float32).tolist()
    with pytest.raises(InputError, match="shape \\(1, 9\\), expected \\(n, 6"):
        Detections.of_table(table[:, :9])


def test_a_mask_is_the_mean_of_its_cells_and_linear_between_their_centers():
    mask = np.array([[[0.0, 1.0]] * 2], np.float32)[:, :, :]
    one = Detections(np.array([[2, 1, 6, 3]], np.float32), np.ones(1), np.ones(1), mask)
    ((rows, columns, patch),) = one.patches((5, 8))
    # Cells have their centers at 3 and 5, pixels at 2.5, 3.5, 4.5 and 5.5.
    assert (rows, columns) == (slice(1, 3), slice(2, 6))
    assert patch.tolist() == [[0.0, 0.25, 0.75, 1.0]] * 2


def test_boxes_that_reach_out_of_the_image_keep_the_part_inside():
    one = Detections(np.array([[-2, -2, 2, 2], [20, 0, 30, 4]]), np.ones(2), np.ones(2), np.ones((2, 2, 2)))
    (first, second) = one.patches((6, 6))
    assert first[2].shape == (2, 2)
    assert second[2].size == 0


@given(turns=st.integers(0, 3), flip=st.booleans(), seed=st.integers(0, 99))
def test_a_view_and_back_paints_the_same_pixels(turns, flip, seed):
    rng = np.random.default_rng(seed)
    height, width = 9, 12
    left, top = rng.uniform(0, 5, 2)
    one = Detections(
        np.array([[left, top, left + rng.uniform(2, 6), top + rng.uniform(2, 4)]]),
        np.ones(1),
        np.ones(1),
        rng.random((1, 3, 3)),
    )
    turned, shape = one, (height, width)
    for _ in range(turns):
        turned, shape = turned.turned_back(shape[0]), shape[::-1]
    if flip:
        turned = turned.flipped(shape[1])
    painted, expected = np.zeros(shape), np.zeros((height, width))
    for canvas, detections in ((painted, turned), (expected, one)):
        ((rows, columns, patch),) = detections.patches(canvas.shape)
        canvas[rows, columns] = patch
    view = np.rot90(expected, -turns)
    np.testing.assert_allclose(painted, view[:, ::-1] if flip else view, atol=1e-5)


def test_overlaps_are_intersection_over_union():
    boxes = np.array([[0, 0, 4, 4], [2, 2, 6, 6], [4, 0, 8, 4], [1, 1, 3, 3]])
    np.testing.assert_allclose(overlaps(boxes[0], boxes), [1, 4 / 28, 0, 4 / 16])


def test_the_best_come_first_and_those_below_a_score_not_at_all(draw):
    found = by_score(draw((0, 0, 1, 1, 0.3), (1, 0, 2, 1, 0.9), (2, 0, 3, 1, 0.5)), least=0.4)
    assert found.boxes[:, 0].tolist() == [1, 2]
