"""Windows, views and members of a detector, with one that finds bright blobs and needs no training."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from cellproof.inference.tta import EIGHT_VIEWS
from cellproof.parts import Head, Heads
from cellproof.workflows.predict.detect import back, detect

HEADS = Heads(2, (Head("detections", channels=4),))
CELLS = 8


class Blobs:
    """An engine: a detection for every connected bright piece, its score the mean brightness."""

    name, precision, device, reason, bytes_per_pixel = "torch", "f32", "cpu", "", 100

    def __init__(self, dimmed=1.0):
        self.dimmed = dimmed
        self.shapes = []

    def __call__(self, batch):
        plane = batch[0, 0]
        self.shapes.append(plane.shape)
        labels, _ = ndimage.label(plane > 0.2)
        rows = []
        for number, (down, across) in enumerate(ndimage.find_objects(labels), start=1):
            inside = labels[down, across] == number
            mask = ndimage.zoom(
                inside.astype(float), [CELLS / n for n in inside.shape], order=1, grid_mode=True, mode="nearest"
            )
            box = [across.start, down.start, across.stop, down.stop]
            rows.append([*box, self.dimmed * plane[labels == number].mean(), 1, *mask.ravel()])
        return np.array(rows, np.float32).reshape(-1, 6 + CELLS**2)


@pytest.fixture
def image():
    """Forty rectangles of different brightness that do not touch, none larger than 14 px."""
    rng = np.random.default_rng(3)
    plane = np.zeros((160, 192), np.float32)
    for row in range(5):
        for column in range(8):
            top, left = 32 * row + rng.integers(3, 12), 24 * column + rng.integers(2, 8)
            plane[top : top + rng.integers(5, 14), left : left + rng.integers(5, 14)] = rng.uniform(0.4, 0.95)
    return plane[None]


def run(engines, image, **options):
    return detect(
        engines,
        image,
        **{"shape": image.shape[1:], "heads": HEADS, "stride_px": 8, "halo_px": 16, "max_pixels": 10**6, **options},
    )


def test_tiled_is_whole_where_objects_are_no_larger_than_the_halo(image):
    engine = Blobs()
    whole, tiled = run([engine], image), run([engine], image, max_pixels=64 * 64)
    assert max(rows * columns for rows, columns in engine.shapes[1:]) <= 64 * 64
    assert whole.fields["detections"][0].max() == 40
    np.testing.assert_array_equal(tiled.fields["detections"], whole.fields["detections"])
    np.testing.assert_allclose(tiled.probabilities, whole.probabilities, atol=1e-6)


def test_each_pixel_of_a_rectangle_belongs_to_it_with_its_brightness_as_score(image):
    owner, score, _, total = run([Blobs()], image).fields["detections"]
    assert np.array_equal(owner > 0, image[0] > 0)
    np.testing.assert_allclose(score, image[0], atol=1e-6)
    assert np.array_equal(total > 0, image[0] >= 0.4)


def test_eight_views_of_what_turns_with_the_image_are_one(image):
    calls = []
    seen = []
    once = run([Blobs()], image)
    views = run(
        [Blobs()],
        image,
        views=EIGHT_VIEWS,
        progress=lambda done, of: calls.append((done, of)),
        each=lambda member, maps: seen.append((member, maps)),
    )
    assert calls[-1] == (8, 8)
    assert [member for member, _ in seen] == [0] * 8
    for maps in (views, *(maps for _, maps in seen)):
        np.testing.assert_allclose(maps.probabilities, once.probabilities, atol=1e-5)
        np.testing.assert_allclose(maps.fields["detections"][1], once.fields["detections"][1], atol=1e-5)


def test_what_one_of_two_members_finds_counts_half(image):
    class Nothing(Blobs):
        def __call__(self, batch):
            return np.zeros((0, 6 + CELLS**2), np.float32)

    both = run([Blobs(), Nothing()], image)
    np.testing.assert_allclose(both.fields["detections"][1], image[0] / 2, atol=1e-6)
    np.testing.assert_allclose(both.probabilities[1], (np.maximum(image[0], 0.01) + 0.01) / 2, atol=1e-5)


def test_maps_are_made_on_the_grid_asked_for(image):
    maps = run([Blobs()], image, shape=(320, 384))
    assert maps.fields["detections"][0].max() == 40
    assert np.array_equal(maps.fields["detections"][0] > 0, np.kron(image[0] > 0, np.ones((2, 2))) > 0)


def test_an_image_without_detections_is_all_background():
    maps = run([Blobs()], np.zeros((1, 30, 41), np.float32), views=EIGHT_VIEWS)
    assert not maps.fields["detections"].any()
    assert np.allclose(maps.probabilities[0], 0.99)


@pytest.mark.parametrize("view", EIGHT_VIEWS, ids=str)
def test_detections_in_a_view_come_back_to_where_the_object_lies(view):
    from cellproof.detectors.detections import Detections

    image = np.zeros((1, 12, 20), np.float32)
    image[0, 2:5, 7:16] = 0.9
    laid = view.forward(image)
    found = back(Detections.of_table(Blobs()(laid[None])), view, laid.shape[1:])
    assert found.boxes.tolist() == [[7, 2, 16, 5]]
