"""Files of exactly the layouts that the sets have, imported through the command line."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

from cellproof.checks import InputError
from cellproof.cli import main
from cellproof.exchange import sartorius
from cellproof.exchange.coco import compress, counts_of
from cellproof.exchange.rle import encode
from cellproof.io import read_labels
from cellproof.io.png import write_png

CELLS = np.array(
    [
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 0, 2, 2],
        [1, 1, 1, 0, 2, 2],
        [0, 0, 0, 0, 0, 0],
    ]
)

COLUMNS = "id,annotation,width,height,cell_type,plate_time,sample_date,sample_id,elapsed_timedelta"


def write_sartorius(
    folder: Path, rows: list[tuple[str, str, int, int, str]], images: dict[str, tuple[int, int]]
) -> Path:
    (folder / "train").mkdir(parents=True)
    for name, shape in images.items():
        write_png(folder / "train" / f"{name}.png", np.full(shape, 128, np.uint8))
    with (folder / "train.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS.split(","))
        for name, text, height, width, kind in rows:
            table.writerow([name, text, width, height, kind, "11h30m00s", "2019-06-16", "x", "0 days"])
    return folder


def cells_rows(name: str, kind: str) -> list[tuple[str, str, int, int, str]]:
    return [(name, encode(value == CELLS, order="row"), *CELLS.shape, kind) for value in (1, 2)]


def test_sartorius_becomes_label_images_with_the_cell_type_in_the_table(tmp_path):
    # Rows of one image need not stand together.
    rows = [cells_rows("a", "astro")[0], *cells_rows("b", "cort"), cells_rows("a", "astro")[1]]
    source = write_sartorius(tmp_path / "set", rows, {"a": CELLS.shape, "b": CELLS.shape})
    assert main(["import", str(source), "--as", "sartorius", "--out", str(tmp_path / "data")]) == 0
    for name in "ab":
        np.testing.assert_array_equal(read_labels(tmp_path / "data" / "train" / "masks" / f"{name}.tif"), CELLS)
    with (tmp_path / "data" / "manifest.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [(row["name"], row["objects"], row["cell_type"]) for row in table] == [
        ("a", "2", "astro"),
        ("b", "2", "cort"),
    ]


def test_a_pixel_of_several_cells_goes_to_the_smallest_and_is_counted(tmp_path, capsys):
    large, small = np.ones((4, 6), bool), np.zeros((4, 6), bool)
    small[1:3, 1:3] = True
    rows = [("a", encode(mask, order="row"), 4, 6, "cort") for mask in (small, large)]
    source = write_sartorius(tmp_path / "set", rows, {"a": (4, 6)})
    assert main(["import", str(source), "--as", "sartorius", "--out", str(tmp_path / "data")]) == 0
    labels = read_labels(tmp_path / "data" / "train" / "masks" / "a.tif")
    np.testing.assert_array_equal(labels == 1, small)
    assert "4 pixels belong to several objects" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("a", "1 2 3", 4, 6, "cort"), "train.csv, row 2: 3 numbers"),
        (("a", "20 9", 4, 6, "cort"), "train.csv, row 2: a run from 20 of length 9 leaves"),
        (("a", "1 2", 0, 6, "cort"), "train.csv, row 2: an image of 0 × 6"),
        (("a", "1 2", 5, 6, "cort"), "4 × 6 pixels, the annotation says 5 × 6"),
        (("z", "1 2", 4, 6, "cort"), "row 2: .*z.png does not exist"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_and_skipped_only_when_told(tmp_path, capsys, row, message):
    good = [("b", "1 2", 4, 6, "cort")]
    source = write_sartorius(tmp_path / "set", [row, *good], {"a": (4, 6), "b": (4, 6)})
    assert main(["import", str(source), "--as", "sartorius", "--out", str(tmp_path / "data")]) == 1
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("rows", "images", "message"),
    [
        ([("z", "1 2", 4, 6, "cort")], ("b",), "row 2: .*z.png does not exist"),
        ([("a", "1 2", "x", 6, "cort")], ("a", "b"), "row 2: width or height is no whole number"),
        ([("a", "1 2", 4, 6, "cort"), ("a", "4 1", 4, 6, "astro")], ("a", "b"), "row 3: size or cell_type of a differ"),
        ([("a", "1 0", 4, 6, "cort")], ("a", "b"), "row 2: a run of length 0"),
        ([("a", "5 -2", 4, 6, "cort")], ("a", "b"), "row 2: a run of length -2"),
        ([], ("a", "b"), "train.csv: no row for .*a.png"),
    ],
)
def test_whatever_is_wrong_with_an_image_only_that_image_is_skipped(tmp_path, capsys, rows, images, message):
    rows = [*rows, ("b", "1 2", 4, 6, "cort")]
    source = write_sartorius(tmp_path / "set", rows, dict.fromkeys(images, (4, 6)))
    command = ["import", str(source), "--as", "sartorius", "--out"]
    assert main([*command, str(tmp_path / "stopped")]) == 1
    assert re.search(message, capsys.readouterr().err)
    assert main([*command, str(tmp_path / "data"), "--skip"]) == 0
    assert re.search("left out: .*" + message, capsys.readouterr().err)
    assert read_labels(tmp_path / "data" / "train" / "masks" / "b.tif").tolist()[0] == [1, 1, 0, 0, 0, 0]


def test_an_image_left_out_is_named(tmp_path, capsys):
    rows = [("a", "1 2 3", 4, 6, "cort"), ("b", "1 2", 4, 6, "cort")]
    source = write_sartorius(tmp_path / "set", rows, {"a": (4, 6), "b": (4, 6)})
    assert main(["import", str(source), "--as", "sartorius", "--out", str(tmp_path / "data"), "--skip"]) == 0
    shown = capsys.readouterr()
    assert "left out: " in shown.err
    assert "1 images with 1 objects imported, 1 left out" in shown.out
    assert [path.name for path in (tmp_path / "data" / "train" / "images").iterdir()] == ["b.png"]


def test_columns_taken_for_rows_are_noticed(tmp_path):
    rows_, columns = np.mgrid[:52, :70]
    cell = np.hypot(rows_ - 25, columns - 40) < 10
    source = write_sartorius(tmp_path / "set", [("a", encode(cell, order="column"), 52, 70, "cort")], {"a": (52, 70)})
    (image,) = sartorius.index(source)
    with pytest.raises(
        InputError, match="row 2: pixels lie scattered if runs go along rows, and together along columns"
    ):
        list(image.masks())


def test_seventy_thousand_cells_are_indexed_without_reading_their_masks(tmp_path):
    text = " ".join(f"{1 + 704 * row} 12" for row in range(20))
    names = [f"{number:012x}" for number in range(600)]
    rows = [(name, text, 520, 704, "cort") for name in names for _ in range(117)]
    source = write_sartorius(tmp_path / "set", rows, dict.fromkeys(names, (1, 1)))
    found = sartorius.index(source)
    assert len(found) == 600
    assert sum(1 for _ in found[599].masks()) == 117


def test_the_bowls_mask_files_and_its_table_give_the_same_labels(tmp_path):
    for name in ("files", "table"):
        folder = tmp_path / "set" / "stage1_train" / name
        (folder / "images").mkdir(parents=True)
        write_png(folder / "images" / f"{name}.png", np.full(CELLS.shape, 9, np.uint8))
    masks = tmp_path / "set" / "stage1_train" / "files" / "masks"
    masks.mkdir()
    lines = ["ImageId,EncodedPixels"]
    for value in (1, 2):
        write_png(masks / f"{value}.png", np.where(value == CELLS, 255, 0).astype(np.uint8))
        lines.append(f"table,{encode(value == CELLS, order='column')}")
    (tmp_path / "set" / "stage1_train_labels.csv").write_text("\n".join(lines))
    assert main(["import", str(tmp_path / "set"), "--as", "dsb2018", "--out", str(tmp_path / "data")]) == 0
    for name in ("files", "table"):
        np.testing.assert_array_equal(read_labels(tmp_path / "data" / "train" / "masks" / f"{name}.tif"), CELLS)


def test_coco_polygons_and_runs_become_labels(tmp_path):
    write_png(tmp_path / "a.png", np.full((6, 8), 50, np.uint8))
    square = np.zeros((6, 8), bool)
    square[1:3, 1:4] = True
    other = np.zeros((6, 8), bool)
    other[4:6, 5:8] = True
    segmentations = [[[1, 1, 4, 1, 4, 3, 1, 3]], {"counts": compress(counts_of(other)), "size": [6, 8]}]
    content = {
        "images": [{"id": 7, "file_name": "sub/a.png", "height": 6, "width": 8}],
        "annotations": [{"id": i, "image_id": 7, "segmentation": one} for i, one in enumerate(segmentations)],
    }
    (tmp_path / "set.json").write_text(json.dumps(content))
    assert main(["import", str(tmp_path / "set.json"), "--as", "coco", "--out", str(tmp_path / "data")]) == 0
    labels = read_labels(tmp_path / "data" / "train" / "masks" / "a.tif")
    np.testing.assert_array_equal(labels, square + 2 * other)


def test_an_annotation_of_an_image_that_is_not_listed_is_named(tmp_path, capsys):
    content = {"images": [], "annotations": [{"image_id": 3, "segmentation": []}]}
    (tmp_path / "set.json").write_text(json.dumps(content))
    assert main(["import", str(tmp_path / "set.json"), "--as", "coco", "--out", str(tmp_path / "data")]) == 1
    assert "annotation 0: no image 3 in images" in capsys.readouterr().err


def test_an_unknown_format_and_a_folder_that_holds_something_are_wrong_use(tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    assert main(["import", str(tmp_path), "--as", "voc", "--out", str(tmp_path / "data")]) == 2
    assert main(["import", str(tmp_path), "--as", "coco", "--out", str(tmp_path / "full")]) == 2
    errors = capsys.readouterr().err
    assert "format is 'voc', expected one of sartorius, coco, dsb2018" in errors
    assert "is not empty" in errors
