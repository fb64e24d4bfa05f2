"""Objects from star-convex polygons: drawn shapes come back; suppression is the sequential one, and StarDist's."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.draw import disk, ellipse

from cellproof.checks import InputError
from cellproof.data.targets.star_convex import object_probability, ray_lengths
from cellproof.instances import star_convex
from cellproof.instances.decode import decode, object_classes
from cellproof.instances.polygons import Polygons, Samples, covered_fraction
from cellproof.instances.star_convex import paint, star_convex_objects, suppress
from cellproof.types import InstanceOptions


def ellipses(seed: int, *, side: int = 120, count: int = 25, largest: float = 14) -> np.ndarray:
    """Ellipses that touch but do not overlap, numbered in raster order of nothing in particular."""
    rng = np.random.default_rng(seed)
    labels, number = np.zeros((side, side), np.int32), 0
    for _ in range(4 * count):
        radii = rng.uniform(5, largest, 2)
        rows, columns = ellipse(*rng.integers(0, side, 2), *radii, shape=labels.shape, rotation=rng.uniform(0, 3))
        if not labels[rows, columns].any() and number < count:
            number += 1
            labels[rows, columns] = number
    return labels


def maps_of(labels: np.ndarray, *, rays: int = 32) -> np.ndarray:
    return np.concatenate([object_probability(labels)[None], ray_lengths(labels, rays=rays)])


def candidates(seed: int, count: int, *, side: int = 400) -> tuple[Polygons, np.ndarray]:
    """Noisy polygons of random pixels of ellipses, with their scores."""
    rng = np.random.default_rng(seed)
    labels = ellipses(seed, side=side, count=(side // 25) ** 2)
    fields = maps_of(labels)
    chosen = rng.choice(np.flatnonzero(fields[0] > 0.3), count, replace=False)
    rays = fields[1:].reshape(32, -1)[:, chosen].T * rng.normal(1, 0.05, (count, 32))
    centers = np.stack(np.divmod(chosen, side), axis=1)
    return Polygons.of(centers, rays), fields[0].ravel()[chosen] + rng.normal(0, 0.05, count)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_ellipses_come_back_from_their_targets(seed):
    labels = ellipses(seed)
    probabilities = np.stack([labels == 0, labels > 0]).astype(np.float32)
    found = decode(probabilities, {"star_convex": maps_of(labels)}, options=InstanceOptions(method="star_convex"))
    # Pieces that the image's edge cuts are no longer star-convex around their deepest pixel, nor always 10 px large.
    inner = np.setdiff1d(labels, np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    for number in inner[inner > 0]:
        own = labels == number
        best = np.bincount(found[own]).argmax()
        assert best > 0
        assert (own & (found == best)).sum() / (own | (found == best)).sum() > 0.9


def test_polygons_alone_cut_corners_that_the_foreground_gives_back():
    labels = np.zeros((60, 60), np.int32)
    labels[10:50, 10:50] = 1
    fields = maps_of(labels, rays=16)
    alone = star_convex_objects(fields[0], fields[1:])
    cornered = star_convex_objects(fields[0], fields[1:], foreground=labels > 0)
    assert (cornered == labels).all()
    assert 0.9 < (alone > 0).sum() / (labels > 0).sum() < 1.0


def test_the_option_edges_chooses_between_polygon_and_foreground():
    labels = np.zeros((30, 30), np.int32)
    labels[disk((15, 15), 8)] = 1
    fields = {"star_convex": maps_of(labels)}
    smaller = np.zeros((30, 30), np.float32)
    smaller[disk((15, 15), 5)] = 1
    probabilities = np.stack([1 - smaller, smaller])

    def area(**options: object) -> int:
        chosen = InstanceOptions(method="star_convex", options=options)
        return int((decode(probabilities, fields, options=chosen) > 0).sum())

    assert area() == area(edges="foreground") == smaller.sum()
    assert area(edges="polygon") == pytest.approx((labels > 0).sum(), rel=0.05)
    assert area(edges="polygon", score_threshold=1.1) == 0
    with pytest.raises(InputError, match="expected 'foreground' or 'polygon'"):
        area(edges="both")


def test_a_pixel_of_two_polygons_joins_the_one_it_lies_deeper_in():
    polygons = Polygons.of([[20, 15], [20, 33]], np.full((2, 32), 10.0))
    labels = paint(polygons, (40, 50))
    columns = np.flatnonzero(labels[20] == 1), np.flatnonzero(labels[20] == 2)
    assert (columns[0].min(), columns[0].max(), columns[1].min(), columns[1].max()) == (5, 24, 25, 43)


def test_objects_keep_their_classes():
    labels = np.zeros((40, 80), np.int32)
    labels[disk((20, 20), 12)], labels[disk((20, 44), 11)] = 1, 2
    probabilities = np.stack([labels == 0, labels == 1, labels == 2]).astype(np.float32)
    found = decode(probabilities, {"star_convex": maps_of(labels)}, options=InstanceOptions(method="star_convex"))
    assert found[20, 20] != found[20, 44]
    classes = object_classes(found, probabilities)
    assert (classes[found[20, 20] - 1], classes[found[20, 44] - 1]) == (1, 2)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**31), overlap=st.sampled_from([0.1, 0.4, 0.7]))
def test_suppression_in_rounds_is_that_of_one_after_the_other(seed, overlap):
    polygons, scores = candidates(seed, 250, side=120)
    samples, kept = Samples.of(polygons), np.zeros(0, np.int64)
    for number in np.argsort(-scores, kind="stable"):
        pair = np.full(len(kept), number)
        # The same order of the two as within: it decides which of two of one area is laid on the other.
        if not (covered_fraction(polygons, samples, kept, pair) > overlap).any():
            kept = np.append(kept, number)
    np.testing.assert_array_equal(suppress(polygons, scores, overlap_threshold=overlap), kept)


def test_batches_change_nothing(monkeypatch):
    polygons, scores = candidates(5, 400, side=200)
    at_once = suppress(polygons, scores, overlap_threshold=0.4)
    monkeypatch.setattr("cellproof.instances.star_convex.BATCH", 37)
    np.testing.assert_array_equal(suppress(polygons, scores, overlap_threshold=0.4), at_once)


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_suppression_keeps_what_stardist_keeps(seed):
    nms = pytest.importorskip("stardist.nms", reason="StarDist is not installed")
    polygons, scores = candidates(seed, 400, side=250)
    order = np.argsort(-scores, kind="stable")
    expected = order[
        nms.non_maximum_suppression_inds(
            polygons.rays[order], polygons.centers[order].astype(np.int32), scores=scores[order], thresh=0.4
        )
    ]
    found = suppress(polygons, scores, overlap_threshold=0.4)
    # StarDist rounds corners to whole pixels, so pairs close to the threshold may be judged differently.
    assert len(np.setxor1d(found, expected)) <= 0.02 * len(expected)


def test_neighbors_that_are_equally_sure_are_few_candidates(monkeypatch):
    """All pixels of two objects say the same: one in each square of 8 px stands for 64, and both are found."""
    labels = np.zeros((40, 80), int)
    labels[8:32, 8:32] = 1
    labels[8:32, 40:64] = 2
    given = []
    real = star_convex.suppress

    def counted(polygons, *others, **named):
        given.append(len(polygons))
        return real(polygons, *others, **named)

    monkeypatch.setattr(star_convex, "suppress", counted)
    found = star_convex_objects(np.where(labels > 0, 0.9, 0.0), ray_lengths(labels, rays=32), foreground=labels > 0)
    assert given == [18]
    np.testing.assert_array_equal(found, labels)


def test_a_length_that_is_no_number_is_refused_even_where_a_neighbor_stands_for_it():
    probability, rays = np.zeros((12, 12)), np.full((8, 12, 12), 3.0)
    probability[4:6, 4:6] = 0.9
    rays[2, 5, 5] = np.nan
    with pytest.raises(InputError, match="rays"):
        star_convex_objects(probability, rays)


def test_two_thousand_candidates_take_less_than_a_third_of_a_second():
    polygons, scores = candidates(0, 2_000)
    seconds = []
    for _ in range(5):
        start = time.process_time()
        kept = suppress(polygons, scores, overlap_threshold=0.4)
        seconds.append(time.process_time() - start)
    assert 100 < len(kept) < 2_000
    assert min(seconds) < 0.3


def test_nothing_comes_of_nothing():
    assert not star_convex_objects(np.zeros((7, 9)), np.zeros((8, 7, 9))).any()
    assert suppress(Polygons.of(np.zeros((0, 2)), np.zeros((0, 8))), np.zeros(0), overlap_threshold=0.4).size == 0


@pytest.mark.parametrize("rays", [np.zeros((8, 7, 8)), np.zeros((2, 7, 9)), np.full((8, 7, 9), np.nan)])
def test_rays_that_do_not_fit_are_refused(rays):
    with pytest.raises(InputError, match="rays"):
        star_convex_objects(np.ones((7, 9)), rays)
