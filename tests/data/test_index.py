from __future__ import annotations

from pathlib import Path

import pytest

from cellproof.checks import InputError
from cellproof.data.description import Description
from cellproof.data.index import index, scan

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
            r"holds no images; expected images/ and masks/ .*, these under train/ and val/, or pairs a\.tif",
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


@pytest.mark.parametrize("name", ["validation", "valid", "dev", "Val"])
def test_other_names_of_splits_are_used_and_that_is_said(tmp_path, name):
    lay(tmp_path, "training/images/a.png", "training/masks/a.png", f"{name}/images/b.png", f"{name}/masks/b.png")
    found = scan(tmp_path, PLAIN)
    assert {record.name: record.split for record in found.records} == {"a": "train", "b": "val"}
    assert any(f"{name}/ (1 image) is taken for val/" in note for note in found.notes)


def test_what_is_left_out_is_named(tmp_path):
    lay(tmp_path, "train/images/a.png", "train/masks/a.png", "testing/images/t.png", "testing/masks/t.png")
    lay(tmp_path, "extra/images/e.png", "extra/masks/e.png", "raw/x.png", "test/images/only.png", "notes/readme.md")
    found = scan(tmp_path, PLAIN)
    assert {record.name: record.split for record in found.records} == {"a": "train", "t": "test", "e": "extra"}
    for words in (
        "testing/ (1 image) is left out of the training",
        "extra/ (1 image) is left out",
        "raw/ is left out",
    ):
        assert any(words in note for note in found.notes), words
    assert any("test/ is left out" in note for note in found.notes)
    assert not any("notes" in note for note in found.notes)


def test_a_folder_per_experiment_is_one_set(tmp_path):
    lay(tmp_path, "exp1/images/a.png", "exp1/masks/a.png", "exp2/a_img.png", "exp2/a_masks.png")
    found = scan(tmp_path, PLAIN)
    assert [(record.split, record.folder, record.name) for record in found.records] == [
        ("", "exp1", "a"),
        ("", "exp2", "a"),
    ]
    assert any("exp1/, exp2/ are taken for parts of one set" in note for note in found.notes)


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("images/x.png", "labels/x.png"),
        ("img/x_img.png", "gt/x_gt.png"),
        ("imagesTr/x_0000.png", "labelsTr/x.png"),
        ("train/x_image.tif", "train/x_label.tif"),
        ("x_img.tif", "x_masks.tif"),
        ("x_img.tif", "x_img_cp_masks.png"),
        ("x.tif", "x_seg.png"),
        ("x.tif", "x-mask.png"),
        ("images/x.png", "masks/x_mask.png"),
    ],
)
def test_the_names_of_the_field_are_known(tmp_path, image, mask):
    lay(tmp_path, image, mask)
    (record,) = index(tmp_path, PLAIN)
    assert (record.image, record.mask) == (tmp_path / image, tmp_path / mask)
    assert record.name in ("x", "x_img")
