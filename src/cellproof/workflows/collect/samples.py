"""Records become samples: read, normalized, brought to the working scale, kept in memory as far as they fit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from ...checks import InputError
from ...data.description import Description
from ...data.index import Record
from ...data.normalization import normalize
from ...data.samples import fix_mask, make_sample, rescale_sample
from ...io import read_image, read_labels
from ...recipe import DataConfig
from ...types import Sample

MOST_BYTES = 6 * 1024**3
"""Samples beyond this are read again when they are drawn again."""


def load_sample(record: Record, description: Description, data: DataConfig) -> tuple[Sample, list[str]]:
    """Read one record, normalize it and bring it to the working scale.

    Returns:
        The sample, and sentences on what was mended in its mask.

    Raises:
        InputError: The image or mask cannot be used; the message names the file.
    """
    image = read_image(record.image)
    mask = read_labels(record.mask)
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
    try:
        fixed, notes = fix_mask(mask, description)
        sample = make_sample(normalize(image.pixels[0], data.normalization), fixed, description)
    except InputError as error:
        raise InputError(f"{record.mask}: {error}") from error
    if data.scale != 1.0:
        sample = rescale_sample(sample, data.scale)
    return sample, notes


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


def attribute(record: Record, name: str) -> str:
    """Value of a record's attribute.

    Raises:
        InputError: It has none of that name.
    """
    try:
        return dict(record.attributes)[name]
    except KeyError:
        known = ", ".join(dict(record.attributes)) or "none"
        raise InputError(f"{record.name}: no attribute {name!r}; there: {known}") from None


def _bytes(sample: Sample) -> int:
    instances = 0 if sample.instances is None else sample.instances.nbytes
    return sample.image.nbytes + sample.class_map.nbytes + instances
