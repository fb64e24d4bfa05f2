"""The public functions on arrays and paths: layouts, refusals, and the same answer as the files get."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

import cellproof
from cellproof.checks import InputError, UsageError
from cellproof.io import read_labels
from cellproof.types import IntensityStatistics

TORCH = {"engine": "torch", "precision": "f32", "device": "cpu"}


@pytest.fixture(scope="module")
def model(model_file) -> cellproof.Model:
    return cellproof.load_model(model_file, **TORCH)


@pytest.fixture(scope="module")
def gray(pictures) -> np.ndarray:
    return tifffile.imread(pictures.folder / "disks1.tif")


def test_a_gray_image_has_the_disks_that_were_drawn(gray, model, pictures):
    result = cellproof.segment(gray, model)
    np.testing.assert_array_equal(result.labels, pictures.labels["disks1"])
    np.testing.assert_array_equal(result.classes, result.labels > 0)
    assert result.quality.count == len(result.objects["label"]) == result.labels.max()
    assert set(result.objects["class"]) == {"disk"}
    np.testing.assert_allclose(result.probabilities.sum(axis=0), 1, atol=1e-6)
    np.testing.assert_array_equal(model.segment(gray).labels, result.labels)


def test_every_layout_of_one_image_gives_the_same(gray, model):
    expected = cellproof.segment(gray, model).labels
    color = np.stack([gray, np.roll(gray, 3), gray], axis=-1)
    for layout in (gray[None], gray[..., None], color):
        np.testing.assert_array_equal(cellproof.segment(layout, model).labels, expected)
    first = cellproof.segment(np.moveaxis(color, -1, 0), model, channels=[0, 1, 2])
    np.testing.assert_array_equal(first.labels, expected)
    np.testing.assert_array_equal(cellproof.segment(gray.T, model, axes="XY").labels, expected.T)
    np.testing.assert_array_equal(cellproof.segment(color, model, axes="YXC", channels=[2]).labels, expected)


@pytest.mark.parametrize("axes", [None, "CYX"])
def test_channels_in_front_of_rows_and_columns_are_no_color_image_until_it_is_said(axes, gray, model):
    dark = np.zeros_like(gray)
    stained = np.stack([dark, gray, dark])
    with pytest.raises(
        InputError, match=r"3 channels .* channels=0, or channels=\[0, 1, 2\] if they are red"
    ) as caught:
        cellproof.segment(stained, model, axes=axes)
    assert caught.value.arguments == ("channels",)
    assert cellproof.segment(stained, model, axes=axes, channels=0).quality.count == 0
    expected = cellproof.segment(gray, model).labels
    np.testing.assert_array_equal(cellproof.segment(stained, model, axes=axes, channels=1).labels, expected)


@pytest.mark.parametrize("as_path", [str, Path])
def test_a_path_gives_what_the_array_gives(as_path, gray, model, pictures):
    by_path = cellproof.segment(as_path(pictures.folder / "disks1.tif"), model)
    np.testing.assert_array_equal(by_path.labels, cellproof.segment(gray, model).labels)
    assert repr(by_path).count("\n") == 0
    assert f"{by_path.quality.count} objects in 33 × 61 px (YX)" in repr(by_path)


def test_planes_are_segmented_one_by_one_and_keep_the_axes(gray, model):
    shifted = np.roll(gray, 5, axis=1)
    stack = cellproof.segment(np.stack([gray, shifted, gray], axis=1), model, axes="YZX")
    assert stack.labels.shape == (33, 3, 61)
    for place, plane in enumerate((gray, shifted, gray)):
        alone = cellproof.segment(plane, model)
        np.testing.assert_array_equal(stack.labels[:, place], alone.labels)
        np.testing.assert_array_equal(stack.overlay()[:, place], alone.overlay())
        np.testing.assert_array_equal(stack.objects["area"][stack.objects["plane"] == place], alone.objects["area"])
        assert stack.planes[place].quality == alone.quality


def test_a_model_is_found_by_its_file(gray, model, model_file):
    for name in (str(model_file), model_file):
        by_file = cellproof.segment(gray, name, **TORCH)
        np.testing.assert_array_equal(by_file.labels, cellproof.segment(gray, model).labels)


def test_alpha_is_left_out_and_that_is_said(gray, model, caplog):
    alpha = np.full_like(gray, 255)
    result = cellproof.segment(np.stack([gray, gray, gray, alpha], axis=-1), model)
    np.testing.assert_array_equal(result.labels, cellproof.segment(gray, model).labels)
    assert "taken for alpha and left out" in caplog.text


def test_a_saved_result_is_read_again(gray, model, tmp_path, pictures):
    result = cellproof.segment(pictures.folder / "disks1.tif", model)
    assert result.save(str(tmp_path / "out")) == tmp_path / "out"
    np.testing.assert_array_equal(read_labels(tmp_path / "out" / "disks1_labels.tif"), result.labels)
    np.testing.assert_array_equal(read_labels(tmp_path / "out" / "disks1_classes.tif"), result.classes)
    difficulty = tifffile.imread(tmp_path / "out" / "disks1_difficulty.tif")
    np.testing.assert_array_equal(difficulty, np.rint(result.difficulty * 255))
    with (tmp_path / "out" / "disks1_objects.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["area"]) for row in rows] == result.objects["area"].tolist()


def test_the_html_of_a_result_shows_its_overlay_and_its_verdict(gray, model):
    page = cellproof.segment(gray, model)._repr_html_()
    assert page.startswith('<figure><img src="data:image/jpeg;base64,')
    assert "objects in 33 × 61 px" in page


def test_without_pandas_a_data_frame_says_how_to_install_it(gray, model, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(InputError, match="pip install pandas"):
        cellproof.segment(gray, model).to_dataframe()


def test_a_diameter_decides_the_scale_also_upward(gray, write_threshold_model, tmp_path):
    sized = write_threshold_model(
        tmp_path / "sized.safetensors", statistics=IntensityStatistics(object_diameter_px=(5.0, 16.0, 30.0))
    )
    usual = cellproof.segment(gray, sized, **TORCH)
    assert usual.scale == 1.0
    assert cellproof.segment(gray, sized, diameter_px=8, **TORCH).scale == 2.0
    assert cellproof.segment(gray, sized, diameter_px=32, **TORCH).scale == 0.5
    areas = usual.objects["area"]
    measured = np.sqrt(4 * np.sort(areas)[np.searchsorted(np.cumsum(np.sort(areas)), areas.sum() / 2)] / np.pi)
    assert cellproof.segment(gray, sized, diameter_px="auto", **TORCH).scale == pytest.approx(16 / measured, rel=0.1)
    with pytest.raises(UsageError, match=r"diameter_px is 0.1; expected 2 to 256"):
        cellproof.segment(gray, sized, diameter_px=0.1, **TORCH)


@pytest.mark.parametrize("shape", [(3, 20, 3), (10, 20, 30), (20, 30, 4, 1), (20,)])
def test_a_shape_that_leaves_a_doubt_is_refused(shape, model):
    with pytest.raises(InputError, match=r"cannot tell the axes") as caught:
        cellproof.segment(np.zeros(shape, np.uint8), model)
    assert caught.value.arguments == ("axes",)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"axes": "ZY"}, "do not fit an image of shape"),
        ({"axes": "ZX"}, "Y .rows. and X"),
        ({"channels": [3]}, "counted from 0: choose among 0 to 0"),
        ({"channels": ["DAPI"]}, "an array has no names"),
        ({"diameter_px": 12}, "knows no size of objects"),
        ({"steps": ["reconnect"]}, "step 'reconnect' repairs class maps, but model .* tells objects apart"),
        ({"tta": None}, "expected True, False or 'auto'"),
        ({"max_memory": 4}, "max_memory 4 means 4 bytes, too little for any image; for gigabytes write 4GB"),
        ({"max_memory": "4XB"}, "expected a number and a unit, for example 4GB"),
        ({"device": "cpu"}, "give device, engine, precision and threads to load_model"),
    ],
)
def test_arguments_that_cannot_be_are_named(given, words, gray, model):
    with pytest.raises(InputError, match=words) as caught:
        cellproof.segment(gray, model, **given)
    assert set(given) <= set(caught.value.arguments)
    assert "--" not in str(caught.value)


def test_nan_two_channels_and_lists_are_refused(gray, model):
    broken = gray.astype(float)
    broken[2, 3] = np.nan
    with pytest.raises(InputError, match="1 NaN or infinite"):
        cellproof.segment(broken, model)
    with pytest.raises(InputError, match=r"has 2 channels .* choose it, for example channels=0"):
        cellproof.segment(np.stack([gray, np.roll(gray, 1)]), model)
    with pytest.raises(InputError, match="a list of 3; give one image, or call segment for each"):
        cellproof.segment([gray, gray, gray], model)
    with pytest.raises(UsageError, match="did you mean 'nuclei'"):
        cellproof.segment(gray, "nucleii")
    with pytest.raises(AttributeError, match="segmnt"):
        _ = cellproof.segmnt


def test_training_from_python_leaves_what_the_documents_list(annotated, tmp_path, no_curves):
    told: list[tuple[float, str]] = []
    out = str(tmp_path / "run")
    model = cellproof.train(
        str(annotated.folder), out, recipe=str(annotated.recipe), progress=lambda *words: told.append(words)
    )
    assert model == Path(out) / "model.safetensors"
    listed = {"model.safetensors", "report.html", "history.csv", "losses.csv", "run.json"}
    listed |= {"recipe.toml", "splits.json", "data.json"}
    assert {path.name for path in Path(out).iterdir()} == listed | {"checkpoint-1.safetensors"}
    assert "Finished: 4 steps" in (Path(out) / "report.html").read_text(encoding="utf-8")
    assert json.loads((Path(out) / "run.json").read_text(encoding="utf-8"))["status"] == "finished"
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert any("step 4, loss" in words for _, words in told)
    with pytest.raises(UsageError, match="holds a training run already; resume it"):
        cellproof.train(annotated.folder, out, recipe=annotated.recipe)


def test_scores_of_arrays_are_those_of_the_files(gray, model, pictures, tmp_path):
    reference = pictures.labels["disks1"]
    prediction = np.where(reference == 1, 0, reference)
    scores = cellproof.evaluate(prediction, reference)
    count = int(reference.max())
    assert scores["AP", 0.5] == scores["AP (StarDist)", "0.5"] == (count - 1) / count
    for side, labels in (("prediction", prediction), ("reference", reference)):
        (tmp_path / side).mkdir()
        tifffile.imwrite(tmp_path / side / "disks1.tif", labels.astype(np.uint16))
    on_disk = cellproof.evaluate(str(tmp_path / "prediction"), tmp_path / "reference", protocol="stardist")
    assert on_disk.table()["value"][:10] == scores.table()["value"][:10]
    assert repr(on_disk).startswith(f"<Scores of 1 image, {count} objects: AP (StarDist) 0.5 ")
    assert on_disk._repr_html_().startswith("<table><thead><tr><th>metric</th>")
    with pytest.raises(KeyError, match=r"no AP 0.52; there are AP \(StarDist\) 0.5"):
        _ = scores["AP", 0.52]


def test_scores_of_what_does_not_fit_are_refused(tmp_path):
    square = np.zeros((4, 4), int)
    with pytest.raises(InputError, match=r"shapes differ: prediction \(4, 4\), reference \(4, 5\)"):
        cellproof.evaluate(square, np.zeros((4, 5), int))
    with pytest.raises(InputError, match="2 predictions and 1 references"):
        cellproof.evaluate([square, square], square)
    with pytest.raises(InputError, match="dtype float64"):
        cellproof.evaluate(square / 2, square)
    with pytest.raises(UsageError, match="an array and a path"):
        cellproof.evaluate(square, tmp_path)
