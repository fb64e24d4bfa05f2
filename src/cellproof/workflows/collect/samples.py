"""Records become samples: read, normalized, brought to the working scale, kept in memory as far as they fit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ...checks import InputError
from ...data.description import Description, as_described
from ...data.index import Record
from ...data.normalization import normalize
from ...data.samples import fix_mask, make_sample, rescale_sample
from ...io import read_image, read_mask
from ...recipe import DataConfig
from ...types import Image, Sample

MOST_BYTES = 6 * 1024**3
"""Samples beyond this are read again when they are drawn again."""


def load_sample(
    record: Record,
    description: Description,
    data: DataConfig,
    look: Callable[[Record, Image, np.ndarray], None] = lambda record, image, mask: None,
) -> tuple[Sample, list[str]]:
    """Read one record, normalize it and bring it to the working scale.

    Args:
        record: Of the data set.
        description: Of the same.
        data: How its images are read.
        look: Called with image and mask as they are stored.

    Returns:
        The sample, and sentences on what was fixed in its mask.

    Raises:
        InputError: The image or mask cannot be used; the message names the file.
    """
    image = read_image(record.image)
    mask = load_mask(record.mask, description)
    if len(image.pixels) != 1:
        raise InputError(
            f"{record.image}: a stack of {len(image.pixels)} planes; "
            "to train on it, save annotated planes as single files"
        )
    if image.pixels.shape[-2:] != mask.shape:
        raise InputError(
            f"{record.mask}: mask of {mask.shape} for an image of {image.pixels.shape[-2:]}; "
            "both must show the same pixels"
        )
    look(record, image, mask)
    try:
        fixed, notes = fix_mask(mask, description)
        sample = make_sample(normalize(image.pixels[0], data.normalization), fixed, description)
    except InputError as error:
        raise InputError(f"{record.mask}: {error}") from error
    if data.scale != 1.0:
        sample = rescale_sample(sample, data.scale)
    return sample, notes


def load_mask(path: Path, description: Description) -> np.ndarray:
    """A mask with the values that the description speaks of: colors become the numbers of their classes.

    Raises:
        InputError: The mask cannot be read, or holds colors of no class; the message names the file.
    """
    mask = read_mask(path)
    try:
        return as_described(mask.values, description, color=mask.color)
    except InputError as error:
        raise error.within(path) from error


class SampleStore:
    """Samples by index, kept in memory as far as they fit.

    Attributes:
        load: Reads sample number i; called again for a sample that had to make room.
    """

    def __init__(self, load: Callable[[int], Sample], *, most_bytes: int = MOST_BYTES) -> None:
        self.load = load
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[int, Sample] = OrderedDict()

    def __getitem__(self, index: int) -> Sample:
        if index in self._kept:
            self._kept.move_to_end(index)
            return self._kept[index]
        sample = self.load(index)
        self._kept[index] = sample
        self._bytes += _bytes(sample)
        while self._bytes > self._most_bytes and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= _bytes(oldest)
        return sample


def _bytes(sample: Sample) -> int:
    instances = 0 if sample.instances is None else sample.instances.nbytes
    return sample.image.nbytes + sample.class_map.nbytes + instances
