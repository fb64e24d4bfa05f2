"""Image files of every supported format to `Image`, and label images to whole numbers."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..checks import check_finite, check_labels
from ..types import Image
from ._decoding import read_start, refusal
from ._npy import read_npy
from ._picture import read_picture
from ._stored import Planes, Stored, arrange, rename_axes, settle_axes
from ._tiff import read_tiff

IMAGE_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".webp", ".npy")
"""Endings, in lower case, of the files that `read_image` reads."""

_MAKERS_SUFFIXES = (".czi", ".nd2", ".lif", ".lsm", ".oib", ".oif", ".vsi", ".svs", ".ndpi", ".mrxs", ".ims", ".dv")
_ANTIALIASED_SHARE = 0.5
_FEWEST_EDGE_PIXELS = 16


def read_image(path: str | Path, *, channels: tuple[int, ...] | None = None, axes: str | None = None) -> Image:
    """Read one picture, stack or time series.

    What the file does not say and had to be guessed stands in the notes of the result: unknown axes taken
    for planes, alpha left out, color tables resolved, three equal colors made one gray channel.

    Args:
        path: A file with one of `IMAGE_SUFFIXES`; its first bytes decide how it is read.
        channels: Channels to keep, counted from 0, in the order wanted; all if None.
        axes: One letter for each stored axis longer than 1 (Y rows, X columns, C channels, anything else
            planes), in place of what the file says.

    Returns:
        Pixels in the file's own dtype; 1-bit images as 0 and 1, float16 and float64 as float32.

    Raises:
        InputError: one line that begins with the path, for a file that cannot be read whole, ambiguous
            axes, missing channels, NaN or infinity, and complex numbers.
    """
    path = Path(path)
    stored = _read_stored(path, as_stored=False)
    stored = settle_axes(path, stored) if axes is None else rename_axes(path, stored, axes)
    planes = arrange(stored)
    pixels, names, notes = planes.pixels, _channel_names(stored, planes), stored.notes
    if channels is not None:
        _check_channels(path, channels, names)
        pixels, names = pixels[:, list(channels)], tuple(names[channel] for channel in channels)
    elif stored.color and _all_channels_equal(pixels):
        pixels, names = pixels[:, :1], ("gray",)
        notes = (*notes, "red, green and blue are equal everywhere; read as one gray channel")
    pixels = _native(path, pixels)
    check_finite(**{str(path): pixels})
    return Image(
        pixels=np.ascontiguousarray(pixels),
        plane_axes=planes.axes,
        plane_shape=planes.shape,
        pixel_size_um=stored.pixel_size_um,
        channel_names=names,
        notes=notes,
        source=str(path),
    )


def read_labels(path: str | Path) -> np.ndarray:
    """Read a label image or mask.

    Returns:
        (H, W), or (P, H, W) where the file has planes: whole numbers as stored (the indices, where there is
        a color table), uint8 0 and 1 for 1-bit masks, int32 for floats.

    Raises:
        InputError: one line that begins with the path, for what `read_image` refuses, negative or broken
            numbers, colors, lossy compression and anti-aliased edges.
    """
    path = Path(path)
    planes = arrange(_settle_label_axes(path, _read_stored(path, as_stored=True)))
    if not _all_channels_equal(planes.pixels):
        count = planes.pixels.shape[1]
        raise refusal(
            path, f"a mask of {count} different channels or colors; wanted one whole number a pixel, save it as gray"
        )
    labels = _whole_numbers(path, _native(path, planes.pixels[:, 0]))
    check_labels(**{str(path): labels})
    if _is_antialiased(labels):
        raise refusal(
            path, "values between 0 and 255 at the edges of a mask; wanted ids, save it unscaled, without smoothing"
        )
    return np.ascontiguousarray(labels if planes.axes else labels[0])


def find_images(inputs: Sequence[str | Path]) -> list[Path]:
    """Files that inputs stand for, each once, in the order of the inputs.

    Args:
        inputs: Files (returned as they are), folders (their images by name, without hidden files and
            sub-folders) and glob patterns.

    Raises:
        InputError: naming the first input that stands for no file.
    """
    found: dict[Path, None] = {}
    for given in inputs:
        try:
            paths = _expand(Path(given))
        except OSError as error:
            raise refusal(Path(given), f"cannot be looked into ({error.strerror}); check its permissions") from error
        found.update(dict.fromkeys(paths))
    return list(found)


def _expand(given: Path) -> list[Path]:
    if given.is_dir() and given.suffix.lower() != ".zarr":
        files = sorted(path for path in given.iterdir() if path.is_file() and not path.name.startswith("."))
        images = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
        if not images:
            there = ", ".join(sorted({path.suffix or path.name for path in files})[:8]) or "nothing"
            raise refusal(given, f"no image in the folder (there: {there}); wanted {', '.join(IMAGE_SUFFIXES)}")
        return images
    if given.exists():
        return [given]
    if not glob.has_magic(str(given)):
        raise refusal(given, "there is no such file or folder; check the name")
    matches = sorted(Path(match) for match in glob.glob(str(given), recursive=True))
    images = [path for path in matches if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        raise refusal(given, f"the pattern matches no image; wanted {', '.join(IMAGE_SUFFIXES)}")
    return images


def _read_stored(path: Path, *, as_stored: bool) -> Stored:
    _check_suffix(path)
    kind, suffixes = _kind(read_start(path, 16))
    if not kind:
        raise refusal(
            path, "the file is no TIFF, PNG, JPEG, BMP, WebP or .npy, whatever its name; export or copy it again"
        )
    if kind == "JPEG" and as_stored:
        raise refusal(path, "JPEG does not keep the ids of a mask; save it as PNG or TIFF")
    if kind == "TIFF":
        stored = read_tiff(path, as_stored=as_stored)
    elif kind == "NumPy":
        stored = read_npy(path)
    else:
        stored = read_picture(path, kind, as_stored=as_stored)
    if path.suffix.lower() not in suffixes:
        stored = stored.with_note(f"the file is named {path.suffix} but holds {kind}; it was read as that")
    return stored


def _check_suffix(path: Path) -> None:
    suffix = path.suffix.lower()
    if suffix == ".zarr":
        raise refusal(path, "Zarr is not read; save the image as OME-TIFF")
    if suffix in _MAKERS_SUFFIXES:
        raise refusal(path, f"{suffix} is not read; save it as OME-TIFF, for example with Fiji's Bio-Formats exporter")
    if suffix not in IMAGE_SUFFIXES:
        raise refusal(path, f"files ending in {suffix or 'nothing'} are not read; wanted {', '.join(IMAGE_SUFFIXES)}")


def _kind(start: bytes) -> tuple[str, tuple[str, ...]]:
    """Format that the first bytes announce, empty for none, and the endings it goes by."""
    if start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF", (".tif", ".tiff")
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WebP", (".webp",)
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG", (".png",)
    if start.startswith(b"\xff\xd8\xff"):
        return "JPEG", (".jpg", ".jpeg")
    if start.startswith(b"BM"):
        return "BMP", (".bmp",)
    return ("NumPy", (".npy",)) if start.startswith(b"\x93NUMPY") else ("", ())


def _settle_label_axes(path: Path, stored: Stored) -> Stored:
    """Masks have no channels of their own, so that a third axis is planes."""
    if stored.axes in ("QQQ", "QYX", "IYX", "CYX"):
        return replace(stored, axes="QYX")
    return settle_axes(path, stored)


def _channel_names(stored: Stored, planes: Planes) -> tuple[str, ...]:
    count = planes.pixels.shape[1]
    if len(stored.channel_names) == count:
        return stored.channel_names
    if stored.color and count == 3:
        return ("red", "green", "blue")
    return ("gray",) if count == 1 else tuple(f"channel {channel}" for channel in range(count))


def _check_channels(path: Path, channels: tuple[int, ...], names: tuple[str, ...]) -> None:
    if not channels or min(channels) < 0 or max(channels) >= len(names):
        wanted = ",".join(map(str, channels)) or "none"
        raise refusal(
            path,
            f"channels {wanted} asked for; the image has {len(names)} ({', '.join(names)}), "
            f"counted from 0: choose among 0 to {len(names) - 1}",
            argument="channels",
        )


def _all_channels_equal(pixels: np.ndarray) -> bool:
    return all(np.array_equal(pixels[:, 0], pixels[:, channel]) for channel in range(1, pixels.shape[1]))


def _native(path: Path, pixels: np.ndarray) -> np.ndarray:
    """Numbers in this machine's byte order; 1 bit as uint8, half and double precision as float32."""
    if pixels.dtype.kind not in "biuf":
        raise refusal(path, f"pixels of type {pixels.dtype} are not read; save whole numbers or floats")
    if pixels.dtype == bool:
        return pixels.astype(np.uint8)
    if pixels.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return pixels.astype(np.float32)
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def _whole_numbers(path: Path, labels: np.ndarray) -> np.ndarray:
    if labels.dtype.kind != "f":
        return labels
    check_finite(**{str(path): labels})
    broken = labels[labels != np.rint(labels)]
    if broken.size:
        raise refusal(path, f"a mask with the value {broken[0]:g}; wanted whole numbers, threshold or round it first")
    largest = float(np.abs(labels).max())
    if largest > 2**24:
        raise refusal(path, f"ids up to {largest:g} as floats are not exact; save them as whole numbers")
    return labels.astype(np.int32)


def _is_antialiased(labels: np.ndarray) -> bool:
    """Whether a 0/255 mask has in-between values that are no areas of their own.

    In a label image nearly every pixel has a neighbor with the same id; at a smoothed edge few have.
    """
    between = (labels != 0) & (labels != 255)
    if labels.dtype != np.uint8 or between.sum() < _FEWEST_EDGE_PIXELS or between.mean() > 0.5:
        return False
    if not {0, 255} < set(np.unique(labels)) or len(np.unique(labels[between])) < 3:
        return False
    same = np.zeros(labels.shape, bool)
    for axis in (-2, -1):
        first = np.moveaxis(labels, axis, -1)[..., :-1]
        second = np.moveaxis(labels, axis, -1)[..., 1:]
        equal = first == second
        view = np.moveaxis(same, axis, -1)
        view[..., :-1] |= equal
        view[..., 1:] |= equal
    return bool(same[between].mean() < _ANTIALIASED_SHARE)
