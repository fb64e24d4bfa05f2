"""Damaged files of every format: read whole, or refused in one line."""

from __future__ import annotations

import io
import resource
from collections.abc import Callable

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from cellproof.checks import InputError
from cellproof.io import read_image, read_labels

LARGEST_GROWTH_KB = 400_000
ROUNDS = 2
"""With 19 files and 6 ways to damage them: 228 damaged files."""


def _pillow(mode: str, suffix: str, **options: object) -> Callable[[np.random.Generator], bytes]:
    def make(rng: np.random.Generator) -> bytes:
        samples = {"RGB": (3,), "RGBA": (4,)}.get(mode, ())
        smooth = np.add.outer(np.arange(60), np.arange(70)).reshape(60, 70, *(1 for _ in samples))
        pixels = (smooth + rng.integers(0, 40, (60, 70, *samples))).astype(np.uint8)
        file = io.BytesIO()
        Pillow.fromarray(pixels).convert(mode).save(file, suffix, **options)
        return file.getvalue()

    return make


def _tiff(shape: tuple[int, ...], dtype: str, **options: object) -> Callable[[np.random.Generator], bytes]:
    def make(rng: np.random.Generator) -> bytes:
        file = io.BytesIO()
        tifffile.imwrite(file, rng.integers(0, 200, shape).astype(dtype), **options)
        return file.getvalue()

    return make


def _deep_png(rng: np.random.Generator) -> bytes:
    return bytes(imagecodecs.png_encode(rng.integers(0, 2**16, (40, 50, 3)).astype(np.uint16)))


def _npy(rng: np.random.Generator) -> bytes:
    file = io.BytesIO()
    np.save(file, rng.random((40, 50)).astype(np.float32))
    return file.getvalue()


SOURCES: dict[str, Callable[[np.random.Generator], bytes]] = {
    "gray.png": _pillow("L", "PNG"),
    "rgb.png": _pillow("RGB", "PNG"),
    "palette.png": _pillow("P", "PNG"),
    "one_bit.png": _pillow("1", "PNG"),
    "rgb.jpg": _pillow("RGB", "JPEG"),
    "progressive.jpeg": _pillow("L", "JPEG", progressive=True),
    "rgb.bmp": _pillow("RGB", "BMP"),
    "palette.bmp": _pillow("P", "BMP"),
    "rgb.webp": _pillow("RGB", "WEBP"),
    "lossless.webp": _pillow("RGBA", "WEBP", lossless=True),
    "plain.tif": _tiff((50, 60), "uint16"),
    "deflate.tif": _tiff((50, 60), "uint16", compression="zlib", predictor=True, rowsperstrip=8),
    "lzw.tiff": _tiff((50, 60, 3), "uint8", photometric="rgb", compression="lzw", tile=(32, 32)),
    "ome.tif": _tiff((3, 2, 30, 40), "float32", ome=True, photometric="minisblack", metadata={"axes": "TCYX"}),
    "imagej.tif": _tiff((3, 2, 30, 40), "uint16", imagej=True, metadata={"axes": "ZCYX"}),
    "jpeg.tif": _tiff((64, 64, 3), "uint8", photometric="rgb", compression="jpeg", tile=(32, 32)),
    "bits.tif": _tiff((50, 60), "bool"),
    "deep.png": _deep_png,
    "float.npy": _npy,
}


def _cut(data: bytearray, rng: np.random.Generator) -> bytearray:
    return data[: int(rng.integers(1, len(data)))]


def _flip(data: bytearray, rng: np.random.Generator) -> bytearray:
    for position in rng.integers(0, len(data), 12):
        data[position] ^= int(rng.integers(1, 256))
    return data


def _flip_start(data: bytearray, rng: np.random.Generator) -> bytearray:
    for position in rng.integers(0, min(len(data), 300), 3):
        data[position] ^= int(rng.integers(1, 256))
    return data


def _wrong_start(data: bytearray, rng: np.random.Generator) -> bytearray:
    data[: int(rng.integers(2, 12))] = rng.bytes(8)
    return data


def _huge(data: bytearray, rng: np.random.Generator) -> bytearray:
    """Every small number near the start may be a size; make one of them, or four bytes anywhere there, huge."""
    position = int(rng.integers(4, min(len(data), 400) - 4))
    data[position : position + 4] = bytes(rng.choice([0x7F, 0xFF, 0x00], 4).astype(np.uint8))
    return data


def _hole(data: bytearray, rng: np.random.Generator) -> bytearray:
    start = int(rng.integers(0, len(data)))
    del data[start : start + int(rng.integers(1, 64))]
    return data


MUTATIONS = (_cut, _flip, _flip_start, _wrong_start, _huge, _hole)


@pytest.mark.parametrize("name", SOURCES)
def test_a_damaged_file_is_read_or_refused_in_one_line(name, tmp_path, capfd):
    rng = np.random.default_rng(list(name.encode()))
    path = tmp_path / name
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for turn in range(ROUNDS * len(MUTATIONS)):
        mutate = MUTATIONS[turn % len(MUTATIONS)]
        path.write_bytes(mutate(bytearray(SOURCES[name](rng)), rng))
        for read in (read_image, read_labels):
            message = _refusal_of(read, path)
            assert message is None or message.startswith(str(path))
            assert "\n" not in (message or "")
            assert len(message or "") < len(str(path)) + 500
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < LARGEST_GROWTH_KB
    assert capfd.readouterr() == ("", "")


def _refusal_of(read, path) -> str | None:
    try:
        read(path)
    except InputError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", SOURCES)
def test_a_file_cut_in_half_is_refused(name, tmp_path):
    data = SOURCES[name](np.random.default_rng(0))
    path = tmp_path / name
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"damaged|incomplete|ends after|has only|breaks off"):
        read_image(path)


@pytest.mark.parametrize("name", SOURCES)
def test_the_undamaged_file_is_read(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(SOURCES[name](np.random.default_rng(0)))
    assert read_image(path).pixels.max() > 0
