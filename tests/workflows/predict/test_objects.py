"""Small objects and the scale that a diameter leads to."""

from __future__ import annotations

import numpy as np
import pytest

from cellproof.checks import UsageError
from cellproof.inference.activate import Maps
from cellproof.types import Heads, IntensityStatistics, ModelHeader
from cellproof.workflows.predict import Predictor, label_objects
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
