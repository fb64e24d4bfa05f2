"""Every format and dtype comes back as it was written; what was guessed is said."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image as Pillow

from cellproof.checks import InputError
from cellproof.io import IMAGE_SUFFIXES, find_images, read_image, read_labels


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def _random(rng, dtype, shape):
    if np.dtype(dtype).kind == "f":
        return rng.normal(size=shape).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32"])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "zstd"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_a_gray_tiff_comes_back_with_its_dtype(rng, tmp_path, dtype, compression, byteorder):
    pixels = _random(rng, dtype, (33, 20))
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, compression=compression, byteorder=byteorder)
    image = read_image(path)
    assert image.pixels.dtype == pixels.dtype.newbyteorder("=")
    assert image.pixels.dtype.isnative
    np.testing.assert_array_equal(image.pixels, pixels[None, None])
    assert (image.plane_axes, image.plane_shape, image.channel_names) == ("", (), ("gray",))
    assert image.notes == ()
    assert image.source == str(path)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_half_and_double_precision_become_float32(rng, tmp_path, dtype, suffix):
    pixels = rng.random((8, 9)).astype(dtype)
    path = tmp_path / f"a{suffix}"
    tifffile.imwrite(path, pixels) if suffix == ".tif" else np.save(path, pixels)
    image = read_image(path)
    assert image.pixels.dtype == np.float32
    np.testing.assert_array_equal(image.pixels[0, 0], pixels.astype(np.float32))


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".webp", ".tif"])
@pytest.mark.parametrize("samples", [(), (3,)])
def test_a_lossless_picture_comes_back_bit_for_bit(rng, tmp_path, suffix, samples):
    pixels = _random(rng, "uint8", (31, 17, *samples))
    path = tmp_path / f"a{suffix}"
    options = {"lossless": True} if suffix == ".webp" else {}
    Pillow.fromarray(pixels).save(path, **options)
    image = read_image(path)
    expected = pixels[None, None] if not samples else pixels.transpose(2, 0, 1)[None]
    np.testing.assert_array_equal(image.pixels, expected)
    assert image.channel_names == (("red", "green", "blue") if samples else ("gray",))


@pytest.mark.parametrize(("mode", "suffix"), [("L", ".jpg"), ("RGB", ".jpeg"), ("RGB", ".webp")])
def test_a_lossy_picture_equals_what_pillow_decodes(rng, tmp_path, mode, suffix):
    smooth = np.add.outer(np.arange(40), 2 * np.arange(50)).astype(np.uint8)
    path = tmp_path / f"a{suffix}"
    Pillow.fromarray(np.stack([smooth, smooth // 2, 255 - smooth], axis=-1)).convert(mode).save(path)
    with Pillow.open(path) as picture:
        expected = np.atleast_3d(np.asarray(picture)).transpose(2, 0, 1)
    np.testing.assert_array_equal(read_image(path).pixels[0], expected)


@pytest.mark.parametrize("samples", [(), (3,), (4,)])
def test_a_16_bit_png_keeps_16_bits(rng, tmp_path, samples):
    pixels = _random(rng, "uint16", (12, 13, *samples))
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(pixels))
    image = read_image(path)
    assert image.pixels.dtype == np.uint16
    colors = np.atleast_3d(pixels)[..., :3]
    np.testing.assert_array_equal(image.pixels[0], colors.transpose(2, 0, 1))


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_one_bit_pictures_become_0_and_1(rng, tmp_path, suffix):
    bits = rng.random((9, 11)) > 0.5
    path = tmp_path / f"a{suffix}"
    tifffile.imwrite(path, bits) if suffix == ".tif" else Pillow.fromarray(bits).save(path)
    np.testing.assert_array_equal(read_image(path).pixels, bits[None, None].astype(np.uint8))
    np.testing.assert_array_equal(read_labels(path), bits.astype(np.uint8))


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_alpha_is_left_out_and_said(rng, tmp_path, suffix):
    pixels = _random(rng, "uint8", (10, 11, 4))
    pixels[..., 3] = 200
    path = tmp_path / f"a{suffix}"
    if suffix == ".tif":
        tifffile.imwrite(path, pixels, photometric="rgb", extrasamples=["unassalpha"])
    else:
        Pillow.fromarray(pixels).save(path, **({"lossless": True} if suffix == ".webp" else {}))
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels[0], pixels[..., :3].transpose(2, 0, 1))
    assert any("alpha" in note for note in image.notes)


def test_a_color_table_becomes_rgb_in_an_image_and_stays_indices_in_labels(tmp_path):
    indices = np.array([[0, 1], [2, 1]], np.uint8)
    picture = Pillow.frombytes("P", (2, 2), indices.tobytes())
    picture.putpalette([0, 0, 0, 250, 10, 20, 5, 6, 7])
    path = tmp_path / "a.png"
    picture.save(path)
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels[0, :, 0, 1], [250, 10, 20])
    assert any("color table" in note for note in image.notes)
    np.testing.assert_array_equal(read_labels(path), indices)


def test_a_gray_color_table_becomes_one_gray_channel(tmp_path):
    picture = Pillow.frombytes("P", (2, 1), bytes([0, 1]))
    picture.putpalette([9, 9, 9, 200, 200, 200])
    picture.save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").pixels.tolist() == [[[[9, 200]]]]


def test_a_tiff_color_table_of_an_imagej_look_up_table_is_ignored(rng, tmp_path):
    values = _random(rng, "uint8", (6, 7))
    green = np.zeros((3, 256), np.uint16)
    green[1] = np.arange(256) * 257
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="palette", colormap=green)
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.pixels[0, 0], values)
    assert any("display" in note for note in image.notes)


def test_a_tiff_color_table_of_true_colors_is_looked_up(rng, tmp_path):
    values = _random(rng, "uint8", (6, 7))
    colors = rng.integers(0, 256, (3, 256)).astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="palette", colormap=colors)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels[0], colors[:, values] >> 8)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif"), values)


def test_white_as_zero_is_inverted_in_images_and_kept_in_labels(rng, tmp_path):
    values = _random(rng, "uint8", (6, 7))
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="miniswhite")
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.pixels[0, 0], 255 - values)
    assert any("inverted" in note for note in image.notes)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif"), values)


def test_three_equal_colors_become_one_gray_channel_unless_channels_are_chosen(rng, tmp_path):
    gray = _random(rng, "uint8", (9, 8))
    path = tmp_path / "a.png"
    Pillow.fromarray(np.stack([gray] * 3, axis=-1)).save(path)
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, gray[None, None])
    assert any("equal" in note for note in image.notes)
    assert read_image(path, channels=(2, 0)).channel_names == ("blue", "red")


def test_a_photograph_is_turned_upright(tmp_path):
    picture = Pillow.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    exif = Pillow.Exif()
    exif[0x0112] = 6  # the top row is the right side: turn clockwise
    picture.save(tmp_path / "a.png", exif=exif)
    image = read_image(tmp_path / "a.png")
    assert image.pixels[0, 0].tolist() == [[3, 0], [4, 1], [5, 2]]
    assert any("EXIF" in note for note in image.notes)


@pytest.mark.parametrize(
    ("axes", "shape", "planes"),
    [("TCYX", (3, 2, 5, 6), "T"), ("ZYX", (4, 5, 6), "Z"), ("TZCYX", (2, 3, 2, 5, 6), "TZ"), ("CYX", (3, 5, 6), "")],
)
@pytest.mark.parametrize("kind", ["ome", "imagej"])
def test_stacks_and_series_keep_their_axes_channels_and_pixel_size(rng, tmp_path, axes, shape, planes, kind):
    pixels = _random(rng, "uint16", shape)
    path = tmp_path / "a.tif"
    if kind == "ome":
        metadata = {"axes": axes, "PhysicalSizeX": 325.0, "PhysicalSizeXUnit": "nm"}
        tifffile.imwrite(path, pixels, ome=True, photometric="minisblack", metadata=metadata)
    else:
        metadata = {"axes": axes, "unit": "um"}
        tifffile.imwrite(path, pixels, imagej=True, resolution=(1 / 0.325, 1 / 0.325), metadata=metadata)
    image = read_image(path)
    channels = shape[axes.index("C")] if "C" in axes else 1
    np.testing.assert_array_equal(image.pixels, pixels.reshape(-1, channels, 5, 6))
    assert image.plane_axes == planes
    assert image.plane_shape == tuple(shape[axes.index(letter)] for letter in planes)
    assert image.pixel_size_um == pytest.approx(0.325, rel=1e-6)
    assert image.notes == ()


def test_channels_behind_the_planes_and_ome_names_are_found(rng, tmp_path):
    pixels = _random(rng, "uint8", (2, 3, 5, 6))
    metadata = {"axes": "CZYX", "Channel": {"Name": ["DAPI", "GFP"]}}
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, photometric="minisblack", metadata=metadata)
    image = read_image(tmp_path / "a.ome.tif", channels=(1,))
    np.testing.assert_array_equal(image.pixels, pixels[1][:, None])
    assert image.channel_names == ("GFP",)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, None),
        ({"resolution": (300, 300), "resolutionunit": "INCH"}, None),
        ({"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}, 0.5),
        ({"resolution": (20_000, 20_000), "resolutionunit": "NONE"}, None),
        ({"imagej": True, "resolution": (2, 2), "metadata": {"unit": "pixel"}}, None),
        ({"imagej": True, "resolution": (2000, 2000), "metadata": {"unit": "mm"}}, 0.5),
        ({"imagej": True, "resolution": (2, 2), "metadata": {"unit": "\\u00B5m"}}, 0.5),
        ({"ome": True, "metadata": {"axes": "YX", "PhysicalSizeX": 0.5}}, 0.5),
        ({"ome": True, "metadata": {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "pixel"}}, None),
        ({"ome": True, "metadata": {"axes": "YX", "PhysicalSizeX": 0.0}}, None),
    ],
)
def test_pixel_size_is_taken_where_it_is_a_microscope_s(tmp_path, options, expected):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5), np.uint8), **options)
    assert read_image(tmp_path / "a.tif").pixel_size_um == (None if expected is None else pytest.approx(expected))


def test_pages_without_metadata_become_planes_and_it_is_said(rng, tmp_path):
    pixels = _random(rng, "uint8", (3, 15, 16))
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, photometric="minisblack", metadata=None)
    image = read_image(path)
    assert image.pixels.shape == (3, 1, 15, 16)
    assert (image.plane_axes, image.plane_shape) == ("Q", (3,))
    assert any("axes CYX" in note for note in image.notes)
    as_channels = read_image(path, axes="cyx")
    np.testing.assert_array_equal(as_channels.pixels, pixels[None])
    assert as_channels.notes == ()


def test_planar_rgb_is_rgb(rng, tmp_path):
    pixels = _random(rng, "uint8", (3, 15, 16))
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, pixels[None])


@pytest.mark.parametrize(
    ("shape", "guesses"),
    [((3, 20, 21), "CYX, ZYX"), ((2, 3, 20, 21), "TCYX, ZCYX"), ((3, 20, 3), "CYX, ZYX, YXC")],
)
def test_an_ambiguous_array_is_refused_with_the_guesses_and_read_with_axes(rng, tmp_path, shape, guesses):
    pixels = _random(rng, "uint8", shape)
    path = tmp_path / "a.npy"
    np.save(path, pixels)
    with pytest.raises(InputError, match=rf"{guesses}.*: name its axes"):
        read_image(path)
    image = read_image(path, axes="TCYX"[-len(shape) :])
    np.testing.assert_array_equal(image.pixels.reshape(shape), pixels)


@pytest.mark.parametrize("pages", [None, {}])
def test_an_ambiguous_tiff_is_refused(tmp_path, pages):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((20, 21, 3), np.uint8), photometric="minisblack", metadata=pages)
    with pytest.raises(InputError, match="YXC, ZYX"):
        read_image(tmp_path / "a.tif")


def test_a_numpy_array_with_three_columns_last_is_rgb_and_that_is_said(rng, tmp_path):
    pixels = _random(rng, "uint8", (20, 21, 3))
    np.save(tmp_path / "a.npy", pixels)
    image = read_image(tmp_path / "a.npy")
    np.testing.assert_array_equal(image.pixels[0], pixels.transpose(2, 0, 1))
    assert any("red, green, blue" in note for note in image.notes)


@settings(max_examples=30, deadline=None)
@given(
    pixels=arrays.arrays(
        st.sampled_from([np.uint8, np.int16, np.uint32]), arrays.array_shapes(min_dims=5, max_dims=5, max_side=4)
    ),
    order=st.permutations("TZCYX"),
)
def test_any_order_of_axes_gives_the_same_planes(tmp_path_factory, pixels, order):
    path = tmp_path_factory.mktemp("axes") / "a.npy"
    squeezed = "".join(letter for letter in order if pixels.shape[order.index(letter)] > 1)
    if not {"Y", "X"} <= set(squeezed):
        return
    np.save(path, pixels)
    image = read_image(path, axes=squeezed)
    wanted = pixels.transpose([order.index(letter) for letter in (*[a for a in order if a in "TZ"], *"CYX")])
    np.testing.assert_array_equal(image.pixels, wanted.reshape(image.pixels.shape))
    assert image.plane_axes == "".join(letter for letter in squeezed if letter in "TZ")


def test_a_file_is_read_by_its_content_and_a_wrong_ending_is_said(rng, tmp_path):
    pixels = _random(rng, "uint8", (9, 8))
    Pillow.fromarray(pixels).save(tmp_path / "a.tif", "PNG")
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.pixels[0, 0], pixels)
    assert any("holds PNG" in note for note in image.notes)


def test_an_ome_file_that_names_others_reads_its_own_pages_only(rng, tmp_path):
    pixels = _random(rng, "uint8", (2, 9, 8))
    tifffile.imwrite(tmp_path / "a.tif", pixels, ome=True, photometric="minisblack", metadata={"axes": "TYX"})
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        xml = tif.ome_metadata
    elsewhere = '<TiffData FirstT="0" IFD="0" PlaneCount="1"><UUID FileName="b.tif">urn:uuid:1</UUID></TiffData>'
    start, end = xml.index("<TiffData"), xml.index("</Pixels>")
    tifffile.imwrite(
        tmp_path / "a.tif",
        pixels,
        photometric="minisblack",
        metadata=None,
        description=(xml[:start] + elsewhere + xml[end:]).encode(),
    )
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.pixels[:, 0], pixels)
    assert any("name other files" in note for note in image.notes)


@pytest.mark.parametrize("values", [np.array([[0, 2], [3.0, 1]]), np.array([[0, 2], [3, 1]], np.float32)])
def test_float_labels_with_whole_values_become_whole_numbers(tmp_path, values):
    tifffile.imwrite(tmp_path / "a.tif", values)
    labels = read_labels(tmp_path / "a.tif")
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, values)


def test_a_gray_mask_saved_as_rgb_is_a_mask(tmp_path):
    ids = np.array([[0, 5, 5], [7, 7, 0]], np.uint8)
    Pillow.fromarray(np.stack([ids] * 3, axis=-1)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), ids)


def test_a_stack_of_labels_keeps_its_planes(rng, tmp_path):
    ids = rng.integers(0, 9, (3, 6, 7)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", ids, photometric="minisblack")
    np.save(tmp_path / "a.npy", ids)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif"), ids)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.npy"), ids)


def test_folders_files_and_patterns_are_found_once_and_in_order(tmp_path):
    for name in ("b.PNG", "a.tif", ".hidden.png", "notes.txt", "c.jpeg"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "sub.png").mkdir()
    found = find_images([tmp_path / "c.jpeg", tmp_path, str(tmp_path / "*.tif"), tmp_path / "notes.txt"])
    assert [path.name for path in found] == ["c.jpeg", "a.tif", "b.PNG", "notes.txt"]
    assert find_images([]) == []


def test_a_file_whose_name_looks_like_a_pattern_is_found(tmp_path):
    path = tmp_path / "cells [1].png"
    path.write_bytes(b"x")
    assert find_images([path]) == [path]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("absent.png", "no such file"),
        ("*.png", "matches no image"),
        ("empty", r"no image in the folder \(there: \.czi"),
    ],
)
def test_an_input_that_stands_for_nothing_is_named(tmp_path, given, reason):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.czi").write_bytes(b"x")
    with pytest.raises(InputError, match=reason) as caught:
        find_images([tmp_path / given])
    assert str(caught.value).startswith(str(tmp_path / given))


def test_real_images_equal_what_pillow_reads(data_folder):
    paths = sorted((data_folder / "dsb2018" / "val" / "images").iterdir())[:4]
    paths += sorted((data_folder / "wbc" / "train" / "images").iterdir())[:2]
    for path in paths:
        with Pillow.open(path) as picture:
            expected = np.atleast_3d(np.asarray(picture)).transpose(2, 0, 1)
        image = read_image(path)
        np.testing.assert_array_equal(image.pixels[0], expected[: image.pixels.shape[1]])


def test_real_masks_equal_what_pillow_reads(data_folder):
    for path in sorted((data_folder / "dsb2018" / "val" / "masks").iterdir())[:4]:
        with Pillow.open(path) as picture:
            np.testing.assert_array_equal(read_labels(path), np.asarray(picture))


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_every_listed_ending_is_read_in_either_case(tmp_path, suffix):
    flat = np.full((16, 16), 77, np.uint8)
    for ending in (suffix, suffix.upper()):
        path = tmp_path / f"a{ending}"
        with path.open("wb") as file:
            if suffix == ".npy":
                np.save(file, flat)
            else:
                Pillow.fromarray(flat).save(
                    file, {".jpg": "jpeg", ".tif": "tiff", ".svs": "tiff", ".ndpi": "tiff"}.get(suffix, suffix[1:])
                )
        np.testing.assert_allclose(read_image(path).pixels, 77, atol=3)
