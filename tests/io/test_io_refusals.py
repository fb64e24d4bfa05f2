"""What cannot be read is refused in one line: what came, what was expected, what to do."""

from __future__ import annotations

import os
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from cellproof.checks import InputError
from cellproof.io import read_image, read_labels


def _assert_refused(path, reason, read=read_image, **options):
    with pytest.raises(InputError, match=reason) as caught:
        read(path, **options)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def _png_of_size(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg", ".bmp", ".webp", ".npy"])
@pytest.mark.parametrize("content", [b"", b"hello, this is text", b"\0" * 100])
@pytest.mark.parametrize("read", [read_image, read_labels])
def test_empty_and_foreign_files_are_refused(tmp_path, suffix, content, read):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    _assert_refused(path, "empty|is no TIFF, PNG", read)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a.czi", "OME-TIFF, for example with Fiji"),
        ("a.nd2", "OME-TIFF"),
        ("a.lif", "OME-TIFF"),
        ("a.zarr", "Zarr is not read"),
        ("a.txt", "expected .tif"),
        ("a", "ending in nothing"),
        ("a.png", "no such file"),
    ],
)
def test_other_formats_and_missing_files_are_refused_with_the_cure(tmp_path, name, reason):
    _assert_refused(tmp_path / name, reason)


def test_a_folder_is_refused(tmp_path):
    (tmp_path / "a.png").mkdir()
    _assert_refused(tmp_path / "a.png", "this is a folder")


@pytest.mark.parametrize(("width", "height"), [(2**17, 2**16), (60_000, 30_000)])
def test_a_png_that_declares_a_huge_picture_is_refused_before_it_is_decoded(tmp_path, width, height):
    path = tmp_path / "a.png"
    path.write_bytes(_png_of_size(width, height))
    _assert_refused(path, r"declares \d+ × \d+( × 1)? values")


def test_a_tiff_that_declares_a_huge_picture_is_refused_before_it_is_decoded(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((16, 16), np.uint8), compression="zlib")
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tif.pages[0].tags["ImageWidth"].overwrite(100_000)
        tif.pages[0].tags["ImageLength"].overwrite(100_000)
    _assert_refused(path, "declares 100000 × 100000 values, at most 2\\^31")


def test_a_numpy_file_that_declares_a_huge_array_is_refused(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((10, 10), np.uint8))
    path.write_bytes(path.read_bytes().replace(b"(10, 10)", b"(8**9,1)")[:128])
    _assert_refused(path, "damaged")
    np.save(path, np.zeros((99, 99), np.uint8))
    path.write_bytes(path.read_bytes()[:-5])
    _assert_refused(path, "9796 of 9801 bytes")


def test_pickled_objects_are_never_opened(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    _assert_refused(tmp_path / "a.npy", "type object")


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_complex_numbers_are_refused(tmp_path, dtype, suffix):
    path = tmp_path / f"a{suffix}"
    pixels = np.ones((4, 5), dtype)
    tifffile.imwrite(path, pixels) if suffix == ".tif" else np.save(path, pixels)
    _assert_refused(path, "complex")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("read", [read_image, read_labels])
def test_nan_and_infinity_are_refused_and_counted(tmp_path, value, read):
    pixels = np.zeros((4, 5), np.float32)
    pixels[1, 2:4] = value
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    _assert_refused(tmp_path / "a.tif", "contains 2 NaN or infinite values of 20", read)


def test_a_double_beyond_single_precision_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.full((2, 3), 1e300))
    _assert_refused(tmp_path / "a.npy", "contains 6 NaN or infinite")


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0), (0, 3, 4)])
def test_an_array_without_pixels_is_refused(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
    _assert_refused(tmp_path / "a.npy", "no pixels")


@pytest.mark.parametrize("channels", [(3,), (0, 7), (-1,), ()])
def test_missing_channels_are_refused_with_those_that_are_there(tmp_path, channels):
    Pillow.fromarray(np.arange(60, dtype=np.uint8).reshape(4, 5, 3)).save(tmp_path / "a.png")
    message = _assert_refused(tmp_path / "a.png", "counted from 0: choose among 0 to 2", channels=channels)
    assert "has 3 (0 red, 1 green, 2 blue)" in message


@pytest.mark.parametrize("axes", ["YX", "ZYXC", "ZZY", "ZTC", "Y,X"])
def test_axes_that_do_not_fit_are_refused(tmp_path, axes):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((7, 8, 9), np.uint8), photometric="minisblack")
    _assert_refused(tmp_path / "a.tif", "axes '.*expected", axes=axes)


def test_cmyk_tiff_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((7, 8, 4), np.uint8), photometric="separated")
    _assert_refused(tmp_path / "a.tif", "SEPARATED.*save it as RGB")


def test_a_series_with_missing_images_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.ones((4, 8, 9), np.uint8), ome=True, photometric="minisblack", metadata={"axes": "TYX"})
    data = path.read_bytes()
    path.write_bytes(data.replace(b'SizeT="4"', b'SizeT="9"').replace(b'PlaneCount="4"', b'PlaneCount="9"'))
    _assert_refused(path, "images are missing")


def test_a_strip_that_was_never_stored_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.ones((40, 50), np.uint8), compression="zlib", rowsperstrip=10)
    with tifffile.TiffFile(path, mode="r+b") as tif:
        counts = tif.pages[0].tags["StripByteCounts"]
        counts.overwrite((*counts.value[:3], 0))
    _assert_refused(path, "never stored")


def test_decoders_are_quiet(tmp_path, capfd, caplog):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.ones((3, 40, 50), np.uint8), photometric="minisblack", metadata=None)
    path.write_bytes(path.read_bytes()[:-200])
    _assert_refused(path, "breaks off|damaged")
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_a_color_mask_is_refused(tmp_path):
    Pillow.fromarray(np.arange(60, dtype=np.uint8).reshape(4, 5, 3)).save(tmp_path / "a.png")
    _assert_refused(tmp_path / "a.png", "one whole number a pixel", read_labels)


def test_a_jpeg_mask_is_refused(tmp_path):
    Pillow.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.jpg")
    _assert_refused(tmp_path / "a.jpg", "save it as PNG", read_labels)


def test_probabilities_are_no_labels(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0, 0.25]], np.float32))
    _assert_refused(tmp_path / "a.tif", "value 0.25", read_labels)


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_negative_labels_are_refused(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0, -1]], dtype))
    _assert_refused(tmp_path / "a.tif", "contains -1", read_labels)


def test_a_smoothed_mask_is_refused_and_a_sharp_one_with_ignored_pixels_is_read(tmp_path):
    rows, columns = np.mgrid[:60, :60]
    distance = np.hypot(rows - 30, columns - 30)
    smooth = np.clip(255 * (20.5 - distance), 0, 255).astype(np.uint8)
    Pillow.fromarray(smooth).save(tmp_path / "smooth.png")
    _assert_refused(tmp_path / "smooth.png", "without smoothing", read_labels)
    sharp = np.select([distance < 5, distance < 8, distance < 12, distance > 25], [1, 2, 3, 255], 0).astype(np.uint8)
    Pillow.fromarray(sharp).save(tmp_path / "sharp.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "sharp.png"), sharp)


@pytest.mark.parametrize("name", ["a.png", "a.bmp"])
def test_a_picture_whose_header_declares_no_columns_is_said_to_have_no_pixels(name, tmp_path):
    path = tmp_path / name
    Pillow.new("L", (5, 4)).save(path)
    data = bytearray(path.read_bytes())
    place = {".png": 16, ".bmp": 18}[path.suffix]
    data[place : place + 4] = bytes(4)
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4) if path.suffix == ".png" else data[29:33]
    path.write_bytes(data)
    _assert_refused(path, r"has no pixels \(size 4 × 0\)")


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    path = tmp_path / "a.tif"
    os.mkfifo(path)
    _assert_refused(path, "a pipe or device, expected a file")
