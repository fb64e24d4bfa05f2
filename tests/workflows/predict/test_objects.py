"""Small objects and the scale that a diameter leads to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cellproof.checks import UsageError
from cellproof.inference.activate import Maps
from cellproof.inference.tta import FOUR_VIEWS
from cellproof.types import Heads, IntensityStatistics, ModelHeader
from cellproof.workflows.predict import Model, Predictor, Timings, label_objects, predict_objects
from cellproof.workflows.predict.objects import off_by, usual_diameter, without_small


def header(*diameters: float) -> ModelHeader:
    return ModelHeader(
        name="sized",
        architecture="unet",
        heads=Heads(classes=2),
        classes=("ground", "thing"),
        in_channels=1,
        stride_px=1,
        receptive_field_px=1,
        statistics=IntensityStatistics(object_diameter_px=diameters),
    )


def square(side: int, *, size: int = 64) -> np.ndarray:
    labels = np.zeros((size, size), np.int32)
    labels[4 : 4 + side, 4 : 4 + side] = 1
    return labels


def test_pieces_below_the_smallest_area_lose_their_label_and_keep_their_class():
    classes = np.zeros((6, 9), np.uint8)
    classes[1:4, 1:4], classes[5, 8] = 1, 1
    maps = Maps(np.stack([1.0 - classes, classes.astype(float)]).astype(np.float32))
    labels, kept = label_objects(maps, header(), min_area_px=2)
    np.testing.assert_array_equal(labels, (classes > 0) * (np.arange(6) < 5)[:, None])
    np.testing.assert_array_equal(kept, classes)
    assert label_objects(maps, header())[0].max() == 2


def test_labels_stay_dense_where_a_small_one_is_left_out():
    labels = np.array([[1, 1, 0, 2, 0, 3, 3]])
    np.testing.assert_array_equal(without_small(labels, 2), [[1, 1, 0, 0, 0, 2, 2]])
    assert without_small(labels, 0) is labels
    assert without_small(np.zeros((3, 3), int), 5).max() == 0


def test_the_usual_diameter_is_that_of_the_median_objects_pixels():
    labels = square(20)
    labels[60:62, 60:62] = 2
    assert usual_diameter(labels) == pytest.approx(np.sqrt(4 * 400 / np.pi))
    assert usual_diameter(np.zeros((4, 4), int)) == 0


@pytest.mark.parametrize(("diameter_px", "scale"), [(8.0, 3.0), (24.0, 1.0), (48, 0.5)])
def test_a_diameter_leads_to_the_median_of_training(diameter_px, scale):
    assert Predictor.scale_for(diameter_px, header(10.0, 24.0, 40.0)) == scale


def test_diameters_out_of_range_or_without_a_known_size_are_refused():
    with pytest.raises(UsageError, match=r"diameter_px is 2; expected 3 to 384") as caught:
        Predictor.scale_for(2, header(10.0, 24.0, 40.0))
    assert caught.value.arguments == ("diameter_px",)
    with pytest.raises(UsageError, match="knows no size of objects"):
        Predictor.scale_for("auto", header())


def test_a_measured_misfit_is_a_ratio_of_diameters():
    sized = header(10.0, 24.0, 40.0)
    diameter = usual_diameter(square(10))
    assert off_by(square(10), sized, scale=1.0) == pytest.approx(diameter / 24)
    assert off_by(square(10), sized, scale=24 / diameter) == 1.0
    assert off_by(np.zeros((4, 4), int), sized, scale=1.0) == 1.0
    assert off_by(square(1), sized, scale=1.0) == pytest.approx(1 / 8)  # never beyond eightfold


class Lopsided:
    """An engine that finds the left half of a window likelier to be foreground than the right."""

    name, precision, device, reason, bytes_per_pixel = "lopsided", "f32", "cpu", "a test", 1

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, batch):
        self.seen += 1
        left = np.linspace(4, -4, batch.shape[3]) + np.zeros((1, *batch.shape[2:]))
        return np.stack([-left, left], axis=1).astype(np.float32)


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_seen_again_is_the_mean_of_four_views_for_three_more_passes(scale):
    engine = Lopsided()
    model = Model(header(), "hash", (engine,), Path("drawn"))
    image = np.zeros((1, 24, 40), np.float32)
    first = predict_objects(model, image, diameter_px=None, timings=Timings())
    maps = Predictor.of_model(model).predict(image, scale=scale, views=FOUR_VIEWS)
    engine.seen = 0
    one = replace(first, scale=scale, maps=Predictor.of_model(model).predict(image, scale=scale))
    again = one.seen_again(model, image, timings=(timings := Timings()))
    assert (first.views, again.views, engine.seen) == (1, 4, 1 + 3)
    np.testing.assert_allclose(again.maps.probabilities, maps.probabilities, atol=1e-6)
    assert timings.network_s > 0
    assert timings.instances_s > 0


def test_nothing_is_seen_again_where_memory_does_not_hold_two_sets_of_maps():
    engine = Lopsided()
    model = Model(header(), "hash", (engine,), Path("drawn"))
    image = np.zeros((1, 500, 400), np.float32)
    first = predict_objects(model, image, timings=Timings())
    # The process itself, the image and one set of maps take 452.4 MB, a second set 1.6 MB.
    assert first.seen_again(model, image, max_memory_bytes=453_000_000, timings=Timings()) is first
    assert first.seen_again(model, image, max_memory_bytes=460_000_000, timings=Timings()).views == 4
