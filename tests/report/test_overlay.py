from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from hypothesis.strategies import integers
from matplotlib import colormaps
from PIL import Image

from cellproof.checks import InputError
from cellproof.report._display import displayed
from cellproof.report._inferno import INFERNO
from cellproof.report._scale_bar import bar_length_um
from cellproof.report.overlay import class_overlay, difficulty_picture, overlay, thumbnail, write_overlay
from cellproof.report.palette import LIGHT, STRONG, WARNING, class_colors
from cellproof.types import IGNORE


def _two_touching():
    labels = np.zeros((20, 30), np.int32)
    labels[4:14, 4:14] = 1
    labels[4:14, 14:24] = 7
    image = np.zeros((1, 20, 30), np.uint8)
    image[0, 4:14, 4:24] = 200
    return image, labels


def test_outlines_lie_inside_objects_in_a_dark_halo_and_leave_the_rest_alone():
    image, labels = _two_touching()
    image += 50
    drawn, plain = overlay(image, labels), displayed(image)
    ring = np.zeros((20, 30), bool)
    ring[4:14, 4:24] = True
    ring[5:13, 5:13] = ring[5:13, 15:23] = False
    halo = np.zeros((20, 30), bool)
    halo[3:15, 4:24] = halo[4:14, 3:25] = True
    halo[6:12, 6:12] = halo[6:12, 16:22] = False
    halo &= ~ring
    assert {tuple(color) for color in drawn[ring].tolist()} <= {tuple(color) for color in LIGHT.tolist()}
    np.testing.assert_array_equal(drawn[halo], (plain[halo] * 0.4).astype(np.uint8))
    np.testing.assert_array_equal(drawn[~ring & ~halo], plain[~ring & ~halo])


def test_small_objects_have_no_halo_that_would_hide_them():
    labels = np.zeros((20, 30), np.int32)
    labels[4:10, 4:10] = 1
    image = np.full((1, 20, 30), 50, np.uint8)
    image[0, 4:10, 4:10] = 200
    changed = (overlay(image, labels) != displayed(image)).any(axis=2)
    assert changed.sum() == 36 - 16


def test_touching_objects_differ_in_color_even_where_their_numbers_are_six_apart():
    image, labels = _two_touching()
    drawn = overlay(image, labels)
    assert tuple(drawn[8, 4]) != tuple(drawn[8, 23])
    assert (drawn[4:14, 13] == drawn[8, 4]).all()
    assert (drawn[4:14, 14] == drawn[8, 23]).all()


def test_doubtful_objects_have_a_wider_outline_in_a_color_of_their_own():
    image, labels = _two_touching()
    drawn = overlay(image, labels, doubtful=np.array([7]))
    warned = (drawn == WARNING).all(axis=2)
    expected = np.zeros((20, 30), bool)
    expected[4:14, 14:24] = True
    expected[6:12, 16:22] = False
    np.testing.assert_array_equal(warned, expected)


@pytest.mark.parametrize(("columns", "side", "width_px"), [(300, 60, 1), (700, 60, 2), (1400, 60, 4), (1400, 18, 2)])
def test_outlines_grow_with_the_picture_but_no_wider_than_a_tenth_of_the_objects(columns, side, width_px):
    labels = np.zeros((100, columns), np.int32)
    labels[10 : 10 + side, 100 : 100 + side] = 1
    drawn = overlay(np.zeros((1, 100, columns), np.uint8), labels).any(axis=2)
    assert drawn.sum() == side**2 - (side - 2 * width_px) ** 2


def test_a_scale_bar_is_as_long_as_it_says():
    drawn = overlay(np.zeros((1, 200, 400), np.uint8), np.zeros((200, 400), int), pixel_size_um=0.5)
    # A quarter of 200 µm is 50 µm, which are 100 pixels.
    assert bar_length_um(400, 0.5) == 50
    white = (drawn == 255).all(axis=2)
    assert max(len(run) for row in white for run in "".join("#" if on else " " for on in row).split()) == 100
    shrunk = overlay(np.zeros((1, 400, 800), np.uint8), np.zeros((400, 800), int), pixel_size_um=0.25, max_px=400)
    np.testing.assert_array_equal(shrunk, drawn)


def test_no_color_of_outlines_is_pale_or_like_the_mark_of_doubt():
    for palette in (LIGHT, STRONG):
        saturation = 1 - palette.min(axis=1) / palette.max(axis=1)
        assert (saturation > 0.6).all()
        assert (np.abs(palette.astype(int) - WARNING).sum(axis=1) > 80).all()
        assert len(np.unique(palette, axis=0)) == 6


def test_legends_and_overlays_give_a_class_the_same_color():
    classes = np.zeros((20, 40), np.uint8)
    classes[4:14, 4:14], classes[4:14, 20:30] = 1, 2
    drawn = class_overlay(np.zeros((1, 20, 40), np.uint8), classes)
    assert [f"#{drawn[4, column].tobytes().hex()}" for column in (4, 20)] == list(class_colors(3)[1:])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, np.float64])
def test_an_overlay_does_not_depend_on_the_dtype_of_the_picture(dtype):
    image = np.random.default_rng(0).integers(0, 200, (1, 30, 30))
    _, labels = _two_touching()
    reference = overlay(image.astype(np.uint16), labels[:, :30][:20].repeat(2, 0)[:30])
    other = overlay(image.astype(dtype), labels[:, :30][:20].repeat(2, 0)[:30])
    assert np.abs(reference.astype(int) - other).max() <= 1


def test_without_objects_the_overlay_is_the_picture():
    image, labels = _two_touching()
    np.testing.assert_array_equal(overlay(image, labels * 0), displayed(image))


def test_one_object_that_fills_the_picture_has_no_outline():
    image = np.arange(600, dtype=np.uint16).reshape(1, 20, 30)
    np.testing.assert_array_equal(overlay(image, np.ones((20, 30), np.int32)), displayed(image))


def test_hard_places_are_tinted_and_easy_ones_are_not():
    image, labels = _two_touching()
    difficulty = np.zeros((20, 30), np.float32)
    difficulty[0:2, 0:2] = 1.0
    difficulty[17:, :] = 0.5
    changed = (overlay(image, labels * 0, difficulty=difficulty) != displayed(image)).any(axis=2)
    expected = np.zeros((20, 30), bool)
    expected[0:2, 0:2] = True
    np.testing.assert_array_equal(changed, expected)


@settings(max_examples=30, deadline=None)
@given(rows=integers(1, 70), columns=integers(1, 70), max_px=integers(8, 80))
def test_a_shrunken_overlay_keeps_the_blocks_of_the_picture(rows, columns, max_px):
    image = np.zeros((1, rows, columns), np.float32)
    image[0, :, columns // 2 :] = 1
    labels = np.zeros((rows, columns), np.int32)
    small = overlay(image, labels, max_px=max_px)
    step = max(1, min(-(-max(rows, columns) // max_px), rows, columns))
    assert small.shape == (rows // step, columns // step, 3)
    assert max(small.shape[:2]) <= max_px or step == min(rows, columns)


def test_a_shrunken_overlay_accepts_doubtful_objects_that_vanished():
    image, labels = _two_touching()
    labels[0, 0] = 9
    assert overlay(image, labels, doubtful=np.array([9]), max_px=10).shape == (6, 10, 3)


def test_class_zero_is_clear_other_classes_shine_through_and_their_edges_are_solid():
    image, labels = _two_touching()
    classes = np.where(labels == 1, 1, np.where(labels == 7, 2, 0)).astype(np.uint8)
    drawn, plain = class_overlay(image, classes, colors=["#000000", "#ff0000", "#0000ff"]), displayed(image)
    np.testing.assert_array_equal(drawn[classes == 0], plain[classes == 0])
    assert tuple(drawn[4, 4]) == (255, 0, 0)
    assert tuple(drawn[13, 23]) == (0, 0, 255)
    np.testing.assert_array_equal(drawn[8, 8], (plain[8, 8] * 0.65 + np.array([255, 0, 0]) * 0.35).astype(np.uint8))


def test_pixels_without_annotation_are_gray_and_have_no_edge():
    image = np.zeros((1, 8, 8), np.uint8)
    classes = np.full((8, 8), IGNORE, np.uint8)
    classes[:4] = 0
    drawn = class_overlay(image, classes)
    assert (drawn[:4] == 0).all()
    assert (drawn[4:] == int(128 * 0.35)).all()


def test_a_color_that_is_none_is_refused():
    with pytest.raises(InputError, match=r"color 'red' of class 1 is not of the form #rrggbb"):
        class_overlay(np.zeros((1, 4, 4)), np.ones((4, 4), np.uint8), colors=["#000000", "red"])


def test_labels_of_another_size_than_the_picture_are_refused():
    with pytest.raises(InputError, match="shapes differ"):
        overlay(np.zeros((1, 4, 5)), np.zeros((5, 4), int))


def test_the_heat_map_grows_brighter_with_the_difficulty():
    difficulty = np.linspace(0, 1, 64, dtype=np.float32)[None].repeat(3, 0)
    heat = difficulty_picture(np.zeros((1, 3, 64), np.uint8), difficulty).astype(float) @ [0.2126, 0.7152, 0.0722]
    assert heat[0, 0] < 1
    assert (np.diff(heat[0]) > 0).all()
    assert heat[0, -1] > 240


@settings(max_examples=30, deadline=None)
@given(rgb=arrays(np.uint8, integers(1, 12).flatmap(lambda n: integers(1, 12).map(lambda m: (n, m, 3)))))
def test_a_written_overlay_reads_back_bit_for_bit(rgb, tmp_path_factory):
    path = tmp_path_factory.mktemp("overlay") / "picture.any"
    write_overlay(path, rgb)
    with Image.open(path) as stored:
        assert stored.format == "PNG"
        np.testing.assert_array_equal(np.asarray(stored), rgb)
    assert [entry.name for entry in path.parent.iterdir()] == ["picture.any"]


@pytest.mark.parametrize(("shape", "expected"), [((100, 50), (40, 20)), ((30, 40), (30, 40)), ((1, 400), (1, 40))])
def test_a_thumbnail_fits_and_keeps_its_proportions(shape, expected):
    rgb = np.full((*shape, 3), 77, np.uint8)
    small = thumbnail(rgb, max_px=40)
    assert small.shape == (*expected, 3)
    assert (small == 77).all()


def test_real_nuclei_are_outlined_within_their_masks(data_folder):
    path = sorted((data_folder / "dsb2018" / "val" / "masks").glob("*.png"))[0]
    labels = np.asarray(Image.open(path)).astype(np.int32)
    changed = (overlay(np.zeros((1, *labels.shape), np.uint8), labels) > 0).any(axis=2)
    assert changed.any()
    assert (labels[changed] > 0).all()


def test_the_heat_map_is_matplotlibs_inferno():
    np.testing.assert_array_equal(INFERNO, colormaps["inferno"](np.arange(256), bytes=True)[:, :3])
