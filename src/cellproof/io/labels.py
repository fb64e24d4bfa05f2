"""Results as OME-TIFF that Fiji, napari, QuPath and tifffile open with axes and pixel size."""

from __future__ import annotations

import hashlib
import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import tifffile

from ..checks import InputError, check_finite, check_labels
from ..types import Spacing
from ._decoding import refusal
from ._stored import can_be_named
from .atomic import atomic_path

_LARGEST_UINT16 = 65_535
_UM_PER_CM = 10_000


def write_labels(
    path: str | Path,
    labels: np.ndarray,
    *,
    plane_axes: str = "",
    plane_shape: tuple[int, ...] = (),
    spacing: Spacing | None = None,
    channel_names: Sequence[str] = (),
) -> None:
    """Write object ids, 0 for background: uint16, or uint32 where an id is above 65,535.

    Args:
        path: Where to; the whole file appears at once.
        labels: (H, W), or (P, H, W) with plane axes; whole numbers.
        plane_axes: Names of the axes that P flattens, e.g. ``"TZ"``.
        plane_shape: Their lengths; their product is P.
        spacing: Distances between pixels, planes and time points of the image, as far as they are known.
        channel_names: Names of the image's channels that the labels were made from.

    Raises:
        InputError: for labels that are no ids, a shape that does not fit, or a file that cannot be written.
    """
    check_labels(labels=labels)
    largest = int(labels.max(initial=0))
    if largest > np.iinfo(np.uint32).max:
        raise refusal(Path(path), f"the id {largest} does not fit into 32 bits; number the objects from 1")
    dtype = np.uint16 if largest <= _LARGEST_UINT16 else np.uint32
    stack = _unflatten(Path(path), labels.astype(dtype), plane_axes, plane_shape)
    where = _Where(plane_axes, spacing or Spacing(), tuple(channel_names))
    _write(Path(path), stack, where=where, description={"content": "object ids"})


def write_classes(
    path: str | Path,
    classes: np.ndarray,
    *,
    names: Sequence[str] = (),
    colors: Sequence[str] = (),
    plane_axes: str = "",
    plane_shape: tuple[int, ...] = (),
    spacing: Spacing | None = None,
    channel_names: Sequence[str] = (),
) -> None:
    """Write class ids as uint8, with the classes' names and ``#rrggbb`` colors as JSON in the OME description.

    Args:
        path: Where to; the whole file appears at once.
        classes: (H, W), or (P, H, W) with plane axes; ids 0 to 255.
        names: Name of class 0, 1, …
        colors: Color of class 0, 1, …
        plane_axes: As in `write_labels`.
        plane_shape: As in `write_labels`.
        spacing: As in `write_labels`.
        channel_names: As in `write_labels`.

    Raises:
        InputError: as `write_labels`.
    """
    check_labels(classes=classes)
    if classes.max(initial=0) > np.iinfo(np.uint8).max:
        raise refusal(Path(path), f"the class id {classes.max()} does not fit into 8 bits; expected 0 to 255")
    stack = _unflatten(Path(path), classes.astype(np.uint8), plane_axes, plane_shape)
    description = {"content": "class ids", "classes": list(names), "colors": list(colors)}
    where = _Where(plane_axes, spacing or Spacing(), tuple(channel_names))
    _write(Path(path), stack, where=where, description=description)


def write_difficulty(
    path: str | Path,
    difficulty: np.ndarray,
    *,
    plane_axes: str = "",
    plane_shape: tuple[int, ...] = (),
    spacing: Spacing | None = None,
    channel_names: Sequence[str] = (),
) -> None:
    """Write difficulty as uint8, 0 sure … 255 hardest, with that scale as JSON in the OME description.

    Args:
        path: Where to; the whole file appears at once.
        difficulty: (H, W), or (P, H, W) with plane axes; in [0, 1], rounded to the nearest 1/255.
        plane_axes: As in `write_labels`.
        plane_shape: As in `write_labels`.
        spacing: As in `write_labels`.
        channel_names: As in `write_labels`.

    Raises:
        InputError: as `write_labels`, and for values outside [0, 1].
    """
    check_finite(difficulty=difficulty)
    if difficulty.size and (difficulty.min() < 0 or difficulty.max() > 1):
        raise InputError(
            f"difficulty spans {difficulty.min():g} to {difficulty.max():g}, expected 0 (sure) to 1 (hardest)"
        )
    scaled = np.rint(difficulty.astype(np.float32) * 255).astype(np.uint8)
    stack = _unflatten(Path(path), scaled, plane_axes, plane_shape)
    description = {"content": "difficulty", "scale": "difficulty = value / 255", "0": "sure", "255": "hardest"}
    where = _Where(plane_axes, spacing or Spacing(), tuple(channel_names))
    _write(Path(path), stack, where=where, description=description)


def _unflatten(path: Path, array: np.ndarray, plane_axes: str, plane_shape: tuple[int, ...]) -> np.ndarray:
    """(P, H, W) to one axis a letter of ``plane_axes``."""
    planes = array.shape[:-2]
    fits = array.ndim == 2 + bool(plane_axes) and math.prod(planes) == math.prod(plane_shape)
    if not fits or len(plane_axes) != len(plane_shape) or not can_be_named(plane_axes):
        raise refusal(
            path,
            f"an array of shape {array.shape} with plane axes {plane_axes!r} of lengths {plane_shape}; expected "
            "(H, W), or (P, H, W) with up to three plane axes such as TZ whose lengths multiply to P",
        )
    if array.size == 0:
        raise refusal(path, f"an array without pixels (shape {array.shape}); nothing can be written")
    return array.reshape(plane_shape + array.shape[-2:])


@dataclass(frozen=True)
class _Where:
    """What every result image says of its pixels."""

    plane_axes: str
    spacing: Spacing
    channel_names: tuple[str, ...]


def _write(path: Path, stack: np.ndarray, *, where: _Where, description: Mapping[str, object]) -> None:
    # A random identity, tifffile's default, would make equal results differ.
    content = hashlib.sha256(stack.tobytes() + repr((stack.shape, where)).encode()).hexdigest()
    metadata: dict[str, object] = {
        "axes": where.plane_axes + "YX",
        "UUID": str(uuid.uuid5(uuid.NAMESPACE_OID, content)),
    }
    metadata["Description"] = msgspec.json.encode({**description, **_channels(where)}).decode()
    if where.channel_names:
        metadata["Channel"] = {"Name": [", ".join(where.channel_names)]}
    metadata |= _sizes(where)
    x_um, y_um = where.spacing.x_um, where.spacing.y_um
    per_cm = None if x_um is None or y_um is None else (_UM_PER_CM / x_um, _UM_PER_CM / y_um)
    with atomic_path(path) as temporary:
        # OME-XML holds every axis and unit in all integer types; the resolution tags repeat the
        # pixel size for programs that read plain TIFF only, as ImageJ without Bio-Formats.
        tifffile.imwrite(
            temporary,
            stack,
            ome=True,
            photometric="minisblack",
            compression="zlib",
            resolution=per_cm,
            resolutionunit=None if per_cm is None else "CENTIMETER",
            metadata=metadata,
        )


def _channels(where: _Where) -> dict[str, object]:
    return {"channels": list(where.channel_names)} if where.channel_names else {}


def _sizes(where: _Where) -> dict[str, object]:
    """OME's attributes of what is known; of planes only where the axes have them."""
    spacing, found = where.spacing, dict[str, object]()
    for axis, size in (("X", spacing.x_um), ("Y", spacing.y_um), ("Z", spacing.z_um)):
        if size is not None and (axis != "Z" or "Z" in where.plane_axes):
            found |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "µm"}
    if spacing.t is not None and "T" in where.plane_axes:
        found |= {"TimeIncrement": spacing.t, "TimeIncrementUnit": spacing.t_unit}
    return found
