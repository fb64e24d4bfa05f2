from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import eye_array, lil_array
from scipy.sparse.linalg import spsolve

from cellproof.checks import InputError
from cellproof.data.targets import boundary_map, flow_field, heads_of, make_targets, poisson_height
from cellproof.types import IGNORE, Heads, Sample


def disc(side: int, radius: float, center: tuple[float, float] | None = None) -> np.ndarray:
    row, column = center or ((side - 1) / 2, (side - 1) / 2)
    rows, columns = np.ogrid[:side, :side]
    return ((rows - row) ** 2 + (columns - column) ** 2 <= radius**2).astype(np.int32)


def overlapping_discs(seed: int, side: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    labels = np.zeros((side, side + 3), np.int32)
    for number in range(1, 8):
        row, column = rng.integers(0, side, 2)
        window = disc(2 * side + 3, rng.uniform(0, side / 4), (row, column))[:side, : side + 3]
        labels[window > 0] = number
    return labels


def solve_directly(labels: np.ndarray) -> np.ndarray:
    """The same equation by sparse LU, pixel by pixel."""
    places = {tuple(place): number for number, place in enumerate(np.argwhere(labels))}
    matrix = lil_array((len(places), len(places)))
    for (row, column), number in places.items():
        for place in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            if place in places and labels[place] == labels[row, column]:
                matrix[number, places[place]] = -1
    height = np.zeros(labels.shape)
    if places:
        height[labels > 0] = spsolve((matrix + 4 * eye_array(len(places))).tocsc(), np.ones(len(places)))
    for label in np.unique(labels[labels > 0]):
        height[labels == label] /= height[labels == label].max()
    return height


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), side=st.integers(1, 60))
def test_poisson_height_equals_a_direct_solution(seed, side):
    labels = overlapping_discs(seed, side)
    np.testing.assert_allclose(poisson_height(labels), solve_directly(labels), atol=0.02)


@pytest.mark.parametrize("radius", [8.5, 20.5, 60.5])
def test_poisson_height_of_a_disc_is_a_paraboloid(radius):
    side = int(2 * radius) + 8
    labels = disc(side, radius)
    rows, columns = np.indices(labels.shape) - (side - 1) / 2
    # The discrete object ends at the first pixel outside, up to one pixel beyond the radius.
    expected = 1 - (rows**2 + columns**2) / (radius + 0.5) ** 2
    inside = labels > 0
    np.testing.assert_allclose(poisson_height(labels)[inside], expected[inside], atol=1 / radius)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_new_ids_change_no_target(seed):
    labels = overlapping_discs(seed, 40)
    renumbered = np.random.default_rng(seed).permutation(1000)[:8] + 1
    renumbered[0] = 0
    other = renumbered[labels]
    height = poisson_height(labels)
    np.testing.assert_array_equal(poisson_height(other), height)
    np.testing.assert_array_equal(flow_field(height, other), flow_field(height, labels))
    np.testing.assert_array_equal(boundary_map(other), boundary_map(labels))


def test_touching_objects_do_not_feel_each_other():
    pair = np.zeros((30, 50), np.int32)
    pair[5:25, 5:25], pair[5:25, 25:45] = 1, 2
    alone = np.where(pair == 1, 1, 0)
    together_height, alone_height = poisson_height(pair), poisson_height(alone)
    first = pair == 1
    np.testing.assert_allclose(together_height[first], alone_height[first], atol=0.01)
    flow = flow_field(together_height, pair)
    assert (flow[1, 10:20, 24] < -0.9).all()
    assert (flow[1, 10:20, 25] > 0.9).all()


def test_every_summit_is_one_and_outside_is_zero():
    labels = overlapping_discs(3, 64)
    height = poisson_height(labels)
    assert [height[labels == label].max() for label in np.unique(labels)] == [0.0] + [1.0] * (
        len(np.unique(labels)) - 1
    )
    assert height.dtype == np.float32


def test_nothing_gives_zero_fields_and_one_pixel_a_summit_without_flow():
    nothing = np.zeros((5, 7), np.int32)
    assert not poisson_height(nothing).any()
    assert not flow_field(poisson_height(nothing), nothing).any()
    assert poisson_height(np.zeros((0, 4), np.int32)).shape == (0, 4)
    single = nothing.copy()
    single[2, 3] = 9
    np.testing.assert_array_equal(poisson_height(single), (single > 0).astype(np.float32))
    assert not flow_field(poisson_height(single), single).any()


def test_flow_points_to_the_middle_of_a_disc():
    labels = disc(41, 15)
    flow = flow_field(poisson_height(labels), labels)
    offsets = 20 - np.indices(labels.shape)
    distance = np.hypot(*offsets)
    ring = (labels > 0) & (distance > 3)
    cosine = (flow * offsets).sum(axis=0)[ring] / distance[ring]
    # A staircase edge turns the flow by up to half a right angle; the middle of the range it must meet closely.
    assert cosine.min() > 0.7
    assert cosine.mean() > 0.98
    np.testing.assert_allclose(np.hypot(*flow)[ring], 1, atol=1e-5)
    assert not flow[:, labels == 0].any()


def test_flow_follows_a_hand_made_hill():
    labels = np.array([[1, 1, 1], [2, 2, 2]])
    height = np.array([[0.25, 0.5, 1.0], [1.0, 0.5, 0.0]], np.float32)
    flow = flow_field(height, labels)
    # Rows: nothing of the same object above or below, so level; columns: outside counts as 0.
    np.testing.assert_array_equal(flow[0], np.zeros((2, 3)))
    np.testing.assert_array_equal(flow[1], [[1, 1, -1], [1, -1, -1]])


def test_boundary_is_where_objects_meet_anything_else_but_not_the_picture_edge():
    labels = np.array([[1, 1, 1, 2, 2], [1, 1, 1, 2, 2], [1, 1, 1, 2, 2], [1, 1, 1, 0, 0]])
    expected = np.array([[0, 0, 1, 1, 0], [0, 0, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 0, 0]], bool)
    np.testing.assert_array_equal(boundary_map(labels), expected)
    assert not boundary_map(np.ones((4, 4), int)).any()


def test_edge_of_pixels_without_annotation_is_no_boundary():
    labels = np.array([[1, 1, 1, 0], [1, 1, 1, 0]])
    ignored = np.array([[1, 0, 0, 0], [1, 0, 0, 0]], bool)
    expected = np.array([[0, 0, 1, 0], [0, 0, 1, 0]], bool)
    np.testing.assert_array_equal(boundary_map(np.where(ignored, 0, labels), ignored=ignored), expected)


def test_fields_come_in_the_order_of_the_heads():
    instances = disc(21, 7)
    sample = Sample(np.zeros((1, 21, 21), np.float32), instances.astype(np.uint8), instances)
    targets = make_targets(sample, heads_of(2, ["boundary", "distance", "flows"]))
    height = poisson_height(instances)
    np.testing.assert_array_equal(targets.fields[0], boundary_map(instances))
    np.testing.assert_array_equal(targets.fields[1], height)
    np.testing.assert_array_equal(targets.fields[2:], flow_field(height, instances))
    assert make_targets(sample, heads_of(2, ["flows"])).fields.shape == (2, 21, 21)
    assert make_targets(sample, Heads(2)).fields.shape == (0, 21, 21)


def test_pixels_without_annotation_have_zero_fields():
    instances = disc(21, 7)
    class_map = instances.astype(np.uint8)
    class_map[:, :10] = IGNORE
    targets = make_targets(
        Sample(np.zeros((1, 21, 21), np.float32), class_map, instances), heads_of(2, ["boundary", "distance", "flows"])
    )
    assert not targets.fields[:, :, :10].any()
    assert targets.fields[1, :, 10:].max() == 1
    np.testing.assert_array_equal(targets.class_map, class_map)


def test_object_heads_of_a_semantic_sample_are_refused():
    sample = Sample(np.zeros((1, 4, 4), np.float32), np.zeros((4, 4), np.uint8))
    with pytest.raises(InputError, match="masks are semantic"):
        make_targets(sample, heads_of(2, ["distance"]))
