"""What foreign annotation files have in common: objects of an image, one mask each, made into one label image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class AnnotatedImage:
    """An image and where its objects are written down.

    Attributes:
        name: Name of the image, without ending.
        image: Its file.
        shape: (H, W) as the annotations say; None where they do not.
        masks: Reads its objects: (where it is written, (H, W) bool mask), one at a time.
        attributes: Columns of the set's table.
        split: Folder that it becomes part of: "train", or an official test split.
    """

    name: str
    image: Path
    shape: tuple[int, int] | None
    masks: Callable[[], Iterable[tuple[str, np.ndarray]]]
    attributes: Mapping[str, str] = field(default_factory=dict)
    split: str = "train"


def label_image(masks: Iterable[np.ndarray], shape: tuple[int, int]) -> tuple[np.ndarray, int]:
    """One label image of masks that may overlap; a pixel of several objects goes to the smallest of them.

    Args:
        masks: (H, W) bool each, in the order of their ids.
        shape: (H, W).

    Returns:
        (H, W) int32 with ids 1…n in the given order, and the number of pixels that several objects claim. An object
        that lies wholly under smaller ones has no pixel left and leaves a gap in the ids.

    Examples:
        >>> large, small = np.ones((1, 3), bool), np.array([[False, True, False]])
        >>> label_image([large, small], (1, 3))
        (array([[1, 2, 1]], dtype=int32), 1)
    """
    pixels = [np.flatnonzero(mask) for mask in masks]
    labels = np.zeros(shape[0] * shape[1], np.int32)
    claims = np.zeros(shape[0] * shape[1], np.int32)
    for place in sorted(range(len(pixels)), key=lambda place: -len(pixels[place])):
        labels[pixels[place]] = place + 1
        claims[pixels[place]] += 1
    return labels.reshape(shape), int((claims > 1).sum())
