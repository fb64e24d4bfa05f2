"""Whole trainings of a second: tiny networks on simulated images written to disk."""

from __future__ import annotations

import errno
import json
import os

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from cellproof.checks import InputError, UsageError
from cellproof.io import read_header, read_model
from cellproof.simulate.nuclei import simulate_nuclei
from cellproof.workflows.predict.load import build_members
from cellproof.workflows.train import build as assembly
from cellproof.workflows.train.run import choose_device, run_training
from cellproof.workflows.train.state import TrainRequest, Watcher

RECIPE = """
name = "tiny"
[model]
options = { width = 4, depth = 2, dropout = 0.2 }
[heads]
boundary = true
distance = true
flows = true
[training]
patch_px = 32
batch = 1
steps = 6
validate_every = 2
precision = "f32"
"""
SEMANTIC_RECIPE = RECIPE.split("[heads]")[0] + "[training]" + RECIPE.split("[training]")[1]


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours catches it."""


pytestmark = pytest.mark.usefixtures("one_thread")


def picture(seed):
    field = simulate_nuclei(rng=np.random.default_rng(seed), shape=(40, 40), count=4, diameter_px=(9, 14))
    return (field.image // 16).astype(np.uint8), field.labels.astype(np.uint8)


def write_pair(folder, name, image, mask):
    for kind, pixels in (("images", image), ("masks", mask)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / kind / f"{name}.png")


@pytest.fixture
def instances(tmp_path):
    """Four images with object ids, without splits."""
    data = tmp_path / "nuclei"
    for number in range(4):
        write_pair(data, f"field{number}", *picture(number))
    (data / "dataset.toml").write_text('name = "few nuclei"\nmasks = "instances"\nlicense = "CC0-1.0"\n')
    return data


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Train with the tiny recipe; returns the model file. Sentences are in ``start.said``, pages are empty."""
    (tmp_path / "tiny.toml").write_text(RECIPE)
    (tmp_path / "classes.toml").write_text(SEMANTIC_RECIPE)

    def run(data, out="run", *, recipe="tiny.toml", step=None, page=None, **options):
        said = run.said = []
        watcher = Watcher(
            say=said.append,
            step=step or (lambda fold, folds, progress: None),
        )
        monkeypatch.setattr("cellproof.workflows.train.folder.training_page", lambda state: (page or str)(state) or "")
        if not options.get("resume"):
            options["recipe"] = recipe and str(tmp_path / recipe)
        return run_training(TrainRequest(data=data, out=tmp_path / out, **options), watcher)

    return run


def stop_at(step, *, fold=0, error=KeyboardInterrupt):
    def on_step(number, folds, progress):
        if (number, progress.step) == (fold, step):
            raise error

    return on_step


def weights(path):
    return {name: value.tobytes() for name, value in load_file(path).items()}


def test_a_training_leaves_model_history_state_division_and_recipe(instances, start, tmp_path):
    model = start(instances, settings=("training.steps=5",))
    header = read_header(model)
    assert (header.name, header.classes, header.members) == ("tiny", ("background", "object"), 1)
    assert (header.training.data, header.training.license, header.training.images) == ("few nuclei", "CC0-1.0", 3)
    assert (header.training.steps, header.training.seed) == (5, 0)
    assert len(build_members(model)) == 1
    lines = (tmp_path / "run" / "history.csv").read_text().splitlines()
    assert [line.split(",")[:2] for line in lines] == [["fold", "step"], ["1", "2"], ["1", "4"], ["1", "5"]]
    state = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (state["status"], state["seed"], state["device"]) == ("finished", 0, choose_device("auto"))
    assert state["timings"]["training_s"] > 0
    assert state["metrics"].keys() == header.metrics.keys() >= {"map", "ap50", "dice"}
    (fold,) = json.loads((tmp_path / "run" / "splits.json").read_text())
    assert sorted(fold["train"] + fold["val"]) == [f"field{number}" for number in range(4)]
    assert "plan: changed by hand: training.steps=5" in start.said


def test_the_same_seed_gives_the_same_model_file_but_for_its_time(instances, start):
    first, second, other = (start(instances, f"run{n}", seed=seed) for n, seed in enumerate((1, 1, 2)))
    assert weights(first) == weights(second)
    assert weights(first) != weights(other)


@pytest.mark.parametrize("step", [1, 2, 5])
def test_a_training_resumed_after_ctrl_c_gives_the_model_of_an_uninterrupted_one(instances, start, tmp_path, step):
    whole = start(instances, "whole", seed=3)
    with pytest.raises(KeyboardInterrupt):
        start(instances, seed=3, step=stop_at(step))
    unfinished = read_header(tmp_path / "run" / "model.safetensors")
    assert len(build_members(tmp_path / "run" / "model.safetensors")) == 1
    assert ("map" in unfinished.metrics) == (step > 2)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "stopped"
    resumed = start(instances, resume=True)
    assert weights(resumed) == weights(whole)
    histories = [
        [line.split(",")[:2] + line.split(",")[3:] for line in (folder / "history.csv").read_text().splitlines()]
        for folder in (tmp_path / "run", tmp_path / "whole")
    ]
    assert histories[0] == histories[1]


def test_before_the_first_validation_ctrl_c_leaves_the_averaged_weights(instances, start, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        start(instances, step=stop_at(1))
    model, state = (load_file(tmp_path / "run" / f"{name}.safetensors") for name in ("model", "checkpoint-1"))
    assert all(np.array_equal(value, state[name.replace("member0.", "average.")]) for name, value in model.items())


def test_a_killed_training_loses_the_steps_since_the_last_checkpoint_only(instances, start, tmp_path):
    whole = start(instances, "whole")
    taken = []

    def killed(fold, folds, progress):
        taken.append(progress.step)
        if taken == [1, 2, 3]:
            raise Killed

    with pytest.raises(Killed):
        start(instances, step=killed)
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert weights(start(instances, resume=True, step=killed)) == weights(whole)
    assert taken == [1, 2, 3, 3, 4, 5, 6]


def test_folds_become_one_model_of_different_members_also_when_resumed(instances, start, tmp_path):
    settings = ("training.steps=2",)
    whole = start(instances, "whole", folds=2, settings=settings)
    assert read_header(whole).members == 2
    tensors = read_model(whole)[1]
    assert not np.array_equal(tensors["member0.head.weight"], tensors["member1.head.weight"])
    folds = json.loads((tmp_path / "whole" / "splits.json").read_text())
    assert sorted(folds[0]["val"] + folds[1]["val"]) == sorted(folds[0]["val"] + folds[0]["train"])
    with pytest.raises(KeyboardInterrupt):
        start(instances, folds=2, settings=settings, step=stop_at(1, fold=1))
    assert read_header(tmp_path / "run" / "model.safetensors").members == 2
    assert weights(start(instances, resume=True)) == weights(whole)


def test_the_data_sets_own_validation_images_are_used_even_where_stems_repeat(start, tmp_path):
    for split, seeds in (("train", (1, 2)), ("val", (3,)), ("test", (4,))):
        for number, seed in enumerate(seeds):
            write_pair(tmp_path / "data" / split, f"{number}", *picture(seed))
    (tmp_path / "data" / "dataset.toml").write_text('name = "split"\nmasks = "instances"\n')
    start(tmp_path / "data", settings=("training.steps=2",))
    assert json.loads((tmp_path / "run" / "splits.json").read_text()) == [{"train": ["1", "train/0"], "val": ["val/0"]}]


def test_classes_with_unannotated_pixels_are_learned_and_named(start, tmp_path):
    data = tmp_path / "halves"
    for number in range(2):
        mask = np.zeros((40, 40), np.uint8)
        mask[:, 20:] = 2
        mask[:5] = 255
        image = np.where(mask == 2, 200, 30).astype(np.uint8)
        image[:5] = np.random.default_rng(number).integers(0, 255, (5, 40))
        write_pair(data, f"{number}", image, mask)
    (data / "dataset.toml").write_text(
        'name = "halves"\nmasks = "semantic"\nclasses = ["left", "never", "right"]\nignore = 255\n'
        'colors = ["#000000", "#00ff00", "#ff0000"]\n'
    )
    seen = []
    settings = (
        "training.steps=40",
        "training.validate_every=20",
        "training.learning_rate=0.02",
        "loss.balance_classes=0.3",
    )
    model = start(data, recipe="classes.toml", settings=settings, page=seen.append)
    header = read_header(model)
    assert (header.classes, header.colors[2], header.heads.has_instances) == (
        ("left", "never", "right"),
        "#ff0000",
        False,
    )
    assert header.metrics["accuracy"] > 0.8
    (example,) = seen[-1].examples
    assert (example.reference[:5] == 255).all()
    assert ((example.prediction == example.reference)[5:].mean()) == pytest.approx(header.metrics["accuracy"], abs=0.03)


def test_two_pictures_are_enough_and_one_is_refused_saying_why(instances, start, tmp_path):
    for kind in ("images", "masks"):
        for number in (2, 3):
            (instances / kind / f"field{number}.png").unlink()
    assert start(instances, settings=("training.steps=1",)).exists()
    for kind in ("images", "masks"):
        (instances / kind / "field1.png").unlink()
    with pytest.raises(InputError, match="1 annotated image; expected at least 2, one to learn from and one to check"):
        start(instances, "one")


def test_weights_of_another_model_that_fit_are_copied_and_counted(instances, start):
    first = start(instances, "first", settings=("training.steps=1",))
    start(instances, init=str(first), settings=("training.steps=1", "heads.boundary=false"))
    total = len(load_file(first))
    assert f"start from {str(first)!r}: {total - 2} of {total} tensors fit" in start.said


def test_without_a_recipe_a_plan_is_made_changed_by_hand_and_carried_out(instances, start, tmp_path):
    smaller = ("patch_px=32", "batch=1", "steps=1")
    settings = (
        *(f"training.{words}" for words in smaller),
        "folds=1",
        "model.architecture=unet",
        "model.options={width = 4, depth = 2}",
        "model.init=",
    )
    model = start(instances, recipe=None, settings=settings)
    assert read_header(model).options == {"width": 4, "depth": 2}
    plan = [sentence for sentence in start.said if sentence.startswith("plan: ")]
    assert plan[0].startswith("plan: separate objects (object): masks hold ids; 4 images, diameters")
    assert plan == [f"plan: {reason}" for reason in json.loads((tmp_path / "run" / "run.json").read_text())["plan"]]


def test_a_folder_with_a_run_is_refused_and_an_empty_one_cannot_be_resumed(instances, start, tmp_path):
    start(instances, settings=("training.steps=1",))
    before = weights(tmp_path / "run" / "model.safetensors")
    with pytest.raises(UsageError, match="holds a training run already; resume it, or give another folder"):
        start(instances)
    with pytest.raises(UsageError, match="leave recipe, overrides, folds, init and time out"):
        start(instances, resume=True, settings=("training.steps=9",))
    with pytest.raises(UsageError, match="holds no training run to resume"):
        start(instances, "nothing", resume=True)
    assert weights(tmp_path / "run" / "model.safetensors") == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"settings": ("training.stpes=3",)}, "override 'training.stpes=3': .*unknown field `stpes`"),
        (
            {"settings": ("instance.method=watershed", "heads.distance=false")},
            "with these heads: components, flows",
        ),
        ({"settings": ("model.options.wdith=8",)}, "wdith"),
        ({"init": "no such model"}, "no model 'no such model'"),
        ({"folds": 9}, "9 folds of 4 images"),
        ({"device": "tpu"}, "device 'tpu' is not available here; there: .*cpu"),
        ({"recipe": "nothing"}, "no recipe '.*nothing': neither a readable TOML file nor one of .*nuclei"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(instances, start, tmp_path, options, words):
    with pytest.raises(InputError, match=words):
        start(instances, **options)
    assert not (tmp_path / "run" / "run.json").exists()


def test_objects_cannot_be_learned_from_classes(instances, start):
    (instances / "dataset.toml").write_text('name = "few"\nmasks = "semantic"\nclasses = ["no", "yes"]\n')
    with pytest.raises(InputError, match="learns to tell objects apart, but the masks of 'few' hold classes"):
        start(instances)


@pytest.mark.parametrize("kind", ["images", "masks"])
def test_a_broken_file_is_named_in_one_line_before_training(instances, start, tmp_path, kind):
    path = instances / kind / "field2.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(InputError, match=r"field2\.png") as refusal:
        start(instances)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_mask_of_another_size_is_named_with_both_sizes(instances, start):
    Image.fromarray(np.zeros((40, 39), np.uint8)).save(instances / "masks" / "field1.png")
    with pytest.raises(InputError, match=r"field1\.png: mask of \(40, 39\) for an image of \(40, 40\)"):
        start(instances)


def test_a_color_picture_for_a_network_of_one_channel_is_named(instances, start):
    colors = np.random.default_rng(0).integers(0, 255, (40, 40, 3)).astype(np.uint8)
    Image.fromarray(colors).save(instances / "images" / "field1.png")
    with pytest.raises(InputError, match=r"field1\.png: 3 channels, .* reads 1; set data.in_channels=3"):
        start(instances)


def test_a_gray_picture_saved_in_colors_is_gray(instances, start):
    gray = np.asarray(Image.open(instances / "images" / "field1.png"))
    plain = start(instances, "plain", settings=("training.steps=1",))
    Image.fromarray(np.stack([gray] * 3, axis=2)).save(instances / "images" / "field1.png")
    assert weights(start(instances, settings=("training.steps=1",))) == weights(plain)


def test_a_full_disk_is_one_line_and_the_earlier_checkpoint_stays_whole(instances, start, tmp_path, monkeypatch):
    whole = start(instances, "whole")
    checkpoint = tmp_path / "run" / "checkpoint-1.safetensors"
    earlier, sync = [], os.fsync

    def full(descriptor):
        if earlier and os.fstat(descriptor).st_size > 20_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    def watch(fold, folds, progress):
        if progress.step == 3:
            earlier.append(checkpoint.read_bytes())

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"checkpoint-1\.safetensors: cannot be written, the disk is full") as refusal:
        start(instances, step=watch)
    monkeypatch.undo()
    assert "\n" not in str(refusal.value)
    assert [checkpoint.read_bytes()] == earlier
    assert [path.name for path in (tmp_path / "run").iterdir() if path.name.startswith(".")] == []
    assert weights(start(instances, resume=True)) == weights(whole)


def test_a_checkpoint_that_is_none_is_refused_by_name(instances, start, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        start(instances, step=stop_at(2))
    checkpoint = tmp_path / "run" / "checkpoint-1.safetensors"
    for content in (checkpoint.read_bytes()[:1000], b"", (tmp_path / "run" / "model.safetensors").read_bytes()):
        checkpoint.write_bytes(content)
        with pytest.raises(InputError, match=r"checkpoint-1\.safetensors is no training state") as refusal:
            start(instances, resume=True)
        assert "\n" not in str(refusal.value)


def test_a_loss_that_is_no_number_leaves_the_best_model_and_says_what_to_do(instances, start, tmp_path, monkeypatch):
    steps = iter(range(100))
    real = assembly.weighted_sum
    monkeypatch.setattr(
        assembly, "weighted_sum", lambda *args, **kwargs: real(*args, **kwargs) * (np.nan if next(steps) == 3 else 1)
    )
    with pytest.raises(
        InputError, match=r"loss is nan at step 3; lower the learning rate .* start anew in another folder"
    ):
        start(instances)
    assert read_header(tmp_path / "run" / "model.safetensors").training.steps == 2


def test_ctrl_c_while_thresholds_are_chosen_keeps_the_trained_model(instances, start, tmp_path, monkeypatch):
    def pressed(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("cellproof.workflows.train.run.tune", pressed)
    with pytest.raises(KeyboardInterrupt):
        start(instances, settings=("training.steps=2",))
    monkeypatch.undo()
    unfinished = weights(tmp_path / "run" / "model.safetensors")
    assert weights(start(instances, resume=True)) == unfinished


def test_builds_of_torch_without_apple_gpus_train_on_the_processor(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delattr(torch.backends, "mps")
    assert choose_device("auto") == "cpu"
    with pytest.raises(UsageError, match="device 'mps' is not available here; there: cpu"):
        choose_device("mps")
