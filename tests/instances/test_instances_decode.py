from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from msgspec.structs import replace
from skimage.draw import disk

from cellproof.checks import InputError
from cellproof.instances.decode import decode, foreground_mask, object_classes
from cellproof.types import InstanceOptions


@dataclass(frozen=True)
class Scene:
    labels: np.ndarray
    probabilities: np.ndarray
    distance: np.ndarray
    flows: np.ndarray


@pytest.fixture(scope="module")
def scene():
    """Two touching discs and one apart, with maps computed from their centers."""
    shape, centers, radius = (60, 80), [(22, 20), (22, 43), (45, 65)], 12
    labels, distance, flows = np.zeros(shape, np.int32), np.zeros(shape), np.zeros((2, *shape))
    rows, columns = np.indices(shape)
    for label, (row, column) in enumerate(centers, start=1):
        own = np.zeros(shape, bool)
        own[disk((row, column), radius)] = True
        own &= labels == 0
        labels[own] = label
        away = np.hypot(rows - row, columns - column)
        distance[own] = (1 - (away / radius) ** 2)[own]
        flows[:, own] = (np.stack([row - rows, column - columns]) / np.maximum(away, 1))[:, own]
    found = np.where(labels > 0, 0.9, 0.1)
    return Scene(labels, np.stack([1 - found, found]).astype(np.float32), distance, flows.astype(np.float32))


@pytest.mark.parametrize("method", ["flows", "watershed"])
def test_touching_discs_come_back_as_drawn(scene, method):
    fields = {"distance": scene.distance[None], "flows": scene.flows, "boundary": np.zeros_like(scene.distance)[None]}
    labels = decode(scene.probabilities, fields, options=InstanceOptions(method=method))
    assert (labels != scene.labels).mean() < 0.005
    assert labels.dtype == np.int32


def test_components_join_touching_discs(scene):
    labels = decode(scene.probabilities, {}, options=InstanceOptions(method="components"))
    np.testing.assert_array_equal(labels, np.select([scene.labels == 3, scene.labels > 0], [2, 1]))


@pytest.mark.parametrize(("method", "needed"), [("flows", "flows"), ("watershed", "distance")])
def test_a_missing_map_is_refused_by_name(scene, method, needed):
    with pytest.raises(InputError, match=f"method '{method}' needs the map '{needed}'"):
        decode(scene.probabilities, {}, options=InstanceOptions(method=method))


def test_a_method_that_there_is_not_is_refused_with_those_that_are(scene):
    with pytest.raises(InputError, match=r"no method .stars.; there: components, .*star_convex, .*watershed"):
        decode(scene.probabilities, {}, options=InstanceOptions(method="stars"))


def test_options_reach_the_cleaning(scene):
    options = InstanceOptions(method="components", smallest_area_px=500)
    assert decode(scene.probabilities, {}, options=options).max() == 1
    assert decode(scene.probabilities, {}, options=replace(options, smallest_area_px=5000)).max() == 0


@pytest.mark.parametrize("method", ["flows", "watershed", "components"])
@pytest.mark.parametrize(("found", "objects"), [(0.0, 0), (1.0, 1)])
def test_no_foreground_gives_no_object_and_all_foreground_one(method, found, objects):
    probabilities = np.stack([np.full((9, 9), 1 - found), np.full((9, 9), found)])
    rows, columns = np.indices((9, 9))
    flows = np.stack([4 - rows, 4 - columns]).astype(np.float32)
    fields = {"distance": np.ones((1, 9, 9)), "flows": flows}
    labels = decode(probabilities, fields, options=InstanceOptions(method=method))
    assert (labels == objects).all()


def test_a_probability_at_the_threshold_is_foreground():
    background = np.array([[0.5, 0.75, 0.25]])
    probabilities = np.stack([background, 1 - background])
    assert foreground_mask(probabilities, threshold=0.5).tolist() == [[True, False, True]]


def test_foreground_is_what_all_object_classes_have_together():
    probabilities = np.array([0.4, 0.3, 0.3]).reshape(3, 1, 1)
    assert foreground_mask(probabilities, threshold=0.5).all()


@pytest.mark.parametrize("probabilities", [np.ones((1, 3, 3)), np.full((2, 3, 3), np.nan), np.ones((3, 3))])
def test_what_is_no_map_of_two_classes_is_refused(probabilities):
    with pytest.raises(InputError, match="probabilities"):
        foreground_mask(probabilities, threshold=0.5)


def test_the_class_of_an_object_is_the_likeliest_on_average_and_never_background():
    labels = np.array([[1, 1, 0, 2, 2, 4]])
    probabilities = np.array(
        [
            [[0.9, 0.9, 1.0, 0.2, 0.2, 0.0]],
            [[0.09, 0.02, 0.0, 0.5, 0.1, 0.5]],
            [[0.01, 0.08, 0.0, 0.3, 0.7, 0.5]],
        ]
    )
    assert object_classes(labels, probabilities).tolist() == [1, 2, 0, 1]


def test_with_one_class_every_object_has_it():
    labels = np.array([[1, 0, 3]])
    classes = object_classes(labels, np.full((2, 1, 3), 0.5))
    assert classes.tolist() == [1, 0, 1]
    assert classes.dtype == np.uint8


def test_no_objects_have_no_classes():
    assert object_classes(np.zeros((2, 2), int), np.full((3, 2, 2), 1 / 3)).shape == (0,)


def test_classes_of_labels_of_another_size_are_refused():
    with pytest.raises(InputError, match="shapes differ"):
        object_classes(np.zeros((2, 3), int), np.zeros((2, 2, 2)))
