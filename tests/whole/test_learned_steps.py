"""Closing, tuning and closing again: learned at the end of a training, kept in the model file, used by segment."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest
import tifffile
from PIL import Image
from safetensors import safe_open

from cellproof.cli import main
from cellproof.data.description import read_description
from cellproof.data.index import index
from cellproof.io import read_header, read_model, write_model
from cellproof.refine import steps_of
from cellproof.types import Step
from cellproof.workflows.reproduce.predictions import Trained, learned_steps, read_reference
from cellproof.workflows.reproduce.steps import refined

RECIPE = """
name = "squares"
[model]
options = { width = 4, depth = 2 }
[augment]
exact = 1.0
probability = 0.0
[training]
patch_px = 48
batch = 2
steps = 30
learning_rate = 0.02
validate_every = 15
precision = "f32"
[[steps]]
name = "closing"
options = { radius_px = 1 }
[[steps]]
name = "boundary_tuning"
options = { method = "logistic", features = "intensity+probability" }
[[steps]]
name = "closing"
options = { radius_px = 1 }
"""

ROW = ["closing", "boundary_tuning", "closing"]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A training on bright squares, whose masks are class 1 there."""
    folder = tmp_path_factory.mktemp("learned")
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (folder / "data" / kind).mkdir(parents=True)
    for number in range(8):
        mask = np.zeros((48, 48), np.uint8)
        mask[8 : 26 + number, 10 : 30 + number] = 1
        image = np.clip(mask * 140 + 40 + rng.normal(0, 12, mask.shape), 0, 255).astype(np.uint8)
        Image.fromarray(image).save(folder / "data" / "images" / f"{number}.png")
        Image.fromarray(mask).save(folder / "data" / "masks" / f"{number}.png")
    (folder / "data" / "dataset.toml").write_text(
        'name = "squares"\nmasks = "semantic"\nclasses = ["background", "neuron"]\n'
    )
    (folder / "recipe.toml").write_text(RECIPE)
    words = ["train", str(folder / "data"), "--out", str(folder / "run"), "--recipe", str(folder / "recipe.toml")]
    assert main(words) == 0
    return folder / "run"


def segment(run, out, *more):
    words = ["segment", str(run.parent / "data" / "images" / "0.png"), "--out", str(out), "--model", str(run)]
    return main([*words, "--engine", "torch", *more])


def test_a_training_keeps_what_steps_learned_as_numbers(run):
    header = read_header(run / "model.safetensors")
    assert [step.name for step in header.steps] == ROW
    assert sorted(header.steps[1].learned) == ["mean", "polynomial", "sd"]
    assert header.metrics["boundary_tuning/accuracy"] > 0.8
    assert header.metrics["repaired_mean_iou"] > 0.8
    with safe_open(run / "model.safetensors", framework="numpy") as file:
        stored = json.loads(file.metadata()["cellproof"])["steps"][1]["learned"]
    assert all(isinstance(value, int | float) for values in stored.values() for value in values)


def test_the_command_uses_them_in_any_row(run, tmp_path, capsys):
    assert segment(run, tmp_path / "own") == 0
    assert "step boundary_tuning: pixels within 1 px of the edge" in capsys.readouterr().err
    named = [word for name in ROW for word in ("--step", name if name != "closing" else "closing:radius_px=1")]
    assert segment(run, tmp_path / "named", *named) == 0
    assert segment(run, tmp_path / "none", "--step", "none") == 0
    maps = [tifffile.imread(tmp_path / folder / "0_classes.tif") for folder in ("own", "named", "none")]
    np.testing.assert_array_equal(maps[0], maps[1])
    assert maps[0].sum() > 200
    assert segment(run, tmp_path / "other", "--step", "boundary_tuning:width_px=3") in (1, 2)
    assert "which cannot be changed now" in capsys.readouterr().err


def test_a_model_without_them_is_refused_in_one_line(run, tmp_path, capsys):
    header, tensors = read_model(run / "model.safetensors")
    (tmp_path / "plain").mkdir()
    plain = tmp_path / "plain" / "model.safetensors"
    write_model(plain, msgspec.structs.replace(header, steps=()), tensors)
    words = ["segment", str(run.parent / "data" / "images" / "0.png"), "--out", str(tmp_path / "out")]
    assert main([*words, "--model", str(plain), "--step", "boundary_tuning"]) in (1, 2)
    assert "'boundary_tuning' has learned nothing yet" in capsys.readouterr().err
    damaged = Step("boundary_tuning", header.steps[1].options, {"mean": (0.0,)})
    write_model(plain, msgspec.structs.replace(header, steps=(damaged,)), tensors)
    assert main([*words, "--model", str(plain)]) in (1, 2)
    assert "what was learned is no decision on 2 features" in capsys.readouterr().err


def test_a_study_learns_them_from_its_training_images(run, tmp_path):
    data = run.parent / "data"
    description = read_description(data)
    records = index(data, description)
    trained = [Trained(run / "model.safetensors", tmp_path / "cache")]
    row = (Step("closing"), Step("boundary_tuning", {"images": 4}))
    steps = learned_steps(trained, records, description, row, seed=0)
    assert [bool(step.learned) for step in steps] == [False, True]
    assert steps == learned_steps(trained, records, description, row, seed=0)
    assert learned_steps([], [], description, row[:1], seed=0) == row[:1]
    predicted = trained[0].predict(records[0], description)
    image = trained[0].prepare(predicted.image)
    changed = refined(predicted, steps, image, tells_apart=False).classes
    reference = read_reference(records[0], description).mask
    assert (changed != reference).mean() < 0.02
    assert steps_of(read_header(run / "model.safetensors"), steps) == steps
