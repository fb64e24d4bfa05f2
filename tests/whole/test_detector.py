"""A detector by the public commands: trained, resumed, loaded, segmenting; and what is refused."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
import tifffile
from PIL import Image
from safetensors.numpy import load_file, save_file

from cellproof.checks import InputError, UsageError
from cellproof.cli import main
from cellproof.io import read_header, read_model, write_model
from cellproof.workflows.predict.load import EngineChoice, build_members, load_model

RECIPE = """
name = "detector"
[model]
architecture = "mask_rcnn"
[model.options]
backbone = "resnet10"
norm = "batch"
pyramid_channels = 8
box_channels = 16
mask_channels = 8
sampled = 16
proposals = 30
detections = 20
anchors = "12 16 24 32 64"
[augment]
exact = 1.0
probability = 0.0
[training]
patch_px = 32
batch = 2
steps = 4
validate_every = 2
precision = "f32"
[instance]
method = "detections"
"""

pytestmark = [
    pytest.mark.usefixtures("one_thread", "no_curves"),
    pytest.mark.skipif(find_spec("torchvision") is None, reason="torchvision is not installed"),
]


@pytest.fixture
def data(tmp_path):
    for kind in ("images", "masks"):
        (tmp_path / "data" / kind).mkdir(parents=True)
    for number in range(4):
        mask = np.zeros((40, 48), np.uint8)
        mask[6 : 22 + number, 8:26] = 1
        mask[26:38, 30:44] = 2
        Image.fromarray((mask > 0) * np.uint8(150) + np.uint8(30)).save(tmp_path / "data" / "images" / f"{number}.png")
        Image.fromarray(mask).save(tmp_path / "data" / "masks" / f"{number}.png")
    (tmp_path / "data" / "dataset.toml").write_text('name = "two"\nmasks = "instances"\n')
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path / "data"


def train(data, out, *more):
    return main(["train", str(data), "--out", str(out), "--recipe", str(data.parent / "recipe.toml"), *more])


def test_it_trains_loads_and_segments_and_a_resumed_training_is_the_uninterrupted_one(data, tmp_path, monkeypatch):
    assert train(data, tmp_path / "run") == 0
    header = read_header(tmp_path / "run" / "model.safetensors")
    assert header.heads.is_detector
    assert (header.architecture, header.instance.method, header.stride_px) == ("mask_rcnn", "detections", 32)

    from cellproof.training.trainer import Trainer

    take_step = Trainer.take_step

    def stop_after_three(trainer, *arguments):
        if trainer.step == 3:
            raise KeyboardInterrupt
        return take_step(trainer, *arguments)

    monkeypatch.setattr(Trainer, "take_step", stop_after_three)
    assert train(data, tmp_path / "stopped") == 130
    monkeypatch.setattr(Trainer, "take_step", take_step)
    assert main(["train", str(data), "--out", str(tmp_path / "stopped"), "--resume"]) == 0
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("run", "stopped"))
    assert all(np.array_equal(first[name], second[name]) for name in first)

    words = ["segment", str(data / "images"), "--model", str(tmp_path / "run"), "--out", str(tmp_path / "results")]
    assert main(words) == 0
    labels = tifffile.imread(tmp_path / "results" / "0_labels.tif")
    assert labels.shape == (40, 48)
    with pytest.raises(UsageError, match="is a detector, which only torch runs"):
        load_model(tmp_path / "run", EngineChoice("openvino"))


def test_an_image_without_detections_gives_an_empty_result_with_a_word(data, tmp_path, capsys):
    assert train(data, tmp_path / "run", "--set", "training.steps=1", "--set", "model.options.least_score=0.999") == 0
    image = data / "images" / "0.png"
    assert main(["segment", str(image), "--model", str(tmp_path / "run"), "--out", str(tmp_path / "results")]) == 0
    assert not tifffile.imread(tmp_path / "results" / "0_labels.tif").any()
    row = (tmp_path / "results" / "images.csv").read_text().splitlines()[1]
    assert "nothing found" in row


def test_weights_of_another_number_of_classes_are_refused_by_the_layer(data, tmp_path):
    assert train(data, tmp_path / "run", "--set", "training.steps=1") == 0
    header, tensors = read_model(tmp_path / "run" / "model.safetensors")
    import msgspec

    from cellproof.types import Heads

    more = msgspec.structs.replace(header, classes=(*header.classes, "other"), heads=Heads(3, header.heads.fields))
    write_model(tmp_path / "other.safetensors", more, tensors)
    with pytest.raises(InputError, match=r"box_predictor.bbox_pred.bias has shape \(8,\), expected \(12,\)"):
        build_members(tmp_path / "other.safetensors")


def test_published_weights_are_the_start(data, tmp_path, capsys):
    assert train(data, tmp_path / "run", "--set", "training.steps=1") == 0
    weights = load_file(tmp_path / "run" / "model.safetensors")
    save_file({name.removeprefix("member0."): value for name, value in weights.items()}, tmp_path / "coco.safetensors")
    start = ["--init", str(tmp_path / "coco.safetensors"), "--set", "training.steps=1"]
    assert train(data, tmp_path / "second", *start) == 0
    said = capsys.readouterr()
    assert f"{len(weights)} of {len(weights)} tensors fit" in said.out + said.err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            '[[heads]]\nname = "boundary"\n',
            "finds objects one by one and has no other outputs; leave \\[\\[heads\\]\\] out",
        ),
        ("[loss]\nbalance_classes = 0.5\n", "computes its losses itself; leave \\[loss\\] out"),
    ],
)
def test_recipes_that_ask_a_detector_for_dense_outputs_are_refused(data, tmp_path, capsys, change, words):
    import re

    (tmp_path / "recipe.toml").write_text(RECIPE + change)
    assert train(data, tmp_path / "run") == 1
    assert re.search(words, capsys.readouterr().err.replace("\n", " "))


def test_a_dense_network_asked_for_detections_is_refused(data, tmp_path, capsys):
    (tmp_path / "recipe.toml").write_text('name = "dense"\n[[heads]]\nname = "detections"\n')
    assert train(data, tmp_path / "run") == 1
    assert "no dense network learns the output 'detections'" in capsys.readouterr().err


def test_a_detector_and_a_dense_network_are_one_model(data, tmp_path, capsys):
    assert train(data, tmp_path / "run", "--set", "training.steps=1") == 0
    (tmp_path / "recipe.toml").write_text(
        'name = "dense"\n[model]\noptions = { width = 4, depth = 2 }\n[[heads]]\nname = "boundary"\n'
        '[training]\npatch_px = 32\nsteps = 4\nvalidate_every = 4\nprecision = "f32"\n'
        '[instance]\nmethod = "components"\n'
    )
    assert train(data, tmp_path / "dense") == 0
    both = tmp_path / "both.safetensors"
    assert main(["combine", str(tmp_path / "dense"), str(tmp_path / "run"), "--out", str(both)]) == 0
    header = read_header(both)
    assert (header.heads.names, header.instance.method) == (("boundary", "detections"), "shaped")
    for model, said in ((both, "is an ensemble"), (tmp_path / "run", "is a detector")):
        assert main(["train", str(data), "--out", str(tmp_path / "more"), "--init", str(model)]) == 1
        assert f"{said}, for which no training is planned" in capsys.readouterr().err
        assert main(["inspect", str(data), "--model", str(model)]) == 2
        assert f"{said}; what a pixel sees" in capsys.readouterr().err
    image = data / "images" / "0.png"
    words = ["segment", str(image), "--model", str(both), "--engine", "torch", "--out", str(tmp_path / "results")]
    assert main(words) == 0
    assert tifffile.imread(tmp_path / "results" / "0_labels.tif").shape == (40, 48)


@pytest.mark.slow
def test_a_study_compares_a_detector_with_a_dense_network_and_with_both_together(tmp_path):
    options = RECIPE.split("[model.options]\n")[1].split("[augment]")[0].strip().replace("\n", ", ")
    change = [
        "heads=[]",
        'model.architecture="mask_rcnn"',
        f"model.options={{{options}}}",
        'instance.method="detections"',
    ]
    (tmp_path / "study.toml").write_text(
        f"""
name = "tiny"
[model]
options = {{ width = 4, depth = 2 }}
[[heads]]
name = "boundary"
[training]
patch_px = 64
batch = 1
steps = 1
validate_every = 1
precision = "f32"
[instance]
method = "components"
[study]
reference = "Nobody (2020)"
protocols = ["stardist"]
sets = [{{ name = "simulated", simulate = {{ kind = "nuclei", images = 4 }} }}]
division = {{ folds = 4, validation = 0.34 }}
entries = [
  {{ name = "U-Net" }},
  {{ name = "Mask R-CNN", set = {change!r} }},
  {{ name = "both", ensemble_of = ["U-Net", "Mask R-CNN"] }},
]
profiles = {{ full = {{ note = "tiny", only_folds = 1 }} }}
"""
    )
    words = ["reproduce", str(tmp_path / "study.toml"), "--data", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main([*words, "--device", "cpu"]) == 0
    rows = (tmp_path / "out" / "tables.csv").read_text().splitlines()
    assert {name for name in ("U-Net", "Mask R-CNN", "both") if any(f",{name}," in row for row in rows)} == {
        "U-Net",
        "Mask R-CNN",
        "both",
    }
    (part,) = (tmp_path / "out").rglob("both/model.safetensors")
    assert read_header(part).instance.method == "shaped"
