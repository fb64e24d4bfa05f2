"""Whatever `cellproof train` is given that it cannot learn from, it says what, in one line, and leaves no model."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from cellproof.io import read_csv, read_model

pytestmark = pytest.mark.usefixtures("no_curves")

Damage = Callable[[Path], object]


def _toml(folder: Path, text: str) -> None:
    (folder / "dataset.toml").write_text(text)


def _mask(folder: Path, array: np.ndarray, number: int = 3) -> None:
    tifffile.imwrite(folder / "masks" / f"disks{number}.tif", array)


def _image(folder: Path, array: np.ndarray, **options: object) -> None:
    tifffile.imwrite(folder / "images" / "disks3.tif", array, **options)


def _cut(folder: Path) -> None:
    path = folder / "images" / "disks3.tif"
    path.write_bytes(path.read_bytes()[:-500])


def _jpeg_mask(folder: Path) -> None:
    (folder / "masks" / "disks3.tif").unlink()
    Pillow.fromarray(np.zeros((36, 40), np.uint8)).save(folder / "masks" / "disks3.jpg")


def _all_empty(folder: Path) -> None:
    for number in range(6):
        _mask(folder, np.zeros((36, 40), np.uint8), number)


def _only(folder: Path, count: int) -> None:
    for part in ("images", "masks"):
        for path in sorted((folder / part).iterdir())[count:]:
            path.unlink()


INSTANCES = 'name = "disks"\nmasks = "instances"\n'
DAMAGES: dict[str, tuple[Damage, str]] = {
    "a mask of another size": (lambda f: _mask(f, np.zeros((30, 40), np.uint8)), r"disks3.tif: mask of \(30, 40\) for"),
    "a class without name": (lambda f: _mask(f, np.full((36, 40), 7, np.uint8)), "holds 7, expected class ids 0"),
    "broken numbers": (lambda f: _mask(f, np.full((36, 40), 0.5, np.float32)), "value 0.5; expected whole numbers"),
    "negative numbers": (lambda f: _mask(f, np.full((36, 40), -1, np.int16)), "contains -1, expected 0"),
    "a colored mask": (
        lambda f: _mask(f, np.random.default_rng(0).integers(0, 2, (36, 40, 3)).astype(np.uint8)),
        "one plain color a class",
    ),
    "a mask as JPEG": (_jpeg_mask, "JPEG does not keep the ids of a mask"),
    "a mask that is missing": (lambda f: (f / "masks" / "disks3.tif").unlink(), "1 of 6 images in .* have no mask"),
    "an image that is missing": (lambda f: (f / "images" / "disks3.tif").unlink(), "1 of 6 masks in .* have no image"),
    "no masks at all": (lambda f: [*map(Path.unlink, (f / "masks").iterdir()), (f / "masks").rmdir()], "no masks/"),
    "an unknown key": (lambda f: _toml(f, INSTANCES + "kolour = 1"), "unknown field `kolour`; known keys: name,"),
    "a wrong word": (lambda f: _toml(f, 'name = "d"\nmasks = "semantics"'), "Invalid enum value 'semantics'"),
    "no TOML": (lambda f: _toml(f, "masks: semantic"), "cannot be read as TOML"),
    "one class only": (lambda f: _toml(f, 'name = "d"\nmasks = "semantic"\nclasses = ["a"]'), "1 classes"),
    "a table that is missing": (lambda f: _toml(f, INSTANCES + 'attributes = "gone.csv"'), "gone.csv cannot be read"),
    "a cut image": (_cut, r"disks3.tif: the file ends after"),
    "an image that is none": (lambda f: (f / "images" / "disks3.tif").write_text("no"), "the file is no TIFF"),
    "an empty image": (lambda f: (f / "images" / "disks3.tif").write_bytes(b""), r"empty \(0 bytes\)"),
    "an image with NaN": (lambda f: _image(f, np.full((36, 40), np.nan, np.float32)), "1440 NaN or infinite values"),
    "a stack": (lambda f: _image(f, np.zeros((9, 36, 40), np.uint8), photometric="minisblack"), "a stack of 9 planes"),
    "other channels": (
        lambda f: _image(f, np.random.default_rng(0).integers(0, 9, (36, 40, 3)).astype(np.uint8), photometric="rgb"),
        "3 channels, the recipe's network reads 1",
    ),
    "one image": (lambda f: _only(f, 1), "1 annotated image; expected at least 2"),
    "no images": (lambda f: _only(f, 0), "holds no images"),
    "nothing annotated and no description": (
        lambda f: ((f / "dataset.toml").unlink(), _all_empty(f)),
        "no annotated pixel in 6 masks",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGES)
def test_data_that_cannot_be_learned_from_are_refused_in_one_line(kind, annotated, tmp_path, cellproof):
    damage, message = DAMAGES[kind]
    damage(annotated.folder)
    outcome = cellproof(*annotated.command(tmp_path / "run"))
    _assert_refused(outcome, message, code=1)
    assert not list(tmp_path.glob("run/*"))


def _assert_refused(outcome, message: str, *, code: int) -> None:
    assert outcome.code == code, outcome
    assert len(outcome.err) == 1, outcome.err
    assert re.search(message, outcome.err[0]), outcome.err[0]
    assert "a fault of CellProof" not in outcome.err[0]


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (["--recipe", "gone"], "no recipe 'gone'", 2),
        (["--set", "training.stepz=3"], "unknown field `stepz`", 2),
        (["--set", "training.steps=many"], "Expected `int`, got `str` - at `\\$.training.steps`", 2),
        (["--init", "gone"], "no model 'gone'", 2),
        (["--time", "soon"], "--time 'soon'; expected a number and a unit", 2),
        (["--folds", "0"], "--folds", 2),
        (["--resume"], "holds no training run to resume", 2),
        (["--color"], "No such option", 2),
        (["--folds", "9"], "folds", 1),
        (
            ["--set", "model.architecture=auto_preprocess", "--set", 'model.options={first_options="out_channels=5"}'],
            "set out_channels=5, but the network has to read 1 and give 2 channels to fit the other one",
            1,
        ),
        (
            ["--set", 'loss.terms=[{name="squared_error", on="views"}]'],
            "has a loss term on views, and its network unet gives none",
            1,
        ),
        (
            ["--set", "model.architecture=auto_preprocess", "--set", 'model.options={teacher="clustering"}'],
            "learns from views of images, on which no loss term looks",
            1,
        ),
    ],
)
def test_a_training_that_cannot_be_as_asked_for_is_refused_in_one_line(
    words, message, code, annotated, tmp_path, cellproof
):
    outcome = cellproof(*annotated.command(tmp_path / "run"), *words)
    _assert_refused(outcome, message, code=code)
    assert not list(tmp_path.glob("run/*"))


def test_a_class_that_a_fold_lacks_is_named_with_the_images_that_show_it(annotated, tmp_path, cellproof):
    for number in range(1, 6):
        _mask(annotated.folder, np.zeros((36, 40), np.uint8), number)
    outcome = cellproof(*annotated.command(tmp_path / "run"), "--folds", 3)
    message = r"fold \d .* no image with class 'disk', which is only in disks0; give fewer folds"
    _assert_refused(outcome, message, code=1)
    assert not list(tmp_path.glob("run/*"))


def test_a_recipe_with_an_unknown_key_is_refused_with_its_path(annotated, tmp_path, cellproof):
    annotated.recipe.write_text(annotated.recipe.read_text() + "stepz = 1\n")
    _assert_refused(
        cellproof(*annotated.command(tmp_path / "run")), r"unknown field `stepz` - at `\$.training`", code=1
    )


@pytest.mark.parametrize("data", ["gone", "file"])
def test_a_folder_that_is_none_is_refused(data, tmp_path, cellproof):
    (tmp_path / "file").write_text("no folder")
    outcome = cellproof("train", tmp_path / data, "--out", tmp_path / "run")
    _assert_refused(outcome, "is not a folder; expected images/ and masks/", code=1)


def test_a_file_where_the_run_should_be_is_refused_and_kept(annotated, tmp_path, cellproof):
    (tmp_path / "run").write_text("mine")
    for out in (tmp_path / "run", tmp_path / "run" / "deeper"):
        _assert_refused(cellproof(*annotated.command(out)), "a file stands where a folder was expected", code=1)
    assert (tmp_path / "run").read_text() == "mine"


def test_masks_of_0_and_255_are_said_aloud_and_mean_0_and_1(annotated, trained, tmp_path, cellproof):
    for path in (annotated.folder / "masks").iterdir():
        tifffile.imwrite(path, tifffile.imread(path) * np.uint8(255))
    outcome = cellproof(*annotated.command(tmp_path / "run255"))
    assert outcome.code == 0
    assert "mask value 255 taken for class 1 (disk) (6 masks)" in outcome.out
    _assert_same_model(tmp_path / "run255", trained)


def _assert_same_model(found: Path, wanted: Path) -> None:
    first, second = (read_model(run / "model.safetensors")[1] for run in (found, wanted))
    assert {name: array.tobytes() for name, array in first.items()} == {n: a.tobytes() for n, a in second.items()}


def test_empty_masks_among_others_are_learned_from(annotated, tmp_path, cellproof):
    _mask(annotated.folder, np.zeros((36, 40), np.uint8))
    assert cellproof(*annotated.command(tmp_path / "run")).code == 0
    assert read_csv(tmp_path / "run" / "history.csv")["step"] == ["2", "4"]


def test_a_run_is_not_overwritten_and_a_damaged_one_is_not_resumed(annotated, trained, tmp_path, cellproof):
    out = Path(shutil.copytree(trained, tmp_path / "run"))
    command = annotated.command(out)
    model = (out / "model.safetensors").read_bytes()
    _assert_refused(
        cellproof(*command),
        r"holds a training run already; resume it, or give another folder \(--resume, --out\)",
        code=2,
    )
    assert (out / "model.safetensors").read_bytes() == model
    resume = [*command[:4], "--resume", *command[6:]]
    checkpoint = out / "checkpoint-1.safetensors"
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[:-100])
    _assert_refused(cellproof(*resume), "checkpoint-1.safetensors is no training state", code=1)
    checkpoint.write_bytes(whole)
    (out / "run.json").write_text("{")
    _assert_refused(cellproof(*resume), "run.json: no valid JSON", code=1)
