from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellproof.checks import InputError
from cellproof.data.description import Description
from cellproof.data.samples import fix_mask, make_sample, rescale_sample
from cellproof.types import IGNORE, Sample

SEMANTIC = Description("s", "semantic", ("cell", "membrane"))
OBJECTS = Description("i", "instances", ("nucleus",))
TWO_KINDS = Description("i", "instances", ("nucleus", "debris"))


def gray(shape: tuple[int, int]) -> np.ndarray:
    return np.zeros((1, *shape), np.float32)


def sample(mask: list[list[int]], description: Description, **options: np.ndarray) -> Sample:
    array = np.array(mask, np.uint16)
    return make_sample(gray(array.shape), array, description, **options)


def test_semantic_values_are_classes_and_the_ignore_value_is_ignored():
    made = sample([[0, 1, 7], [1, 0, 7]], Description("s", "semantic", ("a", "b"), ignore=7))
    np.testing.assert_array_equal(made.class_map, [[0, 1, IGNORE], [1, 0, IGNORE]])
    assert made.class_map.dtype == np.uint8
    assert made.instances is None


def test_objects_are_numbered_without_gaps_and_ignored_pixels_are_none():
    made = sample([[0, 9, 9], [300, 65535, 0]], Description("i", "instances", ignore=65535))
    np.testing.assert_array_equal(made.instances, [[0, 1, 1], [2, 0, 0]])
    np.testing.assert_array_equal(made.class_map, [[0, 1, 1], [1, IGNORE, 0]])
    assert made.instances.dtype == np.int32


def test_objects_without_background_start_at_one():
    np.testing.assert_array_equal(sample([[5, 8]], OBJECTS).instances, [[1, 2]])
    np.testing.assert_array_equal(sample([[0, 0]], OBJECTS).instances, [[0, 0]])


def test_objects_of_several_classes_take_theirs_from_the_class_map():
    made = sample([[0, 4, 4], [6, 6, 0]], TWO_KINDS, classes=np.array([[0, 1, 1], [2, 2, 2]]))
    np.testing.assert_array_equal(made.class_map, [[0, 1, 1], [2, 2, 0]])


@pytest.mark.parametrize(
    ("mask", "description", "options", "message"),
    [
        ([[0, 1, 2], [3, 0, 0]], SEMANTIC, {}, "the mask holds 2, 3, expected class ids 0 to 1"),
        ([[1, 2]], TWO_KINDS, {}, "objects of the classes nucleus, debris need a class map"),
        ([[1, 2]], TWO_KINDS, {"classes": np.array([[1, 3]])}, "the mask holds 3, expected class ids 1 to 2"),
        ([[1, 2]], TWO_KINDS, {"classes": np.array([[1]])}, "object ids are 1 × 2 pixels and the class map 1 × 1"),
    ],
)
def test_masks_that_contradict_the_description_are_refused(mask, description, options, message):
    with pytest.raises(InputError, match=message):
        sample(mask, description, **options)


def test_a_mask_of_another_size_than_its_image_is_refused():
    with pytest.raises(InputError, match="the image is 4 × 5 pixels and its mask 5 × 4"):
        make_sample(gray((4, 5)), np.zeros((5, 4), int), OBJECTS)


def test_zero_and_255_are_two_classes():
    mask, notes = fix_mask(np.array([[0, 255], [255, 0]], np.uint8), SEMANTIC)
    np.testing.assert_array_equal(mask, [[0, 1], [1, 0]])
    assert notes == ["mask value 255 taken for class 1 (membrane)"]


@pytest.mark.parametrize(
    ("values", "description"),
    [
        ([0, 255], Description("s", "semantic", ("a", "b"), ignore=255)),
        ([0, 1], SEMANTIC),
        ([0, 255], Description("s", "semantic", ("a", "b", "c"))),
        ([0, 1, 255], SEMANTIC),
        ([0, 0], OBJECTS),
        ([0, 1, 2], OBJECTS),
        ([255, 0], OBJECTS),
    ],
)
def test_masks_without_a_plain_fault_stay_as_they_are(values, description):
    mask = np.array([values], np.uint8)
    fixed, notes = fix_mask(mask, description)
    assert fixed is mask
    assert notes == []


@pytest.mark.parametrize("value", [1, 255, True])
def test_foreground_in_pieces_becomes_objects(value):
    mask = np.zeros((3, 6), type(value) if value is True else np.uint8)
    mask[0, 0], mask[1, 1], mask[0:2, 4:6] = value, value, value
    fixed, notes = fix_mask(mask, OBJECTS)
    np.testing.assert_array_equal(fixed, [[1, 0, 0, 0, 2, 2], [0, 1, 0, 0, 2, 2], [0, 0, 0, 0, 0, 0]])
    assert notes == [f"the mask is foreground of the one value {int(value)}: its 2 separate pieces taken for objects"]


def test_no_piece_takes_the_ignore_value():
    mask = np.array([[1, 0, 1, 0, 1, 3]], np.uint8)
    fixed, _ = fix_mask(mask, Description("i", "instances", ignore=3))
    np.testing.assert_array_equal(fixed, [[1, 0, 2, 0, 4, 3]])


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(1, 30), columns=st.integers(1, 30), scale=st.floats(0.2, 3))
def test_a_rescaled_sample_keeps_constants_and_invents_no_label(rows, columns, scale):
    labels = np.random.default_rng(rows).integers(0, 4, (rows, columns)).astype(np.int32)
    constant = Sample(np.full((2, rows, columns), 0.3, np.float32), labels.astype(np.uint8), labels)
    scaled = rescale_sample(constant, scale)
    assert scaled.class_map.shape == (max(1, round(rows * scale)), max(1, round(columns * scale)))
    assert scaled.image.shape == (2, *scaled.class_map.shape)
    np.testing.assert_allclose(scaled.image, 0.3, atol=1e-6)
    assert scaled.image.dtype == np.float32
    np.testing.assert_array_equal(scaled.class_map, scaled.instances)
    assert set(np.unique(scaled.instances)) <= set(np.unique(labels))


def test_image_and_labels_stay_together_when_rescaled():
    labels = np.zeros((60, 80), np.int32)
    labels[20:40, 30:60] = 1
    original = Sample(labels[np.newaxis].astype(np.float32), labels.astype(np.uint8), labels)
    for scale in (0.5, 0.37, 1.7):
        scaled = rescale_sample(original, scale)
        # Where the smoothed square is above half, the label is 1, but for pixels at the edge.
        assert ((scaled.image[0] > 0.5) != scaled.instances).mean() < 0.02


def test_shrinking_smooths_a_checkerboard_to_gray():
    board = (np.indices((32, 32)).sum(axis=0) % 2).astype(np.float32)
    flat = np.zeros((32, 32), np.uint8)
    scaled = rescale_sample(Sample(board[np.newaxis], flat), 0.25)
    np.testing.assert_allclose(scaled.image, 0.5, atol=0.05)


def test_the_same_size_is_the_same_sample_and_no_size_is_refused():
    same = Sample(gray((4, 4)), np.zeros((4, 4), np.uint8))
    assert rescale_sample(same, 1.0) is same
    for scale in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="expected a positive number"):
            rescale_sample(same, scale)
