"""Boxes, classes and masks of drawn objects."""

from __future__ import annotations

import torch

from cellproof.detectors._object_targets import object_targets


def test_boxes_reach_to_the_far_edge_of_the_last_pixel_and_masks_show_each_object():
    ids = torch.zeros(1, 8, 10)
    ids[0, 1:3, 2:6] = 5
    ids[0, 4:8, 7:10] = 3
    classes = torch.zeros(1, 8, 10, dtype=torch.uint8)
    classes[ids == 5] = 2
    classes[ids == 3] = 1
    (found,) = object_targets(classes, ids)
    assert found["boxes"].tolist() == [[7, 4, 10, 8], [2, 1, 6, 3]]
    assert found["labels"].tolist() == [1, 2]
    assert [mask.sum().item() for mask in found["masks"]] == [12, 8]
    assert torch.equal(found["masks"][1].bool(), ids[0] == 5)


def test_specks_are_left_out_and_an_empty_image_has_boxes_of_no_rows():
    ids = torch.zeros(2, 6, 6)
    ids[0, 2, 1:4] = 1  # three pixels
    first, second = object_targets((ids > 0).byte(), ids)
    assert first["boxes"].shape == second["boxes"].shape == (0, 4)
    assert second["masks"].shape == (0, 6, 6)
    assert second["labels"].tolist() == []


def test_an_object_in_two_pieces_has_the_box_of_both():
    ids = torch.zeros(1, 6, 9)
    ids[0, 0:2, 0:2] = ids[0, 4:6, 7:9] = 4
    assert object_targets((ids > 0).byte(), ids)[0]["boxes"].tolist() == [[0, 0, 9, 6]]
