"""What the page of an evaluation colors: objects found, missed and false, pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cellproof.io import write_json, write_labels
from cellproof.workflows.evaluate.page import _figure, _objects, _pictures, _pixels, _text
from cellproof.workflows.evaluate.protocol import ClassNames
from cellproof.workflows.evaluate.score import ImageScore


def test_each_object_is_found_missed_or_false_and_all_else_is_none():
    truth, said = np.zeros((12, 30), np.int32), np.zeros((12, 30), np.int32)
    truth[2:8, 2:8], said[2:8, 3:8] = 1, 7
    truth[2:8, 12:18] = 2
    said[2:8, 22:28] = 9
    found, missed, false = _objects(truth, said, np.zeros(truth.shape, bool))
    np.testing.assert_array_equal(found, np.where(said == 7, 7, 0))
    np.testing.assert_array_equal(missed, np.where(truth == 2, 2, 0))
    np.testing.assert_array_equal(false, np.where(said == 9, 9, 0))


def test_nothing_is_missed_or_false_where_nothing_is_annotated():
    truth, said = np.full((8, 8), 5, np.int32), np.zeros((8, 8), np.int32)
    said[1:4, 1:4] = 3
    for some in _objects(truth, said, truth == 5):
        assert not some.any()


CLASSES = ClassNames(("ground", "cell", "wall"), ignore=255)
OBJECTS = ClassNames(("nucleus",), has_objects=True, ignore=900)


def image(tmp_path, truth, said=None, *, name="a"):
    """An evaluated image on disk, laid as data sets lay it."""
    for folder, labels in (("masks", truth), ("said", said)):
        (tmp_path / folder).mkdir(exist_ok=True)
        if labels is not None:
            write_labels(tmp_path / folder / f"{name}.tif", labels)
    prediction = None if said is None else tmp_path / "said" / f"{name}.tif"
    return ImageScore(name, "", [], prediction, tmp_path / "masks" / f"{name}.tif")


def test_the_caption_counts_objects_and_an_image_without_prediction_is_missed(tmp_path):
    truth, said = np.zeros((20, 40), np.uint16), np.zeros((20, 40), np.uint16)
    truth[2:8, 2:8], truth[2:8, 12:18], truth[2:8, 30:38] = 1, 2, 900
    said[2:8, 2:8], said[12:18, 2:8], said[12:18, 12:18], said[2:8, 30:38] = 1, 2, 3, 4
    assert (
        _figure(image(tmp_path, truth, said), OBJECTS).caption
        == "1 found, 1 missed, 2 false at IoU 0.5; the image itself was not found"
    )
    assert (
        _figure(image(tmp_path, truth, None), OBJECTS).caption
        == "0 found, 2 missed, 0 false at IoU 0.5; the image itself was not found"
    )


def test_classes_are_colored_where_they_are_right_missing_and_made_up(tmp_path):
    truth, said = np.zeros((30, 40), np.uint16), np.zeros((30, 40), np.uint16)
    truth[:, :10], said[:, :10] = 1, 1
    truth[:, 10:20], said[:, 10:20] = 2, 1
    said[:, 20:30] = 2
    truth[:10, :] = 255
    drawn = _figure(image(tmp_path, truth, said), CLASSES)
    assert drawn.caption == "classes other than the first: found, missed, false; the image itself was not found"
    pixels = np.asarray(drawn.rgb)
    inner = np.s_[14:28]
    blue, yellow, red, plain = (
        pixels[inner, first + 3 : first + 7].reshape(-1, 3).mean(axis=0) for first in (0, 10, 20, 30)
    )
    assert blue[2] > blue[0]
    assert yellow[0] > yellow[2]
    assert yellow[1] > 2 * yellow[2]
    assert red[0] > 2 * red[1]
    assert plain.max() == 0
    assert pixels[3:7, 3:37].max() == 0  # without annotation


def test_stacks_other_sizes_and_broken_files_have_no_figure(tmp_path):
    flat = np.ones((9, 9), np.uint16)
    assert _figure(image(tmp_path, flat, flat[:5]), OBJECTS) is None
    broken = image(tmp_path, flat, flat, name="b")
    broken.prediction.write_bytes(b"")
    assert _figure(broken, OBJECTS) is None
    stack = image(tmp_path, flat, None, name="c")
    write_labels(stack.reference, np.stack([flat, flat]), plane_axes="Z", plane_shape=(2,))
    assert _figure(stack, OBJECTS) is None


def test_thirty_images_are_drawn_and_those_that_cannot_be_take_no_place(tmp_path):
    flat = np.ones((9, 9), np.uint16)
    good, bad = image(tmp_path, flat, flat), image(tmp_path, flat, flat[:5], name="b")
    drawn = _pictures([bad, *[good] * 31], OBJECTS)
    assert [one.title for one in drawn] == ["a"] * 30
    assert len(_pictures([bad, *[good] * 29], OBJECTS)) == 29


def test_the_image_under_the_colors_is_that_of_the_set(tmp_path):
    one = image(tmp_path, np.ones((6, 7), np.uint16), name="a.ome")
    assert _pixels(one, (6, 7)) is None
    (tmp_path / "images").mkdir()
    write_labels(tmp_path / "images" / "a.tif", np.full((6, 7), 9, np.uint16))
    np.testing.assert_array_equal(_pixels(one, (6, 7)), np.full((1, 6, 7), 9))
    assert _pixels(one, (6, 8)) is None  # of another size
    (tmp_path / "images" / "a.tif").write_bytes(b"broken")
    assert _pixels(one, (6, 7)) is None


def test_or_that_which_segment_read(tmp_path):
    flat = np.ones((6, 7), np.uint16)
    one = image(tmp_path, flat, flat)
    write_labels(tmp_path / "elsewhere.tif", np.full((6, 7), 5, np.uint16))
    other = {"name": "b", "file": {"path": str(tmp_path / "masks" / "a.tif")}}
    own = {"name": "a", "file": {"path": str(tmp_path / "elsewhere.tif")}}
    write_json(tmp_path / "said" / "run.json", {"inputs": [other, own]})
    np.testing.assert_array_equal(_pixels(one, (6, 7)), np.full((1, 6, 7), 5))
    assert _figure(one, OBJECTS).caption == "1 found, 0 missed, 0 false at IoU 0.5"
    for strange in ({"inputs": [{}]}, {"inputs": [{"name": "a", "file": None}]}, {}, [1]):
        write_json(tmp_path / "said" / "run.json", strange)
        assert _pixels(one, (6, 7)) is None


@pytest.mark.parametrize(("value", "text"), [(0.12345, "0.123"), (math.nan, "–"), (None, "–"), (3, "3"), ("a", "a")])
def test_numbers_have_three_decimals_and_what_is_undefined_a_dash(value, text):
    assert _text(value) == text
