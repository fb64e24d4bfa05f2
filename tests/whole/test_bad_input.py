"""Whatever `cellproof segment` is given, it says in one line what is wrong with each input and does the others."""

from __future__ import annotations

import io
import os
import pickle
import re
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from cellproof.checks import InputError
from cellproof.io import read_csv, read_image, read_labels

SHAPE = (34, 46)
OUTPUTS = ("_labels.tif", "_classes.tif", "_difficulty.tif", "_overlay.png")
ENGINE = ("--engine", "torch")


# Files of every format


def _disks(rng: np.random.Generator, *samples: int) -> np.ndarray:
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    disk = ((rows % 17 - 8) ** 2 + (columns % 23 - 11) ** 2 < 30).reshape(*SHAPE, *(1 for _ in samples))
    return np.where(disk, 200, 20) + rng.integers(0, 30, (*SHAPE, *samples))


def _picture(mode: str, kind: str, **options: object) -> Callable[[np.random.Generator], bytes]:
    def make(rng: np.random.Generator) -> bytes:
        samples = {"RGB": (3,), "RGBA": (4,), "P": (3,)}.get(mode, ())
        file = io.BytesIO()
        Pillow.fromarray(_disks(rng, *samples).astype(np.uint8)).convert(mode, dither=Pillow.Dither.NONE).save(
            file, kind, **options
        )
        return file.getvalue()

    return make


def _tiff(dtype: str, *leading: int, **options: object) -> Callable[[np.random.Generator], bytes]:
    def make(rng: np.random.Generator) -> bytes:
        pixels = np.stack([_disks(rng) for _ in range(int(np.prod(leading)))]).reshape(*leading, *SHAPE)
        file = io.BytesIO()
        tifffile.imwrite(file, (pixels > 100) if dtype == "bool" else pixels.astype(dtype), **options)
        return file.getvalue()

    return make


def _npy(dtype: str) -> Callable[[np.random.Generator], bytes]:
    def make(rng: np.random.Generator) -> bytes:
        return _npy_bytes(_disks(rng).astype(dtype))

    return make


def _npy_bytes(array: np.ndarray, *, allow_pickle: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=allow_pickle)
    return file.getvalue()


SOURCES: dict[str, Callable[[np.random.Generator], bytes]] = {
    "gray.png": _picture("L", "PNG"),
    "rgba.png": _picture("RGBA", "PNG"),
    "palette.png": _picture("P", "PNG"),
    "one_bit.png": _picture("1", "PNG"),
    "deep.png": lambda rng: bytes(imagecodecs.png_encode(_disks(rng, 3).astype(np.uint16))),
    "rgb_jpeg.jpg": _picture("RGB", "JPEG"),
    "progressive.jpeg": _picture("L", "JPEG", progressive=True),
    "rgb_bmp.bmp": _picture("RGB", "BMP"),
    "lossy.webp": _picture("RGB", "WEBP"),
    "lossless.webp": _picture("RGBA", "WEBP", lossless=True),
    "plain.tif": _tiff("uint16"),
    "deflate.tif": _tiff("uint8", compression="zlib", rowsperstrip=8),
    "lzw.tiff": _tiff("int32", compression="lzw"),
    "pages.tif": _tiff("uint8", 3, photometric="minisblack", metadata=None),
    "ome.ome.tif": _tiff("float32", 2, ome=True, photometric="minisblack", metadata={"axes": "TYX"}),
    "imagej.tif": _tiff("uint16", 2, imagej=True, metadata={"axes": "ZYX"}),
    "bits.tif": _tiff("bool"),
    "float.npy": _npy("float64"),
}


# Ways to damage them


def _cut(data: bytearray, rng: np.random.Generator) -> bytearray:
    return data[: int(rng.integers(1, max(2, len(data) * 9 // 10)))]


def _flip(data: bytearray, rng: np.random.Generator) -> bytearray:
    for position in rng.integers(0, len(data), 10):
        data[position] ^= int(rng.integers(1, 256))
    return data


def _flip_start(data: bytearray, rng: np.random.Generator) -> bytearray:
    for position in rng.integers(0, min(len(data), 200), 3):
        data[position] ^= int(rng.integers(1, 256))
    return data


def _wrong_start(data: bytearray, rng: np.random.Generator) -> bytearray:
    data[:8] = rng.bytes(8)
    return data


def _huge(data: bytearray, rng: np.random.Generator) -> bytearray:
    position = int(rng.integers(4, min(len(data), 300) - 4))
    data[position : position + 4] = bytes(rng.choice([0x7F, 0xFF, 0x00], 4).astype(np.uint8))
    return data


MUTATIONS = (_cut, _flip, _flip_start, _wrong_start, _huge)
ALWAYS_FATAL = (_cut, _wrong_start)


def _damaged_files() -> Iterator[tuple[str, bytes, bool]]:
    """Name, content, and whether nothing of it can be right."""
    for name, make in SOURCES.items():
        rng = np.random.default_rng(list(name.encode()))
        for mutate in MUTATIONS:
            stem, _, suffix = name.partition(".")
            yield (
                f"{mutate.__name__.strip('_')}_{stem}.{suffix}",
                bytes(mutate(bytearray(make(rng)), rng)),
                mutate in ALWAYS_FATAL,
            )


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.target),)


def _png_of_size(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 100)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def _tiff_of_size(width: int, height: int) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, np.ones((4, 5), np.uint8), metadata=None)
    data = bytearray(file.getvalue())
    with tifffile.TiffFile(io.BytesIO(data)) as tif:
        tags = tif.pages.first.tags
        for name, value in (("ImageWidth", width), ("ImageLength", height)):
            place = tags[name].valueoffset
            size = struct.calcsize("<" + {3: "H", 4: "I"}[int(tags[name].dtype)])
            data[place : place + size] = min(value, 2 ** (8 * size) - 1).to_bytes(size, "little")
    return bytes(data)


def _patched(data: bytes, place: int, layout: str, *numbers: int) -> bytes:
    patch = struct.pack(layout, *numbers)
    return data[:place] + patch + data[place + len(patch) :]


def _odd_files(trap: Path) -> dict[str, bytes]:
    """Files none of which is an image that the model can read."""
    rng = np.random.default_rng(3)
    with_nan, with_infinity = _disks(rng).astype(np.float32), _disks(rng).astype(np.float32)
    with_nan[3, 4], with_infinity[5, 6] = np.nan, -np.inf
    bmp, jpeg = SOURCES["rgb_bmp.bmp"](rng), SOURCES["rgb_jpeg.jpg"](rng)
    frame = jpeg.index(b"\xff\xc0") + 5
    channels: dict[str, object] = {"photometric": "minisblack", "metadata": {"axes": "CYX"}, "ome": True}
    files = {f"empty_{suffix[1:]}{suffix}": b"" for suffix in (".tif", ".png", ".jpg", ".bmp", ".webp", ".npy")}
    return files | {
        "text.tif": b"Dear colleague,\nthe image is attached.\n",
        "text2.png": "µ\n".encode(),
        "page.jpg": b"<!DOCTYPE html><title>404</title>",
        "archive.webp": b"PK\x03\x04" + bytes(60),
        "zeros.bmp": bytes(500),
        "none_rows.npy": _npy_bytes(np.zeros((0, 5))),
        "none_wide.png": _png_of_size(0, 7),
        "none_high.png": _png_of_size(7, 0),
        "none_tiff.tif": _tiff_of_size(0, 4),
        "none_bmp.bmp": _patched(bmp, 18, "<ii", 0, 5),
        "none_jpeg.jpg": _patched(jpeg, frame, ">HH", 0, 0),
        "huge_png.png": _png_of_size(2**31 - 1, 2**31 - 1),
        "large_png.png": _png_of_size(40_000, 40_000),
        "huge_tiff.tif": _tiff_of_size(2**31 - 1, 2**31 - 1),
        "large_tiff.tif": _tiff_of_size(40_000, 40_000),
        "huge_bmp.bmp": _patched(bmp, 18, "<ii", 2**31 - 1, 2**31 - 1),
        "huge_jpeg.jpg": _patched(jpeg, frame, ">HH", 65_535, 65_535),
        "huge_npy.npy": _npy_bytes(np.zeros((3, 4))).replace(b"(3, 4), }       ", b"(99999,99999), }"),
        "nan.tif": _array_tiff(with_nan),
        "infinite.tif": _array_tiff(with_infinity),
        "nan2.npy": _npy_bytes(with_nan),
        "complex.npy": _npy_bytes(_disks(rng).astype(np.complex64)),
        "words.npy": _npy_bytes(np.array([["a", "b"], ["c", "d"]])),
        "bomb.npy": _npy_bytes(np.array([[Bomb(trap)]], object), allow_pickle=True),
        "bomb2.npy": pickle.dumps(Bomb(trap)),
        "bomb3.tif": pickle.dumps(Bomb(trap)),
        "axes.npy": _npy_bytes(np.zeros((3, 3, 3))),
        "axes4.npy": _npy_bytes(np.zeros((5, 6, 7, 8))),
        "line.npy": _npy_bytes(np.arange(50)),
        "two_channels.tif": _tiff("uint8", 2, **channels)(rng),
        "five_channels.tif": _tiff("uint8", 5, **channels)(rng),
        "movie.czi": b"ZISRAWFILE" + bytes(100),
        "notes.txt": b"notes",
        "no_suffix": SOURCES["gray.png"](rng),
        "graphic.gif": b"GIF89a" + bytes(100),
    }


def _array_tiff(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, array)
    return file.getvalue()


# All of them in one call


@pytest.fixture(scope="module")
def zoo(tmp_path_factory, pictures):
    """Damaged files, odd files and good ones in one folder."""
    folder = tmp_path_factory.mktemp("zoo")
    trap = folder.parent / "sprung"
    fatal = []
    for name, data, is_fatal in _damaged_files():
        (folder / name).write_bytes(data)
        if is_fatal:
            fatal.append(folder / name)
    for name, data in _odd_files(trap).items():
        (folder / name).write_bytes(data)
        fatal.append(folder / name)
    good = []
    for name, make in SOURCES.items():
        good.append(folder / f"good_{name}")
        good[-1].write_bytes(make(np.random.default_rng(0)))
    for name in pictures.names:
        good.append(Path(shutil.copy(pictures.folder / f"{name}.tif", folder)))
    return Zoo(folder, tuple(fatal), tuple(good), trap)


@dataclass(frozen=True)
class Zoo:
    """Files to segment.

    Attributes:
        folder: Where they lie.
        fatal: Those that nobody can read.
        good: Those without any damage.
        trap: A folder that exists if something was unpickled.
    """

    folder: Path
    fatal: tuple[Path, ...]
    good: tuple[Path, ...]
    trap: Path


def _stem(path: Path) -> str:
    return path.name.removesuffix(path.suffix).removesuffix(".ome")


def _can_be_used(path: Path) -> bool:
    try:
        return read_image(path).pixels.shape[1] in (1, 3)
    except InputError:
        return False


def _half_written(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.name.startswith(".cellproof-"))


def _foreground(path: Path) -> np.ndarray:
    """What the threshold model must find in an image without damage."""
    red = read_image(path).pixels[:, 0].astype(np.float64)
    low, high = np.percentile(red, (1, 99.8), axis=(1, 2))[..., None, None]
    return (red - low) / (high - low) > 0.5


def test_each_bad_file_among_many_is_named_in_one_line_and_the_good_ones_are_done(
    zoo, pictures, model_file, tmp_path, cellproof
):
    paths = sorted(zoo.folder.iterdir())
    usable = {path for path in paths if _can_be_used(path)}
    assert usable >= set(zoo.good)
    assert usable.isdisjoint(zoo.fatal)
    bad = [path for path in paths if path not in usable]
    assert len(paths) > 140
    assert len(bad) > 80
    out = tmp_path / "results"

    outcome = cellproof("segment", *paths, "--out", out, "--model", model_file, *ENGINE)

    assert outcome.code == 1
    assert "Traceback" not in outcome.out + "\n".join(outcome.err)
    for path in bad:
        naming = [line for line in outcome.err if re.search(f"{re.escape(str(path))}[: ]", line)]
        assert len(naming) == 1, (path.name, naming)
        assert "failed: " in naming[0]
        assert len(naming[0]) < len(str(path)) + 600
    assert len([line for line in outcome.err if "failed" in line]) == len(bad)
    assert "a fault of CellProof" not in "\n".join(outcome.err)
    done = {path.name.removesuffix("_labels.tif") for path in out.glob("*_labels.tif")}
    assert done == {_stem(path) for path in usable}
    for stem in done:
        assert all((out / f"{stem}{ending}").stat().st_size for ending in OUTPUTS)
        assert tifffile.imread(out / f"{stem}_labels.tif").dtype == np.uint16
    for path in bad:
        assert not list(out.glob(f"{_stem(path)}_*"))
    for name in pictures.names:
        np.testing.assert_array_equal(read_labels(out / f"{name}_labels.tif"), pictures.labels[name])
    for path in zoo.good:
        labels = read_labels(out / f"{_stem(path)}_labels.tif").reshape(-1, *read_image(path).pixels.shape[-2:])
        assert np.mean((labels > 0) == _foreground(path)) > 0.99, path.name
    assert _half_written(out) == []
    assert not zoo.trap.exists()
    report = (out / "report.html").read_text(encoding="utf-8")
    table = read_csv(out / "images.csv")
    for path in bad:
        assert path.name in report
        assert any(path.name in cell or _stem(path) == cell for cell in table["image"])


def test_a_second_run_does_nothing_to_what_is_done_and_names_the_bad_ones_again(
    pictures, model_file, tmp_path, cellproof
):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"nothing")
    command = ("segment", pictures.folder, bad, "--out", tmp_path / "out", "--model", model_file, *ENGINE)
    cellproof(*command)
    before = _identities(tmp_path / "out")
    outcome = cellproof(*command)
    assert outcome.code == 1
    assert len([line for line in outcome.err if "skipped" in line]) == len(pictures.names)
    assert len([line for line in outcome.err if str(bad) in line]) == 1
    assert _identities(tmp_path / "out") == before


def _results(out: Path) -> list[str]:
    return [path.name for path in out.glob("[!.]*")]


def _identities(out: Path) -> set[tuple[str, int, int]]:
    """Of result images: a file that is written again has another place or time."""
    files = [path for path in out.iterdir() if path.name.endswith(OUTPUTS)]
    return {(path.name, path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


@pytest.mark.parametrize(
    "name", ["two\nlines.tif", "[bold]no markup[bold].tif", os.fsdecode(b"no\xffutf8.tif"), ":boom:.tif"]
)
def test_a_strange_name_is_no_reason_to_fail_or_to_fill_two_lines(name, pictures, model_file, tmp_path, cellproof):
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(pictures.folder / "disks0.tif", folder / name)
    (folder / f"bad{name}").write_bytes(b"nothing")
    out = tmp_path / "out"
    outcome = cellproof("segment", folder, "--out", out, "--model", model_file, *ENGINE)
    assert outcome.code == 1
    assert sum("failed: " in line for line in outcome.err) == 1
    assert sum("objects" in line for line in outcome.err) == 1
    assert len(outcome.err) == 3
    (labels,) = out.glob("*_labels.tif")
    np.testing.assert_array_equal(read_labels(labels), pictures.labels["disks0"])


def test_two_inputs_of_one_name_and_a_file_given_twice_lose_nothing(pictures, model_file, tmp_path, cellproof):
    for folder, source in (("a", "disks0"), ("b", "disks1")):
        (tmp_path / folder).mkdir()
        shutil.copy(pictures.folder / f"{source}.tif", tmp_path / folder / "same.tif")
    out = tmp_path / "out"
    inputs = (tmp_path / "a" / "same.tif", tmp_path / "a", tmp_path / "b")
    outcome = cellproof("segment", *inputs, "--out", out, "--model", model_file, *ENGINE)
    assert outcome.code == 0
    assert [line for line in outcome.err if "named b_same" in line]
    np.testing.assert_array_equal(read_labels(out / "same_labels.tif"), pictures.labels["disks0"])
    np.testing.assert_array_equal(read_labels(out / "b_same_labels.tif"), pictures.labels["disks1"])
    assert len(list(out.glob("*_labels.tif"))) == 2


def test_inputs_that_stand_for_no_file_fail_alone(pictures, model_file, tmp_path, cellproof):
    empty, pipe = tmp_path / "empty", tmp_path / "pipe.tif"
    empty.mkdir()
    os.mkfifo(pipe)
    inputs = (pictures.folder / "disks0.tif", pictures.folder / "*.png", empty, pictures.folder / "gone.tif", pipe)
    outcome = cellproof("segment", *inputs, "--out", tmp_path / "out", "--model", model_file, *ENGINE)
    assert outcome.code == 1
    for path in inputs[1:]:
        assert len([line for line in outcome.err if "failed: " in line and str(path) in line]) == 1
    assert (tmp_path / "out" / "disks0_labels.tif").exists()


def test_every_one_of_several_missing_inputs_is_named(model_file, tmp_path, cellproof):
    inputs = [tmp_path / "gone.tif", tmp_path / "*.png"]
    outcome = cellproof("segment", *inputs, "--out", tmp_path / "out", "--model", model_file, *ENGINE)
    assert outcome.code == 1
    assert [sum(str(path) in line for line in outcome.err) for path in inputs] == [1, 1]


# What is wrong before any input is read


def test_a_missing_model_is_said_with_the_names_of_those_there_are(pictures, tmp_path, cellproof):
    outcome = cellproof("segment", pictures.folder, "--out", tmp_path / "out", "--model", "gone.safetensors")
    assert outcome.code == 2
    assert len(outcome.err) == 1
    assert "no model 'gone.safetensors': neither a file nor one of the package's" in outcome.err[0]
    assert _results(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--channels", "0,"], "--channels '0,'; expected numbers counted from 0, or names"),
        (
            ["--max-memory", "lots"],
            "max_memory is 'lots'; expected a number and a unit, for example 4GB (--max-memory)",
        ),
        (["--engine", "tensorflow"], "'tensorflow' is not one of"),
        (["--color", "blue"], "No such option: --color"),
        (["--threads", "0"], "--threads"),
        (["--device", "cuda", "--engine", "openvino"], "OpenVINO runs on the processor"),
    ],
)
def test_wrong_use_is_refused_in_one_line_with_code_2(words, message, pictures, model_file, tmp_path, cellproof):
    given = ("segment", pictures.folder / "disks0.tif", "--out", tmp_path / "out", "--model", model_file, *words)
    outcome = cellproof(*given)
    assert outcome.code == 2
    assert len(outcome.err) == 1
    assert message in outcome.err[0]
    assert _results(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Missing argument"),
        (["--out", "x"], "Missing argument"),
        (["picture.tif"], "Missing option '--out'"),
    ],
)
def test_a_command_without_inputs_or_output_is_refused(words, message, tmp_path, monkeypatch, cellproof):
    monkeypatch.chdir(tmp_path)
    outcome = cellproof("segment", *words)
    assert outcome.code == 2
    assert len(outcome.err) == 1
    assert message in outcome.err[0]
    assert not list(tmp_path.iterdir())


def test_channels_that_an_image_lacks_fail_that_image_alone(pictures, model_file, tmp_path, cellproof):
    many = tmp_path / "many.tif"
    tifffile.imwrite(
        many, np.zeros((8, 20, 20), np.uint8), photometric="minisblack", metadata={"axes": "CYX"}, ome=True
    )
    outcome = cellproof(
        "segment", pictures.folder / "disks0.tif", many, "--out", tmp_path / "out", "--model", model_file, *ENGINE,
        "--channels", "7",
    )  # fmt: skip
    assert outcome.code == 1
    assert any("channel 7 asked for, which is none of them; the image has 1" in line for line in outcome.err)
    assert (tmp_path / "out" / "many_labels.tif").exists()


# Folders of results that cannot be used


def test_results_of_other_parameters_are_not_mixed(pictures, model_file, tmp_path, cellproof):
    command = ("segment", pictures.folder / "disks0.tif", "--out", tmp_path / "out", "--model", model_file, *ENGINE)
    assert cellproof(*command).code == 0
    before = _identities(tmp_path / "out")
    outcome = cellproof(*command, "--tta")
    assert outcome.code == 2
    assert len(outcome.err) == 1
    assert "holds results with tta auto, now on is asked for; give another folder, or overwrite" in outcome.err[0]
    assert _identities(tmp_path / "out") == before
    assert cellproof(*command, "--tta", "--overwrite").code == 0
    assert not _identities(tmp_path / "out") & before


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_where_the_folder_of_results_should_be_is_refused(below, pictures, model_file, tmp_path, cellproof):
    (tmp_path / "out").write_text("mine")
    outcome = cellproof(
        "segment", pictures.folder / "disks0.tif", "--out", tmp_path / "out" / below, "--model", model_file, *ENGINE
    )
    assert outcome.code == 1
    assert len(outcome.err) == 1
    assert "a file stands where a folder was expected" in outcome.err[0]
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(pictures, model_file, tmp_path, cellproof):
    (tmp_path / "locked").mkdir(mode=0o500)
    outcome = cellproof(
        "segment", pictures.folder / "disks0.tif", "--out", tmp_path / "locked" / "out", "--model", model_file, *ENGINE
    )
    assert outcome.code == 1
    assert len(outcome.err) == 1
    assert "no permission" in outcome.err[0]


def test_a_folder_under_the_name_of_a_result_fails_that_input_alone(pictures, model_file, tmp_path, cellproof):
    (tmp_path / "out" / "disks0_classes.tif" / "full").mkdir(parents=True)
    inputs = [pictures.folder / f"disks{number}.tif" for number in (0, 1)]
    outcome = cellproof("segment", *inputs, "--out", tmp_path / "out", "--model", model_file, *ENGINE)
    assert outcome.code == 1
    assert len([line for line in outcome.err if "failed: " in line and "disks0" in line]) == 1
    assert (tmp_path / "out" / "disks1_overlay.png").exists()
    assert _half_written(tmp_path / "out") == []
