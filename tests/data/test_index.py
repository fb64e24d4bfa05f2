from __future__ import annotations

from pathlib import Path

import pytest

from cellproof.checks import InputError
from cellproof.data.description import Description
from cellproof.data.index import index

PLAIN = Description("x", "instances")
GROUPED = Description("x", "instances", attributes="table.csv", group="patient")


def lay(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def found(folder: Path, description: Description = PLAIN) -> list[tuple[str, str, str, str]]:
    return [
        (record.split, record.name, str(record.image.relative_to(folder)), str(record.mask.relative_to(folder)))
        for record in index(folder, description)
    ]


def test_splits_are_the_folders_that_hold_images(tmp_path):
    lay(tmp_path, "val/images/a.png", "val/masks/a.png", "train/images/b.webp", "train/masks/b.tif", "notes/readme.md")
    assert found(tmp_path) == [
        ("train", "b", "train/images/b.webp", "train/masks/b.tif"),
        ("val", "a", "val/images/a.png", "val/masks/a.png"),
    ]


def test_without_split_folders_the_split_is_empty(tmp_path):
    lay(tmp_path, "images/b.jpg", "images/a.ome.tif", "masks/a.png", "masks/b.png", "images/Thumbs.db", "images/.c.png")
    assert found(tmp_path) == [
        ("", "a", "images/a.ome.tif", "masks/a.png"),
        ("", "b", "images/b.jpg", "masks/b.png"),
    ]


def test_masks_beside_their_images_are_found_by_their_ending(tmp_path):
    lay(tmp_path, "x.tif", "x_masks.tif", "y.1.tif", "y.1_masks.png")
    assert found(tmp_path) == [("", "x", "x.tif", "x_masks.tif"), ("", "y.1", "y.1.tif", "y.1_masks.png")]


def test_the_table_gives_attributes_and_groups(tmp_path):
    lay(tmp_path, "images/a.png", "images/b.png", "masks/a.png", "masks/b.png")
    (tmp_path / "table.csv").write_text("split,name,patient,grade\ntrain,b,7,high\nval,a,4,\n", encoding="utf-8")
    first, second = index(tmp_path, GROUPED)
    assert (first.group, first.attributes, first.split) == ("4", {"patient": "4", "grade": ""}, "")
    assert (second.group, second.attributes) == ("7", {"patient": "7", "grade": "high"})


def test_without_groups_each_image_is_its_own(tmp_path):
    lay(tmp_path, "images/a.png", "masks/a.png")
    (record,) = index(tmp_path, PLAIN)
    assert (record.group, dict(record.attributes)) == ("a", {})


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            [],
            r"holds no images; expected images/ and masks/ .*, these under train/ and val/, or pairs a\.tif and a_masks",
        ),
        (["a.png", "b.png"], "holds 2 images but no masks; expected images/ and masks/"),
        (["a.png"], "holds 1 image but no masks"),
        (["images/readme.md", "masks/readme.md"], "holds no images"),
        (["images/a.png"], "has images/ but no masks/"),
        (["images/a.png", "images/b.png", "masks/b.png"], r"1 of 2 images in .* have no mask of the same stem: a\.png"),
        (
            ["train/images/a.png", *(f"train/masks/{name}.tif" for name in "abcdef")],
            r"5 of 6 masks in .*train have no image of the same stem: b\.tif, c\.tif, d\.tif, …",
        ),
        (["images/a.png", "images/a.tif", "masks/a.png"], r"a\.png and a\.tif have the same stem"),
        (["x_masks.tif"], "1 of 1 masks in .* have no image"),
    ],
)
def test_a_folder_that_does_not_pair_up_is_refused(tmp_path, files, message):
    with pytest.raises(InputError, match=message):
        index(lay(tmp_path, *files), PLAIN)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="is not a folder"):
        index(tmp_path / "nowhere", PLAIN)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, "table.csv cannot be read"),
        ("", "has no column 'name'; there: none"),
        ("name,grade\na,1\n", "has no column 'patient'; there: name, grade"),
        ("name,patient\nb,1\n", "a has no 'patient' in table.csv"),
    ],
)
def test_a_table_that_lacks_what_is_needed_is_refused(tmp_path, table, message):
    lay(tmp_path, "images/a.png", "masks/a.png")
    if table is not None:
        (tmp_path / "table.csv").write_text(table, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        index(tmp_path, GROUPED)


def test_a_group_without_table_is_refused(tmp_path):
    lay(tmp_path, "images/a.png", "masks/a.png")
    with pytest.raises(InputError, match='group = "patient" needs a table'):
        index(tmp_path, Description("x", "instances", group="patient"))
