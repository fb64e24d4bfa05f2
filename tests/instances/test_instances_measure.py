from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage
from scipy.ndimage import gaussian_filter
from skimage.draw import ellipse
from skimage.io import imread
from skimage.measure import regionprops_table

from cellproof.checks import InputError
from cellproof.instances.components import label_components
from cellproof.instances.measure import measure

WHOLE = ["label", "area", "bbox-0", "bbox-1", "bbox-2", "bbox-3"]
SHAPE = [
    "axis_major_length",
    "axis_minor_length",
    "eccentricity",
    "equivalent_diameter_area",
    "perimeter",
    "extent",
    "solidity",
]
PLACE = ["centroid-0", "centroid-1"]
PROPERTIES = ("label", "area", "bbox", "centroid", "orientation", *SHAPE)
INTENSITY = ("intensity_mean", "intensity_min", "intensity_max", "intensity_std")


def check_measurements(labels, image):
    table = measure(labels, intensity=np.moveaxis(image, -1, 0))
    expected = regionprops_table(labels, image, properties=(*PROPERTIES, *INTENSITY))
    for name in WHOLE:
        np.testing.assert_array_equal(table[name], expected[name], err_msg=name)
    for name in [*PLACE, *SHAPE, *(f"{name}-{channel}" for name in INTENSITY for channel in range(image.shape[-1]))]:
        # The square root of a difference of moments turns 1e-16 into 1e-8 where an object is a line.
        np.testing.assert_allclose(table[name], expected[name], rtol=1e-6, atol=1e-6, err_msg=name)
    turn = np.abs(table["orientation"] - expected["orientation"])
    elongated = table["eccentricity"] > 0.05
    np.testing.assert_allclose(np.minimum(turn, np.pi - turn)[elongated], 0, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(labels=arrays.arrays(np.int32, (9, 12), elements=st.sampled_from([0, 1, 2, 2, 7])), seed=st.integers(0, 99))
def test_random_labels_have_scikit_images_measurements(labels, seed):
    if labels.any():
        check_measurements(labels, np.random.default_rng(seed).integers(0, 4000, (9, 12, 2)).astype(np.uint16))


def test_cells_that_touch_each_other_and_the_border_have_scikit_images_measurements():
    rng = np.random.default_rng(0)
    labels = np.zeros((150, 170), np.int32)
    for label in range(1, 60):
        center, axes = rng.uniform(0, 170, 2), rng.uniform(3, 14, 2)
        labels[ellipse(*center, *axes, labels.shape, rotation=rng.uniform(-3, 3))] = label
    check_measurements(labels, ndimage.gaussian_filter(rng.random((150, 170, 1)).astype(np.float32), (2, 2, 0)))


def test_annotated_nuclei_have_scikit_images_measurements(data_folder):
    mask = sorted((data_folder / "dsb2018" / "val" / "masks").glob("*.png"))[0]
    labels = imread(mask)[:300, :300].astype(np.int32)
    image = imread(data_folder / "dsb2018" / "val" / "images" / mask.name)[:300, :300]
    check_measurements(labels, image if image.ndim == 3 else image[..., None])


def test_measurements_far_from_the_origin_lose_no_digits():
    labels = np.zeros((4, 200_000), np.int32)
    labels[1:4, 199_990:199_995] = 1
    table, near = measure(labels), measure(labels[:, 199_980:])
    np.testing.assert_allclose(table["axis_major_length"], near["axis_major_length"], rtol=1e-9)
    np.testing.assert_allclose(table["axis_minor_length"], near["axis_minor_length"], rtol=1e-9)


def test_an_object_touches_the_border_when_it_reaches_the_outermost_pixels():
    labels = np.zeros((6, 7), int)
    labels[0, 3], labels[5, 3], labels[2, 0], labels[2, 6], labels[2:4, 2:5] = 1, 2, 3, 4, 5
    assert measure(labels)["touches_border"].tolist() == [True, True, True, True, False]


def test_one_pixel_has_no_axes_and_no_direction():
    table = measure(np.pad([[1]], 2))
    assert table["axis_major_length"] == table["eccentricity"] == table["perimeter"] == 0
    assert table["orientation"] == -np.pi / 4
    assert table["extent"] == 1


def test_an_image_of_one_pixel_can_be_measured():
    table = measure(np.ones((1, 1), int), intensity=np.full((1, 1, 1), 5))
    assert table["area"].tolist() == [1]
    assert table["intensity_mean-0"].tolist() == [5]


def test_an_image_without_objects_has_the_same_columns_of_length_zero():
    extras = {"intensity": np.ones((2, 3, 4)), "confidence": np.ones((3, 4)), "pixel_size_um": 0.5}
    empty = measure(np.zeros((3, 4), int), classes=np.zeros(0, np.uint8), **extras)
    full = measure(np.ones((3, 4), int), classes=np.ones(1, np.uint8), **extras)
    assert list(empty) == list(full)
    assert {column.shape for column in empty.values()} == {(0,)}


def test_columns_start_with_label_class_and_area():
    table = measure(np.array([[1, 0, 2]]), classes=np.array([2, 1], np.uint8))
    assert list(table)[:3] == ["label", "class", "area"]
    assert table["class"].tolist() == [2, 1]


def test_area_in_square_micrometers_is_pixels_times_the_pixels_area():
    assert measure(np.array([[1, 1, 0, 2]]), pixel_size_um=0.5)["area_um2"].tolist() == [0.5, 0.25]


def test_confidence_is_the_mean_over_the_object():
    table = measure(np.array([[1, 1, 0, 2]]), confidence=np.array([[0.5, 1, 0, 0.75]], np.float32))
    assert table["confidence"].tolist() == [0.75, 0.75]


def test_bright_pixels_with_little_spread_keep_their_standard_deviation():
    image = np.full((1, 10, 10), 60_000.0)
    image[0, ::2] += 1
    assert measure(np.ones((10, 10), int), intensity=image)["intensity_std-0"] == pytest.approx(0.5, rel=1e-9)


@pytest.mark.parametrize(
    ("extras", "message"),
    [
        ({"classes": np.ones(3)}, r"classes has shape \(3,\), expected \(2,\)"),
        ({"confidence": np.ones((2, 2))}, "shapes differ"),
        ({"intensity": np.ones((1, 2, 2))}, "shapes differ"),
        ({"intensity": np.ones((1, 3))}, "intensity has shape"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(extras, message):
    with pytest.raises(InputError, match=message):
        measure(np.array([[1, 0, 2]]), **extras)


def test_labels_with_fractions_are_refused():
    with pytest.raises(InputError, match="labels has dtype float64"):
        measure(np.ones((2, 2)))


@pytest.mark.parametrize("sigma", [1.0, 3.0])
def test_solidity_is_that_of_scikit_image(sigma):
    noise = gaussian_filter(np.random.default_rng(4).normal(size=(120, 130)), sigma)
    labels = label_components((noise > 0).astype(np.uint8))
    expected = regionprops_table(labels, properties=("solidity",))["solidity"]
    np.testing.assert_allclose(measure(labels)["solidity"], expected, rtol=1e-12)


def test_neighbors_are_as_far_as_their_centers_and_a_single_object_has_none():
    labels = np.zeros((12, 30), int)
    labels[2:5, 2:5], labels[2:5, 12:15], labels[8:9, 28:29] = 1, 2, 3
    found = measure(labels, pixel_size_um=0.5)
    np.testing.assert_allclose(found["nearest_neighbor"], [10, 10, np.hypot(5, 15)])
    np.testing.assert_allclose(found["nearest_neighbor_um"], found["nearest_neighbor"] / 2)
    np.testing.assert_allclose(found["x_um"], [1.5, 6.5, 14.0])
    np.testing.assert_allclose(found["y_um"], [1.5, 1.5, 4.0])
    np.testing.assert_allclose(found["equivalent_diameter_area_um"], found["equivalent_diameter_area"] / 2)
    assert np.isnan(measure(labels == 1)["nearest_neighbor"]).all()
