from __future__ import annotations

import numpy as np
import pytest

from cellproof.data.description import Description
from cellproof.data.doctor import examine, find_duplicates, find_shift

OBJECTS = Description("x", "instances", ignore=65535)
SEMANTIC = Description("x", "semantic", ("a", "b"))


def findings(mask: np.ndarray, description: Description = OBJECTS, image: np.ndarray | None = None) -> list[str]:
    image = np.zeros((1, *mask.shape), np.uint8) if image is None else image
    return [text for _, text in examine(image, mask, description)]


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
    assert findings(hole) == ["1 objects with holes (ids 700)"]


def test_a_hole_that_another_object_fills_is_one():
    mask = square()
    mask[7:10, 7:10] = 3
    assert findings(mask) == ["1 objects with holes (ids 700)"]


def test_specks_and_broken_objects_are_counted_and_named():
    mask = square()
    mask[0, 0:10:2] = np.arange(1, 6)
    mask[19, 19] = 700
    assert findings(mask) == [
        "5 specks of at most 4 pixels (ids 1, 2, 3, …)",
        "1 objects in several separate pieces (ids 700)",
    ]


@pytest.mark.parametrize("description", [OBJECTS, SEMANTIC])
def test_empty_masks_are_named(description):
    assert findings(np.zeros((4, 4), np.uint8), description) == ["the mask is empty"]


def test_foreground_in_the_place_of_ids_is_named():
    mask = np.full((4, 4), 255, np.uint8)
    assert findings(mask) == ["the mask holds 0 and 255 only: foreground, without classes or object ids"]
    assert findings(mask, SEMANTIC) == []


def test_ids_that_were_interpolated_are_named_once():
    from scipy.ndimage import zoom

    mask = np.zeros((40, 40), np.uint16)
    mask[4:16, 4:16], mask[4:16, 22:34], mask[22:36, 8:30] = 90, 30, 200
    smooth = np.rint(zoom(mask.astype(float), 2, order=1)).astype(np.uint16)
    assert any("lines of single pixels" in text for text in findings(smooth))
    assert findings(zoom(mask, 2, order=0)) == []


@pytest.mark.parametrize("sign", [1, -1])
def test_a_shifted_mask_is_found_with_its_shift_and_a_fitting_one_is_not(sign):
    rng = np.random.default_rng(0)
    mask = np.zeros((96, 96), np.uint16)
    for number in range(6):
        row, column = 14 + 28 * (number // 3), 14 + 26 * (number % 3)
        mask[row : row + 13, column : column + 11] = number + 1
    image = (100 + sign * 60 * (mask > 0) + rng.normal(0, 5, mask.shape))[None]
    assert find_shift(image, mask > 0) is None
    assert find_shift(image, np.roll(mask, (7, -4), (0, 1)) > 0) == (-7, 4)
    assert find_shift(rng.normal(0, 5, image.shape), mask > 0) is None


def test_only_ignored_pixels_are_an_empty_mask():
    assert findings(np.full((4, 4), 65535, np.uint16)) == ["the mask is empty"]


def test_another_size_is_the_only_finding():
    assert findings(square(), image=np.zeros((3, 20, 21), np.uint8)) == [
        "the image has shape (20, 21), its mask (20, 20)"
    ]


def test_overexposure_is_found_in_whole_numbers_only():
    image = np.zeros((1, 20, 20), np.uint8)
    image[0, :4] = 255
    assert findings(square(), image=image) == ["20% of the pixels are saturated"]
    assert findings(square(), image=image.astype(np.float32)) == []


def test_pictures_of_the_same_content_are_found():
    assert find_duplicates({"train/a": "x", "val/b": "y", "val/a": "x", "test/c": "z"}) == [("train/a", "val/a")]
    assert find_duplicates({}) == []
