"""Several models in one file: what is averaged, what each keeps, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from cellproof.checks import InputError, UsageError
from cellproof.data.index import Record
from cellproof.data.targets import heads_of
from cellproof.inference.tta import EIGHT_VIEWS
from cellproof.io import read_header
from cellproof.types import Head, Heads, InstanceOptions, Normalization
from cellproof.workflows.evaluate import ClassNames, Reference
from cellproof.workflows.predict import EngineChoice, Model, Predictor, load_model
from cellproof.workflows.reproduce.predictions import Trained, combined, predict_record

TORCH = EngineChoice("torch", "f32", "cpu", threads=1)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def image():
    rng = np.random.default_rng(0)
    return np.repeat(rng.random((1, 24, 32), np.float32), 3, axis=0)


def test_probabilities_are_the_mean_and_each_model_keeps_scale_and_temperature(tmp_path, write_threshold_model, image):
    paths = [
        write_threshold_model(tmp_path / "sharp.safetensors", name="sharp"),
        write_threshold_model(tmp_path / "mild.safetensors", name="mild", temperature=30.0, scale=0.5),
    ]
    header = Model.combine(paths, tmp_path / "both.safetensors")
    assert read_header(tmp_path / "both.safetensors") == header
    assert (header.name, header.members, header.instance.method) == ("sharp+mild", 2, "components")
    alone = [Predictor.of_model(load_model(path, TORCH)) for path in paths]
    expected = [one.predict(image, scale=one.scale) for one in alone]
    seen, progress = [], []
    both = Predictor.of_model(load_model(tmp_path / "both.safetensors", TORCH))
    maps = both.predict(
        image,
        scale=both.scale,
        views=EIGHT_VIEWS,
        each=lambda member, one: seen.append((member, one.probabilities.shape)),
        progress=lambda done, of: progress.append((done, of)),
    )
    once = both.predict(image, scale=both.scale)
    np.testing.assert_allclose(once.probabilities, np.mean([one.probabilities for one in expected], axis=0), atol=1e-6)
    np.testing.assert_allclose(
        once.fields["boundary"], np.mean([one.fields["boundary"] for one in expected], axis=0), atol=1e-6
    )
    assert not np.allclose(expected[0].probabilities, expected[1].probabilities, atol=0.1)
    assert seen == [(0, (2, 24, 32))] * 8 + [(1, (2, 24, 32))] * 8
    assert progress[-1] == (16, 16)
    assert maps.probabilities.shape == (2, 24, 32)


def test_the_first_model_s_outputs_and_method_are_kept_also_where_others_lack_them(
    tmp_path, write_threshold_model, image
):
    first = write_threshold_model(tmp_path / "a.safetensors", instance=InstanceOptions("components", 0.4))
    second = write_threshold_model(
        tmp_path / "b.safetensors", heads=heads_of(2, ["distance"]), instance=InstanceOptions("watershed", 0.6)
    )
    header = Model.combine([second, first], tmp_path / "pair.safetensors", name="pair")
    assert (header.name, header.heads.names) == ("pair", ("distance",))
    assert (header.instance.method, header.instance.foreground_threshold) == ("watershed", 0.5)
    heights = []
    for path in (second, tmp_path / "pair.safetensors"):
        predictor = Predictor.of_model(load_model(path, TORCH))
        heights.append(predictor.predict(predictor.prepare(image), scale=1.0).fields["distance"])
    np.testing.assert_array_equal(heights[0], heights[1])
    turned = Model.combine([first, second], tmp_path / "turned.safetensors")
    assert (turned.heads.names, turned.instance.method) == (("boundary",), "components")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classes": ("background", "cell")}, "classes is background, cell, that of .*background, disk"),
        ({"normalization": Normalization(low_percentile=2.0)}, "normalization is .*2.0"),
    ],
)
def test_models_of_other_classes_or_normalization_are_refused(tmp_path, write_threshold_model, changes, words):
    first = write_threshold_model(tmp_path / "a.safetensors")
    second = write_threshold_model(tmp_path / "b.safetensors", **changes)
    with pytest.raises(InputError, match=words):
        Model.combine([first, second], tmp_path / "both.safetensors")


def test_one_model_two_detectors_and_ensembles_of_ensembles_are_refused(tmp_path, write_threshold_model):
    first = write_threshold_model(tmp_path / "a.safetensors")
    with pytest.raises(UsageError, match="at least two models, got 1"):
        Model.combine([first], tmp_path / "both.safetensors")
    Model.combine([first, first], tmp_path / "both.safetensors")
    with pytest.raises(InputError, match="is an ensemble already; give its parts"):
        Model.combine([first, tmp_path / "both.safetensors"], tmp_path / "more.safetensors")
    detector = write_threshold_model(tmp_path / "c.safetensors", heads=Heads(2, (Head("detections", channels=4),)))
    with pytest.raises(InputError, match="are detectors, of which an ensemble has one"):
        Model.combine([detector, detector, first], tmp_path / "more.safetensors")
    assert Model.combine([detector, first], tmp_path / "more.safetensors").instance.method == "shaped"


def test_commands_take_the_file_and_its_card_lists_the_parts(tmp_path, write_threshold_model, cellproof, pictures):
    first = write_threshold_model(tmp_path / "a.safetensors")
    out = tmp_path / "both.safetensors"
    done = cellproof("combine", first, first, "--out", out)
    assert (done.code, done.out.splitlines()[0]) == (
        0,
        "threshold+threshold: 2 models, 2 networks; objects by components",
    )
    assert "part 2: threshold, unet, 1 in the file" in cellproof("models", out).out
    counts = []
    for model in (first, out):
        results = tmp_path / f"results-{model.stem}"
        done = cellproof("segment", pictures.folder, "--model", model, "--out", results, "--engine", "torch")
        assert done.code == 0
        counts.append((results / "objects.csv").read_text())
    assert counts[0] == counts[1]


def test_a_study_s_ensemble_of_networks_that_tell_objects_apart(tmp_path, write_threshold_model, image):
    import tifffile

    tifffile.imwrite(tmp_path / "image.tif", image[0])
    files = [
        write_threshold_model(tmp_path / "a.safetensors"),
        write_threshold_model(tmp_path / "b.safetensors", temperature=30.0),
    ]
    one = combined([Trained(file, tmp_path / "predictions" / file.stem) for file in files], tmp_path / "entry")
    assert one.cache.parent == tmp_path / "predictions"
    model = load_model(one.model_file, TORCH)
    record = Record(name="image", image=tmp_path / "image.tif", mask=tmp_path / "image.tif", split="", group="")
    names = ClassNames(("disk",), has_objects=True)
    predicted = predict_record(model, record, Reference(np.zeros((24, 32), int), names))
    alone = [predict_record(load_model(file, TORCH), record, predicted.reference) for file in files]
    for name in ("probabilities", "views"):
        mean = np.mean([getattr(said, name) for said in alone], axis=0)
        np.testing.assert_allclose(getattr(predicted, name), mean, atol=1e-5)
    assert predicted.ensemble is not None
    assert predicted.ensemble.max() > 0
