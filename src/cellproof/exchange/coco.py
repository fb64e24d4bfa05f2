"""COCO instance annotations (also LIVECell's): one JSON of images and annotations, as polygons or runs.

Runs count zeros first, then ones, and so on, along columns; compressed ones are text.

References:
    Lin et al. (2014). Microsoft COCO: common objects in context. ECCV. doi:10.1007/978-3-319-10602-1_48
    cocodataset.org, data format and ``maskApi.c`` (compressed runs)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from skimage.draw import polygon2mask

from ..checks import InputError
from .annotations import AnnotatedImage, unusable


def index(annotations: Path, images: Path) -> list[AnnotatedImage]:
    """Images of an annotation file, in its order.

    Args:
        annotations: The JSON.
        images: Folder of the images, searched with its subfolders.

    Raises:
        InputError: Not such a file, or an annotation of an image that is not listed. An image that is not there is told
            as its problem.
    """
    try:
        content = json.loads(annotations.read_text(encoding="utf-8"))
        listed, written = content["images"], content["annotations"]
        if isinstance(written, dict):  # LIVECell's early files
            written = list(written.values())
        by_image: dict[int, list[tuple[int, dict[str, Any]]]] = {one["id"]: [] for one in listed}
        for place, annotation in enumerate(written):
            if annotation["image_id"] not in by_image:
                raise InputError(f"{annotations}, annotation {place}: no image {annotation['image_id']} in images")
            by_image[annotation["image_id"]].append((place, annotation))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{annotations}: no COCO annotations ({error!r}); expected images and annotations") from error
    files = {path.name: path for path in sorted(images.rglob("*")) if path.is_file()}
    found = []
    for one in listed:
        name = Path(one["file_name"]).name
        if name not in files:
            problem = f"{annotations}: image {name} is not in {images}; add it, or give another folder"
            found.append(unusable(Path(name).stem, images / name, problem))
            continue
        shape = int(one["height"]), int(one["width"])
        own = by_image[one["id"]]
        found.append(
            AnnotatedImage(
                Path(name).stem,
                files[name],
                shape,
                lambda own=own, shape=shape: _masks(annotations, own, shape),  # type: ignore[misc]  # bound now
            )
        )
    return found


def _masks(
    source: Path, own: list[tuple[int, dict[str, Any]]], shape: tuple[int, int]
) -> Iterator[tuple[str, np.ndarray]]:
    for place, annotation in own:
        where = f"{source}, annotation {place}"
        try:
            yield where, mask_of(annotation.get("segmentation"), shape)
        except (InputError, ValueError, TypeError, KeyError) as error:
            raise InputError(f"{where}: {error}") from error


def mask_of(segmentation: Any, shape: tuple[int, int]) -> np.ndarray:
    """(H, W) mask of a ``segmentation``: polygons, or runs as numbers or text.

    Raises:
        InputError: Runs that do not add up to the image, a polygon without three corners, or anything else.

    Examples:
        >>> mask_of({"counts": [1, 2, 3], "size": [2, 3]}, (2, 3)).astype(int).tolist()
        [[0, 1, 0], [1, 0, 0]]
    """
    if isinstance(segmentation, dict):
        counts = segmentation.get("counts")
        numbers = decompress(counts) if isinstance(counts, str) else list(counts or ())
        if min(numbers, default=0) < 0 or sum(numbers) != shape[0] * shape[1]:
            raise InputError(f"runs of {sum(numbers)} pixels for an image of {shape[0]} × {shape[1]}")
        flat = np.repeat(np.arange(len(numbers)) % 2 == 1, numbers)
        return flat.reshape(shape, order="F")
    if not isinstance(segmentation, list) or not segmentation:
        raise InputError("no segmentation; expected polygons or runs")
    mask = np.zeros(shape, bool)
    for corners in segmentation:
        if len(corners) < 6 or len(corners) % 2:
            raise InputError(f"a polygon of {len(corners)} numbers, expected at least three corners: x y x y x y")
        # COCO's coordinates are (x, y) with pixel centers at .5; polygon2mask takes (row, column) of centers.
        points = np.array(corners, float).reshape(-1, 2)[:, ::-1] - 0.5
        mask |= polygon2mask(shape, points)
    return mask


def decompress(text: str) -> list[int]:
    """Counts of a compressed run-length string: 5 bits a character, less the count before the last from the third on.

    Examples:
        >>> decompress(compress([5, 3, 100, 1, 7]))
        [5, 3, 100, 1, 7]
    """
    counts: list[int] = []
    place = 0
    while place < len(text):
        value = shift = 0
        more = True
        while more:
            if place >= len(text):
                raise InputError("compressed runs end in the middle of a number")
            bits = ord(text[place]) - 48
            if not 0 <= bits < 64:
                raise InputError(f"compressed runs hold {text[place]!r}")
            value |= (bits & 0x1F) << shift
            more = bool(bits & 0x20)
            place, shift = place + 1, shift + 5
            if not more and bits & 0x10:
                value |= -1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
    return counts


def compress(counts: Sequence[int]) -> str:
    """The text of which `decompress` gives these counts."""
    text = ""
    for place, count in enumerate(counts):
        value = count - (counts[place - 2] if place > 2 else 0)
        more = True
        while more:
            bits = value & 0x1F
            value >>= 5
            more = value != (-1 if bits & 0x10 else 0)
            text += chr((bits | (0x20 if more else 0)) + 48)
    return text


def counts_of(mask: np.ndarray) -> list[int]:
    """Uncompressed counts of a mask, zeros first, along columns; `mask_of` of them gives the mask back."""
    flat = (mask != 0).ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *edges, flat.size]).tolist()
    return [0, *counts] if flat.size and flat[0] else counts
