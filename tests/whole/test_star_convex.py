"""A network that learns star-convex polygons and nothing else beside the classes, by the public commands."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from cellproof.cli import main
from cellproof.data.samples import rescale_image
from cellproof.inference.predict import predict
from cellproof.instances.decode import decode
from cellproof.io import read_header, read_image
from cellproof.workflows.predict import load_model
from cellproof.workflows.predict.load import EngineChoice
from cellproof.workflows.predict.predictor import Predictor, rescale_maps

RECIPE = """
name = "stars"
[data]
scale = 0.35
[model]
options = { width = 8, depth = 3 }
[[heads]]
name = "star_convex"
options = { rays = 16, unit_px = 1 }    # nuclei are 7 px wide at this scale
[instance]
method = "star_convex"
[augment]
exact = 1.0
probability = 0.0
[training]
patch_px = 64
batch = 4
steps = 100
validate_every = 100
learning_rate = 1e-2
average_decay = 0.9
precision = "f32"
"""

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder with simulated nuclei to train on, others to score on, and a run."""
    folder = tmp_path_factory.mktemp("stars")
    (folder / "recipe.toml").write_text(RECIPE)
    simulate = ["--size", "192"]
    assert main(["simulate", "nuclei", "--out", str(folder / "data"), "--count", "6", *simulate]) == 0
    assert main(["simulate", "nuclei", "--out", str(folder / "new"), "--count", "2", "--seed", "7", *simulate]) == 0
    words = ["train", str(folder / "data"), "--out", str(folder / "run"), "--recipe", str(folder / "recipe.toml")]
    assert main(words) == 0
    return folder


def test_the_model_says_how_its_objects_are_made(trained):
    header = read_header(trained / "run" / "model.safetensors")
    (head,) = header.heads.fields
    assert (head.name, head.channels, head.probabilities, head.geometry) == ("star_convex", 17, 1, "rays")
    assert header.instance.method == "star_convex"
    assert set(header.instance.options) == {"score_threshold", "overlap_threshold", "edges"}


def test_new_images_are_segmented_into_sensible_objects(trained, tmp_path):
    words = ["segment", str(trained / "new" / "images"), "--out", str(tmp_path / "out")]
    assert main([*words, "--model", str(trained / "run"), "--engine", "torch"]) == 0
    words = ["evaluate", str(tmp_path / "out"), str(trained / "new"), "--json", str(tmp_path / "scores.json")]
    assert main(words) == 0
    rows = json.loads((tmp_path / "scores.json").read_text())["rows"]
    found = {row["metric"]: row["value"] for row in rows if row["class_or_threshold"] == "0.5"}
    assert found["AP (StarDist)"] > 0.5
    labels = tifffile.imread(next((tmp_path / "out").glob("*_labels.tif")))
    assert labels.max() > 2


def test_tiled_objects_are_those_of_the_whole_image(trained):
    model = load_model(trained / "run", EngineChoice("torch", "f32", "cpu", threads=1))
    predictor, header = Predictor.of_model(model), model.header
    image = predictor.prepare(read_image(trained / "new" / "images" / "nuclei-0001.png").pixels[0])
    settings = {"heads": header.heads, "stride_px": header.stride_px, "halo_px": header.receptive_field_px}
    whole = predict(model.engines, image, **settings)
    tiled = predict(model.engines, image, **settings, max_pixels=(2 * header.receptive_field_px + 24) ** 2)
    np.testing.assert_allclose(tiled.fields["star_convex"], whole.fields["star_convex"], atol=1e-3)
    labels = [decode(maps.probabilities, maps.fields, options=header.instance) for maps in (whole, tiled)]
    assert labels[0].max() > 2
    np.testing.assert_array_equal(labels[1], labels[0])


def test_maps_of_twice_the_size_have_rays_of_twice_the_length_and_the_same_probability(trained):
    header = read_header(trained / "run" / "model.safetensors")
    model = load_model(trained / "run", EngineChoice("torch", "f32", "cpu", threads=1))
    image = Predictor.of_model(model).prepare(read_image(trained / "new" / "images" / "nuclei-0001.png").pixels[0])
    maps = predict(model.engines, image, heads=header.heads, stride_px=header.stride_px, halo_px=64)
    rows, columns = image.shape[1:]
    larger = rescale_maps(maps, (2 * rows, 2 * columns), heads=header.heads).fields["star_convex"]
    before = rescale_image(maps.fields["star_convex"], (2 * rows, 2 * columns))
    np.testing.assert_allclose(larger[0], before[0], atol=1e-5)
    np.testing.assert_allclose(larger[1:], 2 * before[1:], rtol=1e-5, atol=1e-4)
    found = decode(maps.probabilities, maps.fields, options=header.instance)
    assert found.max() > 2
