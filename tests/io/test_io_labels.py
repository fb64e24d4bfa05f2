"""decode(encode(x)) = x for label images, class maps and difficulty, with axes and pixel size."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cellproof.checks import InputError
from cellproof.io import read_image, read_labels, write_classes, write_difficulty, write_labels
from cellproof.types import Spacing

PLANE_AXES = ("", "T", "Z", "Q", "TZ", "ZT", "TQ", "QZ", "TZQ", "P", "HE")


@st.composite
def _stacks(draw, highest=2**32 - 1):
    axes = draw(st.sampled_from(PLANE_AXES))
    shape = tuple(draw(st.integers(2, 3)) for _ in axes)
    size = (draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    planes = (int(np.prod(shape)), *size) if axes else size
    top = draw(st.sampled_from([t for t in (1, 254, 65_535, 65_536, highest) if t <= highest]))
    labels = draw(arrays.arrays(np.int64, planes, elements=st.integers(0, top)))
    return labels, axes, shape


@settings(max_examples=40, deadline=None)
@given(stack=_stacks(), pixel_size_um=st.none() | st.floats(0.01, 50))
def test_labels_come_back_with_axes_and_pixel_size(tmp_path_factory, stack, pixel_size_um):
    labels, axes, shape = stack
    path = tmp_path_factory.mktemp("labels") / "a_labels.tif"
    write_labels(path, labels, plane_axes=axes, plane_shape=shape, spacing=Spacing(pixel_size_um, pixel_size_um))
    np.testing.assert_array_equal(read_labels(path), labels)
    image = read_image(path)
    assert (image.plane_axes, image.plane_shape) == (axes, shape)
    assert image.notes == () or "Q" in axes
    assert image.pixel_size_um == (None if pixel_size_um is None else pytest.approx(pixel_size_um, rel=1e-12))
    assert image.pixels.dtype == (np.uint32 if labels.max(initial=0) > 65_535 else np.uint16)


@settings(max_examples=20, deadline=None)
@given(stack=_stacks(highest=254))
def test_classes_come_back_with_names_and_colors(tmp_path_factory, stack):
    classes, axes, shape = stack
    path = tmp_path_factory.mktemp("classes") / "a_classes.tif"
    write_classes(
        path, classes, names=("cell", "µ <&>"), colors=("#000000", "#ff4040"), plane_axes=axes, plane_shape=shape
    )
    labels = read_labels(path)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, classes)
    assert _description(path) == {
        "content": "class ids",
        "classes": ["cell", "µ <&>"],
        "colors": ["#000000", "#ff4040"],
    }


@settings(max_examples=20, deadline=None)
@given(
    difficulty=arrays.arrays(
        np.float32, arrays.array_shapes(min_dims=2, max_dims=2), elements=st.floats(0, 1, width=32)
    )
)
def test_difficulty_comes_back_within_half_a_step(tmp_path_factory, difficulty):
    path = tmp_path_factory.mktemp("difficulty") / "a_difficulty.tif"
    write_difficulty(path, difficulty, spacing=Spacing(0.5, 0.5))
    image = read_image(path)
    assert image.pixels.dtype == np.uint8
    np.testing.assert_allclose(image.pixels[0, 0] / 255, difficulty, atol=0.5 / 255 + 1e-6)
    assert image.pixel_size_um == pytest.approx(0.5)
    assert _description(path)["scale"] == "difficulty = value / 255"


def test_plain_tiff_readers_see_compression_and_resolution(tmp_path):
    path = tmp_path / "a_labels.tif"
    write_labels(path, np.arange(12).reshape(3, 4), spacing=Spacing(0.25, 0.25))
    with tifffile.TiffFile(path) as tif:
        page = tif.pages[0]
        assert page.compression.name == "ADOBE_DEFLATE"
        numerator, denominator = page.tags["XResolution"].value
        assert numerator / denominator == pytest.approx(40_000)
        assert page.tags["ResolutionUnit"].value == 3
        assert page.photometric.name == "MINISBLACK"


def test_the_same_labels_give_the_same_bytes(tmp_path):
    labels = np.arange(12).reshape(3, 4)
    write_labels(tmp_path / "a.tif", labels)
    write_labels(tmp_path / "b.tif", labels)
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


@pytest.mark.parametrize(
    ("labels", "options", "reason"),
    [
        (np.zeros((2, 3)), {}, "dtype float64"),
        (np.array([[-1]]), {}, "contains -1"),
        (np.array([[2**32]]), {}, "32 bits"),
        (np.zeros((2, 3, 4), int), {}, "expected .H, W."),
        (np.zeros((2, 3, 4), int), {"plane_axes": "T", "plane_shape": (3,)}, "multiply to P"),
        (np.zeros((2, 3, 4), int), {"plane_axes": "TZ", "plane_shape": (2,)}, "multiply to P"),
        (np.zeros((2, 3, 4), int), {"plane_axes": "C", "plane_shape": (2,)}, "multiply to P"),
        (np.zeros((0, 4), int), {}, "without pixels"),
    ],
)
def test_labels_that_cannot_be_written_are_refused(tmp_path, labels, options, reason):
    with pytest.raises(InputError, match=reason):
        write_labels(tmp_path / "a.tif", labels, **options)
    assert list(tmp_path.iterdir()) == []


def test_classes_above_255_are_refused(tmp_path):
    with pytest.raises(InputError, match="class id 256"):
        write_classes(tmp_path / "a.tif", np.array([[256]]))


@pytest.mark.parametrize("value", [-0.1, 1.5, np.nan])
def test_difficulty_outside_its_range_is_refused(tmp_path, value):
    with pytest.raises(InputError, match="difficulty"):
        write_difficulty(tmp_path / "a.tif", np.array([[value, 0.5]]))


def _description(path):
    with tifffile.TiffFile(path) as tif:
        return json.loads(tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]["Description"])
