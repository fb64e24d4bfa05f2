"""A network that is told an attribute of each image: what it is told decides, and it works when told nothing."""

from __future__ import annotations

import csv

import numpy as np
import pytest

import cellproof
from cellproof.checks import InputError
from cellproof.data.normalization import with_condition
from cellproof.io.png import write_png

RECIPE = """
name = "told"
[data]
in_channels = 1
condition = "kind"
condition_dropout = 0.2
validation = 0.25
[model]
architecture = "unet"
options = { width = 4, depth = 2 }
[augment]
exact = 1.0
foreground_bias = 0.0
probability = 0.0
[training]
patch_px = 32
batch = 4
steps = 60
validate_every = 60
learning_rate = 0.02
average_decay = 0.5
precision = "f32"
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Trained on noise that is all foreground in images of kind "full" and all background in those of kind "bare"."""
    folder = tmp_path_factory.mktemp("conditions")
    rng = np.random.default_rng(0)
    rows = []
    for number in range(8):
        kind = ("full", "bare")[number % 2]
        rows.append({"name": f"i{number}", "kind": kind})
        for part, values in (
            ("images", rng.integers(0, 255, (40, 40))),
            ("masks", np.full((40, 40), kind == "full")),
        ):
            (folder / "data" / part).mkdir(parents=True, exist_ok=True)
            write_png(folder / "data" / part / f"i{number}.png", values.astype(np.uint8))
    with (folder / "data" / "manifest.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, ["name", "kind"])
        table.writeheader()
        table.writerows(rows)
    (folder / "data" / "dataset.toml").write_text(
        'name = "told"\nmasks = "semantic"\nclasses = ["ground", "tissue"]\nattributes = "manifest.csv"\n'
    )
    (folder / "told.toml").write_text(RECIPE)
    return cellproof.train(folder / "data", folder / "run", recipe=str(folder / "told.toml"))


@pytest.fixture
def noise():
    return np.random.default_rng(1).integers(0, 255, (40, 40)).astype(np.uint8)


def test_what_the_network_is_told_decides_where_the_image_does_not(model, noise):
    assert cellproof.load_model(model, engine="torch").header.conditions == ("bare", "full")
    full = cellproof.segment(noise, model, condition="full", engine="torch")
    bare = cellproof.segment(noise, model, condition="bare", engine="torch")
    assert (full.classes == 1).mean() > 0.9
    assert (bare.classes == 0).mean() > 0.9


def test_a_network_that_is_told_nothing_is_unsure_between_what_it_could_have_been_told(model, noise):
    unknown = cellproof.segment(noise, model, engine="torch").probabilities[1].mean()
    told = [
        cellproof.segment(noise, model, condition=one, engine="torch").probabilities[1].mean()
        for one in ("bare", "full")
    ]
    assert told[0] < unknown < told[1]


def test_a_condition_that_the_model_does_not_know_is_refused_with_those_it_does(model, noise):
    with pytest.raises(InputError, match="condition is 'empty'; expected one of bare, full"):
        cellproof.segment(noise, model, condition="empty", engine="torch")
    with pytest.raises(InputError, match="condition is 'full'; the model has no conditions"):
        cellproof.segment(noise, "nuclei", condition="full")


def test_the_best_moment_is_that_with_and_without_the_condition(model):
    with (model.parent / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    told, withheld, score = (float(rows[-1][name]) for name in ("mean_iou", "mean_iou_withheld", "score"))
    assert withheld < told  # noise tells nothing
    assert score == pytest.approx((told + withheld) / 2)


def test_what_is_unknown_may_be_the_mean_of_what_is_known():
    told = with_condition(np.ones((1, 3, 4), np.float32), ("a", "b", "c", "d"), "", unknown="mean")
    np.testing.assert_array_equal(told[1:], np.full((4, 3, 4), 0.25, np.float32))
    known = with_condition(np.ones((1, 3, 4), np.float32), ("a", "b", "c", "d"), "b", unknown="mean")
    np.testing.assert_array_equal(known[1:, 0, 0], [0, 1, 0, 0])


def test_an_image_without_condition_gets_channels_of_zeros():
    image = np.ones((2, 3, 4), np.float32)
    told = with_condition(image, ("a", "b"), "")
    np.testing.assert_array_equal(told[:2], image)
    assert not told[2:].any()
    assert with_condition(image, (), "") is image
