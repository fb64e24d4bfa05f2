from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from cellproof.checks import InputError
from cellproof.exchange.coco import compress, counts_of, decompress, mask_of
from cellproof.exchange.rle import decode, encode, wrong_order

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12))
orders = st.sampled_from(["row", "column"])


@given(mask=masks, order=orders, first=st.sampled_from([0, 1]))
def test_decoding_what_was_encoded_gives_the_mask_back(mask, order, first):
    text = encode(mask, order=order, first=first)
    np.testing.assert_array_equal(decode(text, mask.shape, order=order, first=first), mask)


@given(mask=masks)
def test_columns_of_a_mask_are_rows_of_its_transpose(mask):
    assert encode(mask, order="column") == encode(mask.T, order="row")


def test_runs_of_a_drawn_mask_are_those_of_the_competitions_example():
    # Kaggle's own words: "1 3 10 5" are pixels 1, 2, 3, 10, 11, 12, 13, 14.
    assert np.flatnonzero(decode("1 3 10 5", (4, 5), order="row")).tolist() == [0, 1, 2, 9, 10, 11, 12, 13]


def test_runs_that_overlap_are_joined():
    assert decode("1 3 2 4", (1, 8), order="row").astype(int).tolist() == [[1, 1, 1, 1, 1, 0, 0, 0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3", "3 numbers, expected an even count"),
        ("1 0", "a run of length 0"),
        ("1 -2", "a run of length -2"),
        ("0 2", "a run from 0 of length 2 leaves an image of 12 pixels"),
        ("11 3", "a run from 11 of length 3 leaves an image of 12 pixels"),
        ("1 x", "expected whole numbers"),
        ("1 99999999999999999999", "expected whole numbers"),
    ],
)
def test_runs_that_cannot_be_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        decode(text, (3, 4), order="row")


@pytest.mark.parametrize("order", ["row", "column"])
def test_the_wrong_order_of_a_compact_cell_is_noticed_and_the_right_one_is_not(order):
    rows, columns = np.mgrid[:104, :141]
    cell = np.hypot(rows - 50, columns - 70) < 12
    other = "column" if order == "row" else "row"
    assert wrong_order(encode(cell, order=other), cell.shape, order=order)
    assert not wrong_order(encode(cell, order=order), cell.shape, order=order)


def test_a_mask_that_is_scattered_either_way_is_taken_at_its_word():
    dust = np.zeros((60, 60), bool)
    dust[::3, ::3] = True
    assert not wrong_order(encode(dust, order="row"), dust.shape, order="row")


@given(mask=masks)
def test_cocos_runs_equal_pycocotools(mask):
    reference = pytest.importorskip("pycocotools.mask")
    theirs = reference.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    assert compress(counts_of(mask)) == theirs
    np.testing.assert_array_equal(mask_of({"counts": theirs}, mask.shape), mask)
    np.testing.assert_array_equal(mask_of({"counts": counts_of(mask)}, mask.shape), mask)


@given(counts=st.lists(st.integers(0, 10**6), max_size=20))
def test_decompressing_what_was_compressed_gives_the_counts_back(counts):
    assert decompress(compress(counts)) == counts


def test_a_polygon_fills_the_pixels_whose_centers_it_holds():
    mask = mask_of([[1, 1, 4, 1, 4, 3, 1, 3]], (5, 6))
    np.testing.assert_array_equal(np.argwhere(mask), [[r, c] for r in (1, 2) for c in (1, 2, 3)])


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ({"counts": [3, 2]}, "runs of 5 pixels for an image of 3 × 4"),
        ({"counts": "\x7f"}, "compressed runs hold"),
        ([[1, 2, 3, 4]], "a polygon of 4 numbers"),
        ([], "no segmentation"),
    ],
)
def test_segmentations_that_cannot_be_are_refused(segmentation, message):
    with pytest.raises(InputError, match=message):
        mask_of(segmentation, (3, 4))
