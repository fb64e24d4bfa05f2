from __future__ import annotations

import numpy as np
import pytest

from cellproof.data.description import Description
from cellproof.data.doctor import examine, find_duplicates

OBJECTS = Description("x", "instances", ignore=65535)
SEMANTIC = Description("x", "semantic", ("a", "b"))


def findings(mask: np.ndarray, description: Description = OBJECTS, image: np.ndarray | None = None) -> list[str]:
    image = np.zeros((1, *mask.shape), np.uint8) if image is None else image
    return examine("a", image, mask, description)


def square() -> np.ndarray:
    mask = np.zeros((20, 20), np.uint16)
    mask[5:12, 5:12] = 700
    return mask


def test_a_sound_mask_has_no_findings():
    assert findings(square()) == []


def test_a_hole_is_found_and_a_bay_is_none():
    bay = square()
    bay[8, 8:] = 0
    assert findings(bay) == []
    hole = square()
    hole[8, 8] = 0
    assert findings(hole) == ["a: 1 objects with holes (ids 700)"]


def test_a_hole_that_another_object_fills_is_one():
    mask = square()
    mask[7:10, 7:10] = 3
    assert findings(mask) == ["a: 1 objects with holes (ids 700)"]


def test_specks_and_broken_objects_are_counted_and_named():
    mask = square()
    mask[0, 0:10:2] = np.arange(1, 6)
    mask[19, 19] = 700
    assert findings(mask) == [
        "a: 5 specks of at most 4 pixels (ids 1, 2, 3, …)",
        "a: 1 objects in several separate pieces (ids 700)",
    ]


@pytest.mark.parametrize("description", [OBJECTS, SEMANTIC])
def test_empty_and_black_and_white_masks_are_named(description):
    assert findings(np.zeros((4, 4), np.uint8), description) == ["a: the mask is empty"]
    mask = np.full((4, 4), 255, np.uint8)
    assert findings(mask, description) == [
        "a: the mask holds 0 and 255 only: foreground, without classes or object ids"
    ]


def test_only_ignored_pixels_are_an_empty_mask():
    assert findings(np.full((4, 4), 65535, np.uint16)) == ["a: the mask is empty"]


def test_another_size_is_the_only_finding():
    assert findings(square(), image=np.zeros((3, 20, 21), np.uint8)) == [
        "a: the image has shape (20, 21), its mask (20, 20)"
    ]


def test_overexposure_is_found_in_whole_numbers_only():
    image = np.zeros((1, 20, 20), np.uint8)
    image[0, :4] = 255
    assert findings(square(), image=image) == ["a: 20% of the pixels are saturated"]
    assert findings(square(), image=image.astype(np.float32)) == []


def test_pictures_of_the_same_content_are_found():
    assert find_duplicates({"train/a": "x", "val/b": "y", "val/a": "x", "test/c": "z"}) == [("train/a", "val/a")]
    assert find_duplicates({}) == []
