"""One table of names for images, masks and predictions; what fits twice is refused with both names."""

from __future__ import annotations

from pathlib import Path

import pytest

from cellproof.checks import InputError
from cellproof.data.pairing import pair, pair_in_one_folder


def _paths(folder, *names):
    return [Path(folder) / name for name in names]


def test_equal_names_go_before_endings():
    images = _paths("i", "c_masks.tif", "c.tif")
    pairs = pair(images, _paths("m", "c_masks.png", "c.png")).pairs
    assert sorted((a.name, b.name) for a, b in pairs.values()) == [("c.tif", "c.png"), ("c_masks.tif", "c_masks.png")]


def test_masks_of_one_name_on_both_sides_pair():
    pairs = pair(_paths("ref", "c0_masks.tif", "c1_masks.tif"), _paths("pred", "c0_masks.tif", "c1.tif")).pairs
    assert set(pairs) == {"c0", "c1"}


def test_frames_that_end_like_channels_are_frames():
    names = [f"f_{number:04d}" for number in range(3)]
    pairs = pair(_paths("i", *(f"{name}.tif" for name in names)), _paths("m", *(f"{n}_masks.tif" for n in names)))
    assert sorted(pairs.pairs) == names
    assert pairs.first_alone == ()


@pytest.mark.parametrize(
    ("images", "masks", "both"),
    [
        (["a.tif"], ["a_masks.tif", "a_seg.tif"], ("a_masks.tif", "a_seg.tif")),
        (["a.tif"], ["a.tif", "a_masks.tif"], ("a.tif", "a_masks.tif")),
        (["a_img.tif", "a_image.tif"], ["a.tif"], ("a_img.tif", "a_image.tif")),
        (["a.tif", "a.png"], ["a.tif"], ("a.tif", "a.png")),
    ],
)
def test_what_fits_twice_is_refused_with_both_names(images, masks, both):
    with pytest.raises(InputError) as caught:
        pair(_paths("i", *images), _paths("m", *masks))
    assert all(name in str(caught.value) for name in both)


def test_what_has_no_partner_is_told():
    pairs = pair_in_one_folder(_paths("x", "a.tif", "a_masks.tif", "b.tif", "c_label.tif"))
    assert set(pairs.pairs) == {"a"}
    assert [path.name for path in (*pairs.first_alone, *pairs.second_alone)] == ["b.tif", "c_label.tif"]
