from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve
from skimage.draw import disk, ellipse
from skimage.io import imread

from cellproof.checks import InputError
from cellproof.instances.clean import clean_labels
from cellproof.instances.flows import _hops, follow_flows


def poisson_flows(labels):
    """Unit vectors uphill on the solution of Δh = -1, h = 0 outside each object; (2, H, W)."""
    inside = labels > 0
    number = np.full(labels.shape, -1)
    number[inside] = np.arange(inside.sum())
    around, numbers = np.pad(labels, 1), np.pad(number, 1, constant_values=-1)
    steps = [(-1, 0), (1, 0), (0, -1), (0, 1)]

    def shifted(array, step):
        return np.roll(array, (-step[0], -step[1]), (0, 1))[1:-1, 1:-1]

    same = [inside & (shifted(around, step) == labels) for step in steps]
    rows = np.concatenate([number[own] for own in same])
    columns = np.concatenate([shifted(numbers, step)[own] for step, own in zip(steps, same, strict=True)])
    laplacian = sparse.csc_array((-np.ones(rows.size), (rows, columns)), shape=(inside.sum(),) * 2)
    laplacian = laplacian + 4 * sparse.eye_array(inside.sum(), format="csc")
    height = np.zeros(labels.shape)
    height[inside] = spsolve(laplacian.tocsc(), np.ones(inside.sum()))
    heights = np.pad(height, 1)
    up, down, left, right = (np.where(own, shifted(heights, step), 0) for step, own in zip(steps, same, strict=True))
    gradient = np.where(inside, np.stack([down - up, right - left]), 0)
    length = np.hypot(*gradient)
    return (gradient / np.where(length > 0, length, 1)).astype(np.float32)


def draw(*shapes, size=(80, 100)):
    labels = np.zeros(size, np.int32)
    for label, (rows, columns) in enumerate(shapes, start=1):
        inside = (rows >= 0) & (rows < size[0]) & (columns >= 0) & (columns < size[1])
        labels[rows[inside], columns[inside]] = label
    return labels


def crescent():
    labels = draw(disk((40, 45), 30))
    labels[disk((40, 65), 28)] = 0
    return labels


SCENES = {
    "discs": draw(disk((20, 20), 12), disk((55, 30), 8), disk((40, 75), 20), disk((8, 50), 3)),
    "ellipses": draw(ellipse(30, 30, 8, 25, rotation=0.5), ellipse(55, 70, 22, 7, rotation=0.9)),
    "touching ellipses": draw(ellipse(40, 25, 20, 15), ellipse(40, 52, 18, 13), ellipse(40, 78, 14, 14)),
    "crescent": crescent(),
    "cut off at every border": draw(disk((0, 0), 14), disk((79, 50), 12), disk((30, 99), 15), disk((79, 0), 10)),
    "as large as the image": np.ones((80, 100), np.int32),
}


def overlaps(labels, reference):
    """Largest IoU of each reference object with any object."""
    return [
        max(((labels == label) & own).sum() / ((labels == label) | own).sum() for label in np.unique(labels[own]))
        for own in (reference == label for label in range(1, reference.max() + 1))
    ]


@pytest.mark.parametrize("scene", SCENES)
def test_objects_come_back_from_their_own_flows(scene):
    reference = SCENES[scene]
    labels = follow_flows(poisson_flows(reference), reference > 0)
    assert labels.dtype == np.int32
    assert labels.max() == reference.max()
    assert min(overlaps(labels, reference)) > 0.97


@pytest.mark.parametrize("scene", SCENES)
def test_objects_come_back_from_noisy_flows(scene):
    reference = SCENES[scene]
    noise = np.random.default_rng(0).standard_normal((2, *reference.shape))
    flows = ndimage.gaussian_filter(poisson_flows(reference), (0, 1, 1)) + ndimage.gaussian_filter(noise, (0, 2, 2))
    labels = follow_flows(flows, reference > 0)
    assert labels.max() == reference.max()
    assert min(overlaps(labels, reference)) > 0.9


def euler(flows, foreground, *, steps=300, length_px=0.5):
    """Objects by small bilinear Euler steps: the slow way to the same ends."""
    place = np.argwhere(foreground).T.astype(float)
    edge = np.array(foreground.shape)[:, None] - 1
    for _ in range(steps):
        arrow = np.stack([ndimage.map_coordinates(plane, place, order=1) for plane in flows])
        place = np.clip(place + length_px * arrow, 0, edge)
    ends = np.zeros(foreground.shape, bool)
    ends[tuple(np.rint(place).astype(int))] = True
    sinks, _ = ndimage.label(ndimage.binary_dilation(ends, np.ones((3, 3))), np.ones((3, 3)))
    labels = np.zeros(foreground.shape, int)
    labels[foreground] = sinks[tuple(np.rint(place).astype(int))]
    return labels


@pytest.mark.parametrize("scene", ["discs", "ellipses", "touching ellipses"])
def test_doubled_hops_end_where_small_euler_steps_end(scene):
    reference = SCENES[scene]
    flows = poisson_flows(reference)
    labels, oracle = follow_flows(flows, reference > 0), euler(flows, reference > 0)
    assert len(np.unique(oracle)) == labels.max() + 1
    pairs = np.unique(np.stack([labels, oracle])[:, reference > 0], axis=1, return_counts=True)[1]
    assert np.sort(pairs)[-labels.max() :].sum() >= 0.98 * (reference > 0).sum()


def test_annotated_nuclei_come_back_from_their_own_flows(data_folder):
    masks = sorted((data_folder / "dsb2018" / "val" / "masks").glob("*.png"))[:4]
    found = []
    for mask in masks:
        reference = clean_labels(imread(mask)[:256, :256].astype(np.int32))
        found += overlaps(follow_flows(poisson_flows(reference), reference > 0), reference)
    assert np.mean(np.array(found) > 0.75) > 0.95


def test_only_the_direction_of_the_flow_counts():
    reference = SCENES["touching ellipses"]
    flows = poisson_flows(reference)
    np.testing.assert_array_equal(follow_flows(flows, reference > 0), follow_flows(4 * flows, reference > 0))


def test_nothing_outside_the_foreground_is_labeled_and_flow_there_is_not_read():
    reference = SCENES["discs"]
    flows = np.where(reference > 0, poisson_flows(reference), np.nan)
    labels = follow_flows(flows, reference > 0)
    np.testing.assert_array_equal(labels > 0, reference > 0)


def test_a_fragment_joins_the_object_with_the_longest_common_edge():
    foreground = np.ones((12, 20), bool)
    flows = np.zeros((2, 12, 20), np.float32)
    flows[1, :, :10], flows[1, :, 10:] = -1, 1
    flows[:, 5, 9] = 0
    labels = follow_flows(flows, foreground, smallest_sink_px=10)
    np.testing.assert_array_equal(labels, np.where(np.arange(20) < 10, 1, 2) * np.ones((12, 1)))


def test_a_lonely_fragment_becomes_background():
    foreground = np.zeros((9, 9), bool)
    foreground[4, 3:6] = True
    flows = np.zeros((2, 9, 9), np.float32)
    assert not follow_flows(flows, foreground, smallest_sink_px=4).any()
    assert follow_flows(flows, foreground, smallest_sink_px=3).sum() == 3


def test_arrows_out_of_the_image_end_at_its_border():
    flows = np.zeros((2, 6, 6), np.float32)
    flows[0] = -1
    labels = follow_flows(flows, np.ones((6, 6), bool))
    np.testing.assert_array_equal(labels, np.ones((6, 6)))


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 5)])
def test_without_foreground_there_is_no_object(shape):
    assert not follow_flows(np.ones((2, *shape), np.float32), np.zeros(shape, bool)).any()


def test_a_single_pixel_can_be_an_object():
    assert follow_flows(np.zeros((2, 1, 1)), np.ones((1, 1), bool), smallest_sink_px=1).tolist() == [[1]]


def test_flows_of_another_shape_are_refused_with_both_shapes():
    with pytest.raises(InputError, match=r"flows has shape \(2, 4, 5\), expected \(2, 4, 4\)"):
        follow_flows(np.zeros((2, 4, 5)), np.ones((4, 4), bool))


def test_flows_with_nan_inside_the_foreground_are_refused():
    with pytest.raises(InputError, match="flows contains 32 NaN"):
        follow_flows(np.full((2, 4, 4), np.nan), np.ones((4, 4), bool))


def test_a_hop_may_end_at_the_first_pixel_of_the_foreground():
    """Numbered 0, it is no sign that the foreground was left; a hop that does leave it goes nowhere."""
    foreground = np.array([[1, 1, 1, 0]], bool)
    pixels = np.flatnonzero(foreground)
    position = np.where(foreground.ravel(), np.cumsum(foreground.ravel()) - 1, -1)
    left, right = np.array([[0.0] * 3, [-2.0] * 3]), np.array([[0.0] * 3, [2.0] * 3])
    stay = np.array([5, 6, 7])
    hops = {"shape": foreground.shape, "length_px": 1.0, "otherwise": stay}
    np.testing.assert_array_equal(_hops(left, pixels, position, **hops), [0, 0, 0])
    np.testing.assert_array_equal(_hops(right, pixels, position, **hops), [2, 6, 7])


@pytest.mark.parametrize("turned", [False, True])
def test_hops_reach_the_first_and_the_last_row_and_column_and_stop_there(turned):
    shape = (1, 6) if turned else (6, 1)
    pixels, position = np.arange(6), np.arange(6)
    stay = np.full(6, 9)
    arrow = np.zeros((2, 6))
    for sign, expected in ((-1, [0, 0, 0, 1, 2, 3]), (1, [2, 3, 4, 5, 5, 5])):
        arrow[1 if turned else 0] = sign
        found = _hops(arrow, pixels, position, shape=shape, length_px=2.0, otherwise=stay)
        assert found.tolist() == expected


def test_sinks_three_pixels_apart_are_one_and_four_apart_are_two():
    foreground = np.ones((9, 20), bool)
    for apart, objects in ((3, 1), (4, 2)):
        flows = np.zeros((2, 9, 20), np.float32)
        flows[0] = np.sign(4 - np.arange(9))[:, None]
        ends = (8, 8 + apart)
        flows[1, :, : ends[0]], flows[1, :, ends[1] + 1 :] = 1, -1
        middle = (ends[0] + ends[1]) / 2
        between = np.arange(ends[0] + 1, ends[1])
        flows[1, :, between] = np.where(between < middle, -1, 1)[:, None]
        flows[0, :, :] = np.where(flows[1] == 0, flows[0], 0)
        flows[0, 4] = 0
        assert follow_flows(flows, foreground[:, :], smallest_sink_px=3).max() == objects, apart
