"""The overlay of an input, and the smaller images of it that the report shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from ...difficulty.confidence import difficult_pixels
from ...io import atomic_path, make_folder, read_json, write_json
from ...report.difficulty_pictures import white_on_image
from ...report.overlay import block_step, class_overlay, difficulty_picture, image_picture, overlay, write_overlay
from ...report.pictures import Picture, write_picture
from ...types import ModelHeader
from .record import OVERLAY, PICTURES, REPORT_FILES, STATE_FOLDER

_THUMBNAIL_PX, _VIEW_PX = 400, 1600

_OVERLAY, _DIFFICULTY, _DIFFICULT = "Overlay", "Difficulty", "Difficult pixels"


@dataclass(frozen=True)
class PlanePictures:
    """What images of a plane are drawn from.

    Attributes:
        pixels: (C, H, W) as read.
        labels: (H, W) objects.
        classes: (H, W) class ids.
        difficulty: (H, W) in [0, 1].
        doubtful: Labels of the doubtful objects.
        pixel_size_um: For the scale bar; None if unknown.
    """

    pixels: np.ndarray
    labels: np.ndarray
    classes: np.ndarray
    difficulty: np.ndarray
    doubtful: np.ndarray
    pixel_size_um: float | None = None


class Shown(msgspec.Struct, frozen=True):
    """What the report shows of an input.

    Attributes:
        overlay: Thumbnail with outlines or classes.
        difficulty: Thumbnail of the heat map.
        difficult: Thumbnail with the difficult pixels in white; None for results that lack it.
        views: Name and path of each larger image, relative to the folder of results.
    """

    overlay: Picture
    difficulty: Picture
    difficult: Picture | None = None
    views: tuple[tuple[str, str], ...] = ()


def write_pictures(out: Path, name: str, plane: PlanePictures, *, header: ModelHeader) -> list[str]:
    """Write the overlay, the report's thumbnails and what a click on them opens.

    Args:
        out: Folder of results, prepared by `open_state`.
        name: What the files' names begin with.
        plane: The plane that a person should see first.
        header: Of the model.

    Returns:
        Paths of the files relative to ``out``, but for the overlay's.

    Raises:
        InputError: A file cannot be written.
    """
    background = _Backgrounds(plane.pixels)
    with atomic_path(out / f"{name}{OVERLAY}") as temporary:
        write_overlay(temporary, draw(plane, header=header, shown=background.of(None)))
    hard = difficult_pixels(1 - plane.difficulty)  # less sure than the mean is more difficult than the mean
    pixels, difficulty = plane.pixels, plane.difficulty
    drawings: dict[str, Callable[[int, np.ndarray], np.ndarray]] = {
        "image": lambda px, shown: shown,
        "difficulty": lambda px, shown: difficulty_picture(pixels, difficulty, max_px=px, shown=shown),
        "difficult": lambda px, shown: white_on_image(pixels, hard, max_px=px, shown=shown),
        "overlay_small": lambda px, shown: draw(plane, header=header, max_px=px, shown=shown),
        "difficulty_small": lambda px, shown: difficulty_picture(pixels, difficulty, max_px=px, shown=shown),
        "difficult_small": lambda px, shown: white_on_image(pixels, hard, max_px=px, shown=shown),
    }
    make_folder(out / REPORT_FILES)
    written: dict[str, Picture] = {}
    for kind, drawn in drawings.items():
        most_px = _THUMBNAIL_PX if kind.endswith("_small") else _VIEW_PX
        source = f"{REPORT_FILES}/{name}_{kind}.jpg"
        with atomic_path(out / source) as temporary:
            rgb = drawn(most_px, background.of(most_px))
            written[kind] = write_picture(temporary, rgb, source=source, max_px=most_px)
    shown = Shown(
        written["overlay_small"],
        written["difficulty_small"],
        written["difficult_small"],
        views=(
            ("Image", written["image"].source),
            (_OVERLAY, f"{name}{OVERLAY}"),
            (_DIFFICULTY, written["difficulty"].source),
            (_DIFFICULT, written["difficult"].source),
        ),
    )
    index = f"{STATE_FOLDER}/{PICTURES}/{name}.json"
    write_json(out / index, shown)
    return [*(picture.source for picture in written.values()), index]


class _Backgrounds:
    """The image at each size that something is drawn on, its contrast stretched once."""

    def __init__(self, pixels: np.ndarray) -> None:
        self._pixels = pixels
        self._known: dict[int, np.ndarray] = {}

    def of(self, max_px: int | None) -> np.ndarray:
        """What `image_picture` gives; not to be drawn on."""
        step = block_step(self._pixels[0], max_px)
        if step not in self._known:
            self._known[step] = image_picture(self._pixels, max_px=max_px)
        return self._known[step]


def read_pictures(out: Path, name: str) -> Shown:
    """What the report shows of an input; older results hold their thumbnails as text, and no larger images.

    Raises:
        InputError: They cannot be read.
    """
    values = read_json(out / STATE_FOLDER / PICTURES / f"{name}.json")
    if isinstance(values, dict):
        return msgspec.convert(values, Shown)
    older = msgspec.convert(values, Annotated[list[dict[str, str | int]], msgspec.Meta(min_length=2, max_length=3)])
    overlaid, heat, *rest = [
        Picture(str(one["data_uri"]), height=int(one["height"]), width=int(one["width"])) for one in older
    ]
    return Shown(overlaid, heat, rest[0] if rest else None, views=((_OVERLAY, f"{name}{OVERLAY}"),))


def draw(
    plane: PlanePictures, *, header: ModelHeader, max_px: int | None = None, shown: np.ndarray | None = None
) -> np.ndarray:
    """Outlines of objects, or classes of pixels where the model has no objects, on the image.

    Args:
        plane: What is drawn.
        header: Of the model.
        max_px: See `overlay`.
        shown: See `overlay`.
    """
    if not header.heads.has_instances:
        return class_overlay(
            plane.pixels,
            plane.classes,
            colors=header.colors,
            max_px=max_px,
            pixel_size_um=plane.pixel_size_um,
            shown=shown,
        )
    return overlay(
        plane.pixels,
        plane.labels,
        doubtful=plane.doubtful,
        max_px=max_px,
        pixel_size_um=plane.pixel_size_um,
        shown=shown,
    )
