"""Image files of every supported format to `Image`, and label images to whole numbers."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..checks import InputError, check_finite, check_labels
from ..types import Image
from ._channels import find_channel
from ._colors import pack_colors
from ._decoding import read_start, refusal
from ._npy import read_npy
from ._picture import read_picture
from ._stored import Planes, Stored, arrange, rename_axes, settle_axes
from ._tiff import read_tiff, tiff_positions
from ._tiff_series import Position
from .unread import MAKERS_SUFFIXES

IMAGE_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".webp", ".npy", ".svs", ".ndpi")
"""Endings, in lower case, of the files that `read_image` reads."""

_ANTIALIASED_SHARE = 0.5
_FEWEST_EDGE_PIXELS = 16
_MOST_ALONE = 0.02
_COLORS = 3


def read_image(
    path: str | Path,
    *,
    channels: Sequence[int | str] | None = None,
    axes: str | None = None,
    position: int | None = None,
) -> Image:
    """Read one image, stack or time series.

    What the file does not say and had to be guessed stands in the notes of the result: unknown axes taken
    for planes, alpha left out, color tables resolved, three equal colors made one gray channel; so do previews
    that were left out, and pixel sizes that are not believed.

    Args:
        path: A file with one of `IMAGE_SUFFIXES`; its first bytes decide how it is read.
        channels: Channels to keep, in this order: numbers counted from 0, or names as the file gives them; all
            if None.
        axes: One letter for each stored axis longer than 1 (Y rows, X columns, C channels, anything else
            planes), in place of what the file says.
        position: Which image of a file with several, by its number in `list_positions`; None for the first.

    Returns:
        Pixels in the file's own dtype; 1-bit images as 0 and 1, float16 and float64 as float32.

    Raises:
        InputError: one line that begins with the path, for a file that cannot be read whole, ambiguous
            axes, missing channels or positions, NaN or infinity, and complex numbers.
    """
    path = Path(path)
    stored = _read_stored(path, as_stored=False, position=position)
    stored = settle_axes(path, stored) if axes is None else rename_axes(path, stored, axes)
    planes = arrange(stored)
    pixels, names, notes, color = planes.pixels, _channel_names(stored, planes), stored.notes, stored.color
    if channels is not None:
        places = _places(path, channels, names)
        pixels, names = pixels[:, places], tuple(names[place] for place in places)
        color = color and len(places) == _COLORS
    elif color and _all_channels_equal(pixels):
        pixels, names, color = pixels[:, :1], ("gray",), False
        notes = (*notes, "red, green and blue are equal everywhere; read as one gray channel")
    pixels = _native(path, pixels)
    check_finite(**{str(path): pixels})
    return Image(
        pixels=np.ascontiguousarray(pixels),
        plane_axes=planes.axes,
        plane_shape=planes.shape,
        spacing=stored.spacing,
        channel_names=names,
        color=color,
        notes=notes,
        source=str(path),
    )


def list_positions(path: str | Path) -> tuple[Position, ...]:
    """The images of a file that stand for themselves: positions, wells and scenes of OME-TIFF, pages of one size.

    Thumbnails, label and macro images are not among them. An OME-TIFF that is spread over files tells of each
    image which file it begins in, and which files are missing.

    Raises:
        InputError: one line that begins with the path, where it cannot be opened.
    """
    path = Path(path)
    _check_suffix(path)
    return tiff_positions(path) if _kind(read_start(path, 16))[0] == "TIFF" else (Position(),)


@dataclass(frozen=True)
class Mask:
    """A label image or mask as it is stored.

    Attributes:
        values: (H, W), or (P, H, W) where the file has planes: whole numbers.
        color: Whether they are colors, red · 65,536 + green · 256 + blue, as black is 0.
        content: What an OME description written by this package says of them: "object ids", "class ids" or "".
        notes: What had to be guessed.
    """

    values: np.ndarray
    color: bool = False
    content: str = ""
    notes: tuple[str, ...] = ()


def read_labels(path: str | Path) -> np.ndarray:
    """Read a label image or mask of whole numbers; `read_mask` without what it says besides.

    Returns:
        (H, W), or (P, H, W) where the file has planes: whole numbers as stored (the indices, where there is
        a color table), uint8 0 and 1 for 1-bit masks, int32 for floats; int32 0xRRGGBB for colors.

    Raises:
        InputError: as `read_mask`.
    """
    return read_mask(path).values


def read_mask(path: str | Path) -> Mask:
    """Read a label image or mask, color-coded ones too.

    Where colors have an alpha, what is transparent is background; a mask whose colors are all alike is its alpha.

    Raises:
        InputError: one line that begins with the path, for what `read_image` refuses, negative or broken
            numbers, several channels that are no color, lossy compression and anti-aliased edges.
    """
    path = Path(path)
    stored = _settle_label_axes(path, _read_stored(path, as_stored=True))
    planes = arrange(stored)
    color = not _all_channels_equal(planes.pixels)
    if color and stored.color and planes.pixels.dtype == np.uint8:
        labels = pack_colors(np.moveaxis(planes.pixels, 1, -1))
    elif color:
        count = planes.pixels.shape[1]
        raise refusal(
            path,
            f"a mask of {count} different channels; expected one whole number or 8-bit color a pixel, save it as gray",
        )
    else:
        labels = _whole_numbers(path, _native(path, planes.pixels[:, 0]))
    check_labels(**{str(path): labels})
    if color and _has_smooth_colors(labels):
        raise refusal(
            path,
            "many colors of single pixels, as in a photo or a smoothed mask; expected one whole number a pixel, or "
            "one plain color a class or object: save the mask unscaled, without smoothing",
        )
    if not color and _is_antialiased(labels):
        raise refusal(
            path, "values between 0 and 255 at the edges of a mask; expected ids, save it unscaled, without smoothing"
        )
    values = np.ascontiguousarray(labels if planes.axes else labels[0])
    return Mask(values, color, stored.content, stored.notes)


def find_images(inputs: Sequence[str | Path]) -> list[Path]:
    """Files that inputs stand for, each once, in the order of the inputs.

    Args:
        inputs: Files (returned as they are), folders (their images by name, without hidden files and
            sub-folders; links that lead nowhere, and pipes, are among them, for whoever reads them to name) and
            glob patterns.

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
        files = sorted(path for path in given.iterdir() if _may_be_file(path) and not path.name.startswith("."))
        images = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
        if not images:
            there = ", ".join(sorted({path.suffix or path.name for path in files})[:8]) or "nothing"
            raise refusal(given, f"no image in the folder (there: {there}); expected {', '.join(IMAGE_SUFFIXES)}")
        return images
    if given.exists() or given.is_symlink():
        return [given]
    if not glob.has_magic(str(given)):
        raise refusal(given, "there is no such file or folder; check the name")
    matches = sorted(Path(match) for match in glob.glob(str(given), recursive=True))
    images = [path for path in matches if _may_be_file(path) and path.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        raise refusal(given, f"the pattern matches no image; expected {', '.join(IMAGE_SUFFIXES)}")
    return images


def _may_be_file(path: Path) -> bool:
    """Whether an entry is no folder: links that lead nowhere and pipes are somebody's loss, who is to be told."""
    try:
        return not path.is_dir()
    except OSError:
        return True


def _read_stored(path: Path, *, as_stored: bool, position: int | None = None) -> Stored:
    _check_suffix(path)
    kind, suffixes = _kind(read_start(path, 16))
    if not kind:
        raise refusal(
            path, "the file is no TIFF, PNG, JPEG, BMP, WebP or .npy, whatever its name; export or copy it again"
        )
    if kind == "JPEG" and as_stored:
        raise refusal(path, "JPEG does not keep the ids of a mask; save it as PNG or TIFF")
    if kind == "TIFF":
        stored = read_tiff(path, as_stored=as_stored, position=position)
    elif kind == "NumPy":
        stored = read_npy(path)
    else:
        stored = read_picture(path, kind, as_stored=as_stored)
    if position not in (None, 0) and kind != "TIFF":
        raise refusal(path, f"position {position} asked for; the file holds one image, number 0")
    if path.suffix.lower() not in suffixes:
        stored = stored.with_note(f"the file is named {path.suffix} but holds {kind}; it was read as that")
    return stored


def _check_suffix(path: Path) -> None:
    suffix = path.suffix.lower()
    if suffix == ".zarr":
        raise refusal(path, "Zarr is not read; save the image as OME-TIFF")
    if suffix in MAKERS_SUFFIXES:
        raise refusal(path, f"{suffix} is not read; save it as OME-TIFF, for example with Fiji's Bio-Formats exporter")
    if suffix not in IMAGE_SUFFIXES:
        raise refusal(path, f"files ending in {suffix or 'nothing'} are not read; expected {', '.join(IMAGE_SUFFIXES)}")


def _kind(start: bytes) -> tuple[str, tuple[str, ...]]:
    """Format that the first bytes announce, empty for none, and the endings it goes by."""
    if start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF", (".tif", ".tiff", ".svs", ".ndpi")
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WebP", (".webp",)
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG", (".png",)
    if start.startswith(b"\xff\xd8\xff"):
        return "JPEG", (".jpg", ".jpeg")
    if start.startswith(b"BM"):
        return "BMP", (".bmp",)
    return ("NumPy", (".npy",)) if start.startswith(b"\x93NUMPY") else ("", ())


def _has_smooth_colors(labels: np.ndarray) -> bool:
    """Whether many colors are no areas of their own, as at smoothed edges and after lossy compression."""
    between = labels != 0
    alone = between & ~_has_equal_neighbor(labels)
    return int(alone.sum()) >= _FEWEST_EDGE_PIXELS and alone.sum() > _MOST_ALONE * between.sum()


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


def _places(path: Path, channels: Sequence[int | str], names: tuple[str, ...]) -> list[int]:
    """Numbers of channels that are asked for by number or by name."""
    try:
        return [find_channel(channel, names) for channel in channels] or [find_channel(len(names), names)]
    except InputError as error:
        raise error.within(path) from error


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
        raise refusal(path, f"a mask with the value {broken[0]:g}; expected whole numbers, threshold or round it first")
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
    return bool(_has_equal_neighbor(labels)[between].mean() < _ANTIALIASED_SHARE)


def _has_equal_neighbor(labels: np.ndarray) -> np.ndarray:
    """Whether a pixel has a 4-neighbor of its own value; (…, H, W) bool."""
    same = np.zeros(labels.shape, bool)
    for axis in (-2, -1):
        first = np.moveaxis(labels, axis, -1)[..., :-1]
        second = np.moveaxis(labels, axis, -1)[..., 1:]
        equal = first == second
        view = np.moveaxis(same, axis, -1)
        view[..., :-1] |= equal
        view[..., 1:] |= equal
    return same
