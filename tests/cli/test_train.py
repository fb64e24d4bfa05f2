from __future__ import annotations

import html

import numpy as np
import pytest
from PIL import Image

from cellproof.cli import main
from cellproof.cli._options import parse_time
from cellproof.cli._progress import watching_training as watching
from cellproof.cli._progress import words
from cellproof.cli.recipes import recipes_command
from cellproof.cli.train import scores
from cellproof.recipe.toml import parse_recipe, read_recipe, recipe_text
from cellproof.training.loop import Progress
from cellproof.types import Heads, ModelHeader

SMALL = (
    "training.steps=6",
    "training.validate_every=3",
    "training.patch_px=16",
    "training.batch=1",
    "data.validation=0.5",
    "folds=1",
    "model.architecture=unet",
    "model.options={width = 4, depth = 2}",
    "model.init=",
)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def data(tmp_path):
    """Two images of a bright half."""
    for kind in ("images", "masks"):
        (tmp_path / "data" / kind).mkdir(parents=True)
    for number in range(2):
        mask = np.zeros((24, 24), np.uint8)
        mask[:, 12:] = 1
        noise = np.random.default_rng(number).integers(0, 60, mask.shape).astype(np.uint8)
        Image.fromarray(mask).save(tmp_path / "data" / "masks" / f"half{number}.png")
        Image.fromarray(150 * mask + noise).save(tmp_path / "data" / "images" / f"half{number}.png")
    return tmp_path / "data"


def arguments(data, out, *more):
    return ["train", str(data), "--out", str(out), *more, *(word for setting in SMALL for word in ("--set", setting))]


def test_training_prints_plan_progress_scores_and_the_next_command(data, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(arguments(data, out)) == 0
    said, shown = capsys.readouterr()
    lines = said.splitlines()
    assert lines[0].startswith("data has no dataset.toml; its masks hold 0, 1: taken for background and foreground")
    assert lines[1].startswith("plan: a class for every pixel (background 50%, foreground 50%)")
    assert any(line.startswith("plan: changed by hand: training.steps=6") for line in lines)
    assert any(line.startswith("held-out images: fraction of pixels with the right class ") for line in lines)
    assert any(line.startswith("warning: undertrained: 6 steps, of which 2 were validated") for line in lines)
    assert lines[-3:] == [
        f"model: {out / 'model.safetensors'}",
        f"report: {out / 'report.html'}",
        "next: cellproof train DATA --out RUN with more --time, for the reasons above",
    ]
    steps = [line for line in shown.splitlines() if line.startswith("training")]
    assert len(steps) == 6
    assert steps[-1].startswith("training 100%, step 6, loss ")
    assert "best score" in steps[3]
    assert "best score" not in steps[0]


def test_the_page_shows_curves_plan_scores_and_pictures_and_stops_reloading(data, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(arguments(data, out)) == 0
    page = html.unescape((out / "report.html").read_text(encoding="utf-8"))
    assert 'http-equiv="refresh"' not in page
    assert "Finished: 6 steps in" in page
    assert "Validation against steps: accuracy, IoU background, IoU foreground" in page
    assert "IoU of foreground" in page
    assert page.count("data:image/jpeg;base64,") == 7  # four, difficult pixels, entropy, margin
    assert "a class for every pixel" in page
    assert "unet, width 4, depth 2" in page


@pytest.mark.parametrize(
    ("more", "code", "line"),
    [
        (("--time", "5"), 2, "cellproof: error: --time '5'; expected a number and a unit, as in --time 90s"),
        (
            ("--set", "training.stpes=3"),
            2,
            "cellproof: error: override 'training.stpes=3': Object contains unknown field `stpes`",
        ),
        (("--recipe", "none"), 2, "cellproof: error: no recipe 'none'"),
        (("--folds", "0"), 2, "cellproof: error: Invalid value for '--folds'"),
        (("--resume",), 2, "cellproof: error: "),
        (("--init", "none"), 2, "cellproof: error: no model 'none'"),
    ],
)
def test_wrong_use_is_one_line_and_two_and_missing_things_one(data, tmp_path, capsys, more, code, line):
    assert main(["train", str(data), "--out", str(tmp_path / "run"), *more]) == code
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert errors[0].startswith(line)
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", None), ("90s", 90), ("20min", 1200), ("1.5h", 5400), ("2 H", 7200), ("3m", 180), (" 45 sec ", 45)],
)
def test_times_are_read_with_their_unit(text, seconds):
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["20", "min", "0s", "-5min", "1h30", "five minutes", "1d", "nan s"])
def test_other_times_are_refused_with_an_example(text):
    with pytest.raises(ValueError, match=r"--time .* expected a number and a unit, as in --time 90s"):
        parse_time(text)


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (Progress(5, 0.25, 60.0, 0.5, 0.75), "step 5, loss 0.500, best score 0.750, 3 min left"),
        (Progress(5, 0.5, 60.0, 0.5, float("-inf")), "step 5, loss 0.500, 60 s left"),
        (Progress(9, 0.01, 99.0, 1.25, 0.0), "step 9, loss 1.250, best score 0.000, 2 h 43 min left"),
        (Progress(9, 1.0, 99.0, 1.25, 0.0), "step 9, loss 1.250, best score 0.000, 0 s left"),
    ],
)
def test_progress_in_words(progress, expected):
    assert words(progress) == expected


def test_without_a_terminal_a_training_of_any_length_prints_twenty_lines_each(capsys):
    with watching() as watcher:
        for fold in range(2):
            for step in range(1, 1001):
                watcher.step(fold, 2, Progress(step, step / 1000, 1.0, 0.5, 0.5))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 * 21
    assert lines[0].startswith("training 1/2   0%, step 1, ")
    assert lines[-1].startswith("training 2/2 100%, step 1000, ")


def test_scores_of_groups_are_not_mixed_with_those_of_all():
    def header(**metrics):
        return ModelHeader("m", "unet", Heads(2), ("ground", "cell"), 1, 1, 1, metrics=metrics)

    mixed = header(ap50=0.5, iou_1=0.75, **{"a/ap50": 0.25})
    assert scores(mixed) == "AP at IoU 0.5 0.500, IoU of cell 0.750"
    assert scores(mixed, group="a") == "AP at IoU 0.5 0.250"
    assert scores(header(**{"a/ap50": 0.25})) == "no score"


def test_recipes_are_listed_with_what_they_are_and_where_their_data_come_from(capsys):
    recipes_command("")
    lines = capsys.readouterr().out.splitlines()
    assert f"nuclei: {read_recipe('nuclei').description}" in lines
    assert any("BBBC038 (CC0)" in line for line in lines)


def test_a_recipe_is_shown_as_it_was_written(capsys):
    recipes_command("nuclei")
    shown = capsys.readouterr().out
    assert shown == recipe_text("nuclei")
    assert parse_recipe(shown) == read_recipe("nuclei")
