"""A new part is one file, or three for an output: written beside the package, it is used by the public commands."""

from __future__ import annotations

import csv
import importlib
import sys
from textwrap import dedent

import numpy as np
import pytest
import tifffile
from PIL import Image

from cellproof.checks import InputError
from cellproof.cli import main
from cellproof.data.targets import heads_of, make_targets
from cellproof.difficulty.measures import difficulty_maps
from cellproof.inference.activate import Maps
from cellproof.instances.decode import decode
from cellproof.io import read_header
from cellproof.types import InstanceOptions, Sample
from cellproof.workflows.predict.predictor import rescale_maps

RECIPE = """
name = "small"
[model]
options = { width = 4, depth = 2 }
[augment]
exact = 1.0
probability = 0.0
[training]
patch_px = 32
batch = 2
steps = 4
validate_every = 2
precision = "f32"
"""

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def add_part(tmp_path, monkeypatch):
    """Put a file into a folder of its own that belongs to a room from now on."""

    def add(room, name, text):
        package = importlib.import_module(f"cellproof.{room}")
        folder = tmp_path / "parts" / room
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.py").write_text("from __future__ import annotations\n" + dedent(text))
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
        monkeypatch.delitem(sys.modules, f"cellproof.{room}.{name}", raising=False)
        importlib.invalidate_caches()

    yield add
    for file in (tmp_path / "parts").rglob("*.py"):
        room = file.parent.relative_to(tmp_path / "parts").as_posix().replace("/", ".")
        sys.modules.pop(f"cellproof.{room}.{file.stem}", None)


def write_set(folder, *, instances=False):
    """Four images, bright in a square, whose masks are class 1 or one object there."""
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for number in range(4):
        mask = np.zeros((40, 40), np.uint8)
        mask[8 : 28 + number, 10:30] = 1
        Image.fromarray(mask * 150 + 30).save(folder / "images" / f"{number}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")
    kind = 'masks = "instances"' if instances else 'masks = "semantic"\nclasses = ["cytoplasm", "membrane"]'
    (folder / "dataset.toml").write_text(f'name = "squares"\n{kind}\n')
    return folder


def train(tmp_path, recipe, **kind):
    """Train on squares by the command; returns the run's folder."""
    (tmp_path / "recipe.toml").write_text(recipe)
    data = write_set(tmp_path / "data", **kind)
    words = ["train", str(data), "--out", str(tmp_path / "run"), "--recipe", str(tmp_path / "recipe.toml")]
    assert main(words) == 0
    return tmp_path / "run"


def segment(tmp_path, *more):
    out = tmp_path / "results"
    words = ["segment", str(tmp_path / "data" / "images" / "0.png"), "--out", str(out)]
    assert main([*words, "--model", str(tmp_path / "run"), "--engine", "torch", *more]) == 0
    return out


def test_an_architecture_is_one_file(tmp_path, add_part):
    add_part(
        "models",
        "dots",
        """
        from torch import nn

        class Dots(nn.Module):
            stride, receptive_field_px = 1, 0

            def __init__(self, in_channels, out_channels, sharpness):
                super().__init__()
                self.mix = nn.Conv2d(in_channels, out_channels, 1)
                self.sharpness = sharpness

            def forward(self, image):
                logits = self.sharpness * self.mix(image)
                return (logits, logits / 2) if self.training else logits

            def explain(self, image):
                return {"a sum of channels": image[0].sum(0).cpu().numpy()}

        def build(*, in_channels, out_channels, sharpness=1.0):
            return Dots(in_channels, out_channels, sharpness)
        """,
    )
    recipe = RECIPE.replace(
        "options = { width = 4, depth = 2 }", 'architecture = "dots"\noptions = { sharpness = 3.0 }'
    )
    run = train(tmp_path, recipe.replace("steps = 4", "steps = 40\nlearning_rate = 0.1"))
    header = read_header(run / "model.safetensors")
    assert (header.architecture, header.options, header.receptive_field_px) == ("dots", {"sharpness": 3.0}, 0)
    assert "a sum of channels" in (run / "report.html").read_text()
    classes = tifffile.imread(segment(tmp_path) / "0_classes.tif")
    assert classes.shape == (40, 40)
    assert classes[10, 12] == 1
    assert classes[35, 35] == 0


def test_a_loss_is_one_file(tmp_path, add_part):
    add_part(
        "losses",
        "seven",
        """
        def term(outputs, target, *, class_map, class_weights, factor=1.0):
            return factor * 7 + 0 * outputs.sum()
        """,
    )
    terms = '[[loss.terms]]\nname = "seven"\nweight = 2.0\noptions = { factor = 0.5 }\n'
    run = train(tmp_path, RECIPE + terms)
    with (run / "history.csv").open() as file:
        assert [float(row["loss"]) for row in csv.DictReader(file)] == [7.0, 7.0]


def test_a_measure_of_difficulty_is_one_file(tmp_path, add_part):
    add_part(
        "difficulty",
        "gini",
        """
        TITLE = "Gini impurity"

        def measure(probabilities):
            return 1 - (probabilities**2).sum(0)
        """,
    )
    assert difficulty_maps(np.array([0.75, 0.25]).reshape(2, 1, 1)).further["gini"].tolist() == [[0.375]]
    assert "Gini impurity" in (train(tmp_path, RECIPE) / "report.html").read_text()


def test_a_measure_beyond_its_range_is_refused(add_part):
    add_part("difficulty", "doubled", "TITLE = 'Twice'\ndef measure(probabilities): return 2 + 0 * probabilities[0]")
    with pytest.raises(InputError, match=r"difficulty/doubled.py gave values .* beyond \[0, 1\]"):
        difficulty_maps(np.full((2, 3, 3), 0.5))


def test_a_refine_step_is_one_file(tmp_path, add_part):
    train(tmp_path, RECIPE)
    add_part(
        "refine",
        "paint",
        """
        from dataclasses import replace
        import msgspec
        import numpy as np

        class Options(msgspec.Struct, frozen=True):
            value: int = 0

        def apply(prediction, options):
            return replace(prediction, class_map=np.full_like(prediction.class_map, options.value))

        def say(options, classes):
            return f"everything becomes {classes[options.value]}"
        """,
    )
    out = segment(tmp_path, "--step", "paint:value=1")
    assert (tifffile.imread(out / "0_classes.tif") == 1).all()
    assert '"paint:value=1"' in (out / "run.json").read_text()


def test_a_step_of_the_recipe_goes_with_the_model_until_the_command_says_otherwise(tmp_path, capsys):
    run = train(tmp_path, RECIPE + '[[steps]]\nname = "reconnect"\n')
    (step,) = read_header(run / "model.safetensors").steps
    assert step.name == "reconnect"
    assert step.options["threshold"] > 0
    out = segment(tmp_path)
    assert "step reconnect: membrane is connected" in capsys.readouterr().err
    assert '"reconnect:threshold=' in (out / "run.json").read_text()
    words = ["segment", str(tmp_path / "data" / "images" / "0.png"), "--out", str(out), "--model", str(run)]
    assert main([*words, "--engine", "torch", "--step", "none"]) == 2
    assert "steps reconnect:threshold=" in capsys.readouterr().err
    assert main([*words, "--engine", "torch", "--step", "heal"]) in (1, 2)
    assert "no step 'heal'; there: boundary_tuning, closing, reassign, reconnect" in capsys.readouterr().err


def test_a_simulator_is_one_file(tmp_path, add_part):
    add_part(
        "simulate",
        "stripes",
        """
        import numpy as np
        from cellproof.simulate import Kind, Picture

        def draw(rng, size, quality):
            mask = np.zeros((size, size), np.int32)
            mask[:, 4:9] = 1
            return Picture((mask * 200).astype(np.uint8), mask)

        KIND = Kind("a stripe", draw, "instances", ("stripe",), qualities=("good",))
        """,
    )
    assert main(["simulate", "stripes", "--out", str(tmp_path / "set"), "--count", "2", "--size", "64"]) == 0
    image = np.asarray(Image.open(tmp_path / "set" / "images" / "stripes-0002.png"))
    assert (image[:, 4:9] == 200).all()
    assert image.sum() == 200 * 5 * 64


STARS = {
    "data.targets": """
        import numpy as np
        from cellproof.types import Head, LossTerm

        STEPS = [(0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1)]
        LOSS = (LossTerm("squared_error", 0.01, "stars", {"background": 0.0}), LossTerm("least", 0.01, "stars"))

        def head():
            return Head("stars", 8, activation="positive", geometry="rays")

        def target(objects, head):
            ids, reach = objects.instances, max(objects.instances.shape)
            padded = np.pad(ids, reach)
            rays = np.zeros((8, *ids.shape), np.float32)
            for ray, (row, column) in enumerate(STEPS):
                inside = ids > 0
                for step in range(1, reach):
                    there = np.roll(padded, (-step * row, -step * column), (0, 1))[reach:-reach, reach:-reach]
                    inside = inside & (there == ids)
                    rays[ray] += inside * np.hypot(row, column)
            return rays
        """,
    "losses": """
        def term(outputs, target, *, class_map, class_weights):
            return (-outputs).clamp(min=0).mean()
        """,
    "instances": """
        import numpy as np
        from skimage.draw import polygon

        NEEDS = ("stars",)
        TUNED = {"shrink": (0.0, 1.0)}

        def separate(maps, foreground, options):
            rays, labels = maps["stars"], np.zeros(foreground.shape, np.int32)
            angles = 2 * np.pi * np.arange(len(rays)) / len(rays)
            open_pixels, shrink = foreground.copy(), options.options.get("shrink", 0.0)
            while open_pixels.any():
                row, column = np.unravel_index(np.where(open_pixels, rays.min(axis=0), -1).argmax(), labels.shape)
                length = np.maximum(rays[:, row, column] - shrink, 0)
                rows, columns = polygon(
                    row + length * np.sin(angles), column + length * np.cos(angles), labels.shape
                )
                fresh = open_pixels[rows, columns]
                labels[rows[fresh], columns[fresh]] = labels.max() + 1
                labels[row, column] = labels.max() if fresh.any() else labels.max() + 1
                open_pixels[rows, columns] = open_pixels[row, column] = False
            return labels
        """,
}


@pytest.fixture
def stars(add_part):
    for room, text in STARS.items():
        add_part(room, "least" if room == "losses" else "stars", text)


def test_an_output_is_three_files(tmp_path, stars):
    recipe = RECIPE + '[[heads]]\nname = "stars"\n[instance]\nmethod = "stars"\n'
    header = read_header(train(tmp_path, recipe, instances=True) / "model.safetensors")
    (head,) = header.heads.fields
    assert (head.channels, head.geometry) == (8, "rays")
    assert header.instance.method == "stars"
    assert header.instance.options["shrink"] in (0.0, 1.0)
    assert tifffile.imread(segment(tmp_path, "--tta") / "0_labels.tif").shape == (40, 40)


def test_objects_come_back_from_the_targets_of_an_output_of_three_files_at_every_scale(stars):
    instances = np.zeros((40, 40), np.int32)
    instances[4:15, 4:15], instances[4:15, 15:26], instances[20:37, 8:25] = 1, 2, 3
    sample = Sample(np.zeros((1, 40, 40), np.float32), (instances > 0).astype(np.uint8), instances)
    heads = heads_of(2, ["stars"])
    fields = {"stars": make_targets(sample, heads).fields}
    inside = (instances > 0).astype(np.float32)
    maps = Maps(np.stack([1 - inside, inside]), fields)
    options = InstanceOptions(method="stars", smallest_area_px=20)
    labels = decode(maps.probabilities, maps.fields, options=options)
    assert labels.max() == 3
    assert (np.where(labels > 0, labels, instances) == instances).mean() > 0.99
    larger = rescale_maps(maps, (80, 80), heads=heads)
    assert larger.fields["stars"][0, 56, 32] == pytest.approx(2 * maps.fields["stars"][0, 28, 16], abs=1.5)
    found = decode(larger.probabilities, larger.fields, options=options)
    largest = np.bincount(found[40:74, 16:50].ravel())[1:].max()
    # Four times the pixels, but for the interpolated rim; in lengths of before it would be a quarter of them.
    assert 0.8 < largest / (4 * (instances == 3).sum()) < 1


def test_code_outside_of_the_package_is_refused_before_anything_is_written(tmp_path, capsys):
    (tmp_path / "recipe.toml").write_text(RECIPE)
    words = ["train", str(write_set(tmp_path / "data")), "--out", str(tmp_path / "run")]
    recipe = ["--recipe", str(tmp_path / "recipe.toml"), "--set", "model.architecture=mine.networks:build"]
    assert main([*words, *recipe]) in (1, 2)
    assert "no command could open the trained model" in capsys.readouterr().err
    assert not (tmp_path / "run" / "run.json").exists()
