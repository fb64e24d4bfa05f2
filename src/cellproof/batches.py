"""Wiring: records → samples in memory → the batch of a step."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .augment.color import ChannelJitter, Grayscale, Hue, Saturation
from .augment.compose import Augmentation
from .augment.geometric import Geometric
from .augment.intensity import Intensity, Step
from .augment.noise import Blur, GaussianNoise, Sharpen, ShotNoise
from .augment.tone import Contrast, Gamma, Illumination, Inversion
from .checks import InputError
from .config import AugmentConfig, DataConfig
from .data.description import Description
from .data.index import Record
from .data.normalization import fit_channels, normalize
from .data.samples import fix_mask, make_sample, rescale_sample
from .data.targets import make_targets
from .io import read_image, read_labels
from .training.batch import Batch
from .types import Heads, Sample

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


@dataclass(frozen=True)
class BatchMaker:
    """The batch of a step, as a function of the step's number and the seed alone.

    Attributes:
        store: Samples.
        weights: (n,) probability of drawing each sample, summing to 1.
        free: Cut, turn, scale, bend and change patches; by the sample's number of channels, for colors need three.
        exact: The same without any resampling of pixels.
        exact_share: Share of patches that are cut exactly.
        heads: Which targets are made.
        in_channels: Channels of the network's input.
        batch: Patches a step.
        seed: Of every draw.
    """

    store: SampleStore
    weights: np.ndarray
    free: Mapping[int, Augmentation]
    exact: Mapping[int, Augmentation]
    exact_share: float
    heads: Heads
    in_channels: int
    batch: int
    seed: int

    def __call__(self, step: int) -> Batch:
        """Images, class maps and fields of a step."""
        patches = [self._patch(step, place) for place in range(self.batch)]
        targets = [make_targets(patch, self.heads) for patch in patches]
        images = np.stack([fit_channels(patch.image, self.in_channels) for patch in patches])
        return Batch(
            images=torch.from_numpy(images),
            class_map=torch.from_numpy(np.stack([target.class_map for target in targets])),
            fields=torch.from_numpy(np.stack([target.fields for target in targets])),
        )

    def _patch(self, step: int, place: int) -> Sample:
        rng = np.random.default_rng([self.seed, step, place])
        sample = self.store[int(rng.choice(len(self.weights), p=self.weights))]
        kind = self.exact if rng.random() < self.exact_share else self.free
        return kind[sample.image.shape[0]](sample, rng)


def draw_weights(
    records: Sequence[Record], areas_px: Sequence[int], objects: Sequence[int], data: DataConfig
) -> np.ndarray:
    """Probability of drawing each record: by its area and its objects, and balanced over an attribute's values.

    Args:
        records: The training records.
        areas_px: Pixels of each.
        objects: Objects in each; an empty image counts as one with a single object.
        data: `area_power`, `object_power`, `balance` and `balance_power`.

    Raises:
        InputError: A record lacks the attribute.
    """
    weights = np.asarray(areas_px, float) ** data.area_power
    weights *= np.maximum(np.asarray(objects, float), 1) ** data.object_power
    if data.balance:
        values = [attribute(record, data.balance) for record in records]
        for value in set(values):
            members = np.array([v == value for v in values])
            weights[members] *= members.sum() ** data.balance_power / weights[members].sum()
    shares: np.ndarray = weights / weights.sum()
    return shares


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


def augmentation(config: AugmentConfig, *, patch_px: int, channels: int, exact: bool) -> Augmentation:
    """The augmentation that a recipe describes; color steps only for three channels.

    Args:
        config: Ranges and probabilities.
        patch_px: Edge of a patch.
        channels: Of the samples.
        exact: Only flips and quarter turns, which copy pixels: a share of such patches keeps edges where
            they were drawn, to the pixel.
    """
    p = config.probability
    steps: list[Step] = [
        Illumination(p=p, strength=config.illumination),
        Gamma(p=p, low=1 / (1 + config.gamma), high=1 + config.gamma),
        Contrast(p=p, low=1 / (1 + config.contrast), high=1 + config.contrast, offset=config.brightness),
        Inversion(p=config.invert),
        Blur(p=p / 2, low_px=0.3, high_px=max(0.3, config.blur_px)),
        Sharpen(p=p / 2),
        ShotNoise(p=p / 2, largest_sd=config.noise),
        GaussianNoise(p=p, largest_sd=config.noise),
    ]
    if channels == 3 and (config.color or config.grayscale):
        steps[3:3] = [
            ChannelJitter(p=2 * p, gain=config.color, offset=config.color / 4),
            Hue(p=p, degrees=100 * config.color),
            Saturation(p=p, low=max(0.0, 1 - 2 * config.color), high=1 + 2 * config.color),
            Grayscale(p=config.grayscale),
        ]
    if exact:
        geometric = Geometric(
            patch_px=(patch_px, patch_px),
            flip=config.flip,
            rotate="none" if config.rotate == "none" else "quarter",
            foreground_bias=config.foreground_bias,
        )
        return Augmentation(geometric, Intensity(tuple(steps)))
    geometric = Geometric(
        patch_px=(patch_px, patch_px),
        flip=config.flip,
        rotate=config.rotate,
        scale=config.scale,
        shear=config.shear,
        anisotropy=config.anisotropy,
        elastic_px=config.elastic_px,
        elastic_sigma_px=config.elastic_sigma_px,
        foreground_bias=config.foreground_bias,
    )
    return Augmentation(geometric, Intensity(tuple(steps)))


def _bytes(sample: Sample) -> int:
    instances = 0 if sample.instances is None else sample.instances.nbytes
    return sample.image.nbytes + sample.class_map.nbytes + instances
