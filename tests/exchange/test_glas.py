"""Folders of exactly the layout that the challenge published, imported through the command line."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cellproof.checks import InputError
from cellproof.cli import main
from cellproof.data.description import read_description
from cellproof.exchange import glas
from cellproof.io import read_labels

# Gland 2 is cut by the border, gland 5 has a lumen that was left out; numbers may have gaps.
GLANDS = np.array(
    [
        [0, 0, 0, 0, 0, 2, 2],
        [0, 5, 5, 5, 0, 2, 2],
        [0, 5, 0, 5, 0, 0, 0],
        [0, 5, 5, 5, 0, 0, 0],
    ],
    np.uint8,
)
TISSUE = np.zeros_like(GLANDS)

HEADINGS = "name,patient ID, grade (GlaS), grade (Sirinukunwattana et al. 2015)"


def write_official(folder: Path, images: dict[str, np.ndarray], rows: list[str]) -> Path:
    folder.mkdir()
    for name, mask in images.items():
        Image.fromarray(np.full((*mask.shape, 3), 180, np.uint8)).save(folder / f"{name}.bmp")
        Image.fromarray(mask).save(folder / f"{name}_anno.bmp")
    (folder / "Grade.csv").write_text("\n".join([HEADINGS, *rows, ""]))
    return folder


def test_the_official_folder_keeps_splits_patients_grades_and_holes(tmp_path):
    images = {"train_2": GLANDS, "train_10": TISSUE, "testA_1": GLANDS, "testB_1": GLANDS}
    rows = [
        "testA_1,5, benign, adenomatous",
        "testB_1,7, malignant, poorly differentiated",
        "train_2,1, malignant, moderately differentiated",
        "train_10,5, benign, healthy",
    ]
    source = write_official(tmp_path / "Warwick QU Dataset (Released 2016_07_08)", images, rows)
    out = tmp_path / "data"
    assert main(["import", str(source), "--as", "glas", "--out", str(out)]) == 0
    with (out / "manifest.csv").open() as file:
        table = [
            (row["split"], row["name"], row["objects"], row["patient"], row["grade"]) for row in csv.DictReader(file)
        ]
    assert table == [
        ("train", "train_2", "2", "1", "malignant"),
        ("train", "train_10", "0", "5", "benign"),
        ("testA", "testA_1", "2", "5", "benign"),
        ("testB", "testB_1", "2", "7", "malignant"),
    ]
    expected = np.where(GLANDS == 2, 1, np.where(GLANDS == 5, 2, 0))
    for split, name in (("train", "train_2"), ("testA", "testA_1"), ("testB", "testB_1")):
        np.testing.assert_array_equal(read_labels(out / split / "masks" / f"{name}.tif"), expected)
        assert (out / split / "images" / f"{name}.bmp").read_bytes() == (source / f"{name}.bmp").read_bytes()
    description = read_description(out)
    assert (description.classes, description.group, description.masks) == (("gland",), "patient", "instances")


def test_a_folder_of_splits_is_read_like_it(tmp_path):
    source = tmp_path / "glas"
    for split in ("train", "testA"):
        for part in ("images", "masks"):
            (source / split / part).mkdir(parents=True)
        Image.fromarray(np.full((*GLANDS.shape, 3), 180, np.uint8)).save(source / split / "images" / f"{split}_1.png")
        Image.fromarray(GLANDS).save(source / split / "masks" / f"{split}_1.png")
    (source / "manifest.csv").write_text(
        "split,name,grade,patient\ntrain,train_1,benign,3\ntestA,testA_1,malignant,4\n"
    )
    found = glas.index(source, read_mask=read_labels)
    assert [(one.split, one.name, one.attributes["patient"]) for one in found] == [
        ("train", "train_1", "3"),
        ("testA", "testA_1", "4"),
    ]
    assert [int(mask.sum()) for _, mask in found[0].masks()] == [4, 8]


@pytest.mark.parametrize(
    ("rows", "removed", "message"),
    [
        (["train_1,1, benign, healthy"], "train_1_anno.bmp", "its annotation train_1_anno.bmp is missing"),
        (["train_2,1, benign, healthy"], "", "no row for train_1.bmp"),
        (["train_1,1"], "", "row 2: a cell is empty"),
        (["train_1,1, benign, healthy"], "Grade.csv", "says which patient each image is of"),
        (["train_1,1, benign, healthy"], "train_1.bmp", "holds no train_1.bmp"),
    ],
)
def test_what_is_missing_is_named(tmp_path, rows, removed, message):
    source = write_official(tmp_path / "set", {"train_1": GLANDS}, rows)
    if removed:
        (source / removed).unlink()
    with pytest.raises(InputError, match=message.replace(".", r"\.")):
        glas.index(source, read_mask=read_labels)


def test_a_table_of_other_columns_is_refused(tmp_path):
    source = write_official(tmp_path / "set", {"train_1": GLANDS}, ["train_1,1, benign, healthy"])
    (source / "Grade.csv").write_text("name,age\ntrain_1,50\n")
    with pytest.raises(InputError, match="expected one that begins with 'patient'"):
        glas.index(source, read_mask=read_labels)
