"""The words every room speaks: arrays with names, and the records a model file carries.

Axes are (plane,) (channel,) row, column. Nothing here computes more than a slice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np

IGNORE = 255
"""Value in a class map of a pixel without annotation; losses and metrics leave it out."""

RENAMED_KEYS = {
    "colours": "colors",
    "colour": "color",
    "licence": "license",
    "normalisation": "normalization",
    "optimiser": "optimizer",
    "greyscale": "grayscale",
}
"""Keys of files written before American spelling was adopted, and what they are called now."""


def with_current_keys(values: Any) -> Any:
    """The same nested values with keys of old files renamed, so that these stay readable.

    Args:
        values: What a TOML or JSON reader returns: dictionaries, lists and plain values.

    Returns:
        A copy; where a mapping holds both spellings, both stay, and its reader refuses the old one.

    Examples:
        >>> with_current_keys({"colours": ["#000000"], "augment": {"colour": 0.2}})
        {'colors': ['#000000'], 'augment': {'color': 0.2}}
    """
    if isinstance(values, dict):
        return {
            key if RENAMED_KEYS.get(key, key) in values else RENAMED_KEYS.get(key, key): with_current_keys(value)
            for key, value in values.items()
        }
    if isinstance(values, list):
        return [with_current_keys(value) for value in values]
    return values


@dataclass(frozen=True)
class Image:
    """A picture, stack or time series as it was stored, with every axis named.

    Attributes:
        pixels: (P, C, H, W) in the file's own dtype; P planes, C channels.
        plane_axes: Names of the axes that were flattened into P, e.g. ``"T"``, ``"Z"``,
            ``"TZ"``; empty for a single picture.
        plane_shape: Lengths of those axes; their product is P.
        pixel_size_um: Edge of a pixel in µm, None where the file does not say.
        channel_names: One name a channel.
        notes: Every guess that was made while reading, as a sentence for the user.
        source: Where the picture came from, for messages.
    """

    pixels: np.ndarray
    plane_axes: str = ""
    plane_shape: tuple[int, ...] = ()
    pixel_size_um: float | None = None
    channel_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    source: str = "array"


@dataclass(frozen=True)
class Sample:
    """One plane to learn from.

    Attributes:
        image: (C, H, W) float32, normalized.
        class_map: (H, W) uint8; 0 is background, 1…K the classes, `IGNORE` not annotated.
            With ``masks = "semantic"`` value k is class k of the description.
        instances: (H, W) int32 object ids, 0 outside objects; None for semantic data.
    """

    image: np.ndarray
    class_map: np.ndarray
    instances: np.ndarray | None = None


class Heads(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the output channels of a network mean, in this order.

    Attributes:
        classes: Channels 0…classes-1 are logits of a softmax; with instances, class 0 is background.
        boundary: One more channel: logit of "this pixel lies at an object's edge".
        distance: One more: the Poisson height of the pixel in its object, 0 outside, 1 at the summit.
        flows: Two more: unit vector (row, column) uphill on that height, 0 outside objects.
    """

    classes: int
    boundary: bool = False
    distance: bool = False
    flows: bool = False

    @property
    def channels(self) -> int:
        """Number of output channels of the network."""
        return self.classes + self.boundary + self.distance + 2 * self.flows

    @property
    def has_instances(self) -> bool:
        """Whether any channel tells objects apart."""
        return self.boundary or self.distance or self.flows

    @property
    def class_slice(self) -> slice:
        """Channels of the class logits."""
        return slice(0, self.classes)

    @property
    def boundary_slice(self) -> slice:
        """Channel of the boundary logit; empty without that head."""
        return slice(self.classes, self.classes + self.boundary)

    @property
    def distance_slice(self) -> slice:
        """Channel of the distance; empty without that head."""
        start = self.boundary_slice.stop
        return slice(start, start + self.distance)

    @property
    def flow_slice(self) -> slice:
        """Channels of the flow (row, column); empty without that head."""
        start = self.distance_slice.stop
        return slice(start, start + 2 * self.flows)


class Normalization(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How raw intensities become network input; stored in the model, applied alike in training and use.

    Attributes:
        low_percentile: Percentile of the whole plane that becomes 0.
        high_percentile: Percentile that becomes 1.
        per_channel: Percentiles of each channel on its own (True) or of all together (False).
        smallest_range: A channel whose range is below this share of the widest channel's is
            scaled by that share instead, so that an empty channel stays empty.
    """

    low_percentile: float = 1.0
    high_percentile: float = 99.8
    per_channel: bool = True
    smallest_range: float = 0.05


class InstanceOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How dense maps become separate objects.

    Attributes:
        method: "flows" follows the flow to its sinks; "watershed" floods the distance from its
            summits; "components" labels connected foreground.
        foreground_threshold: A pixel belongs to an object when 1 - P(background) reaches this.
        seed_threshold: Watershed: a summit must rise this far above the pass to a higher one, in (0, 1).
        boundary_weight: Watershed: how strongly the boundary probability lowers the height.
        smallest_area_px: Smaller objects are dropped.
        fill_holes: Whether holes in an object are filled.
    """

    method: Literal["flows", "watershed", "components"] = "flows"
    foreground_threshold: float = 0.5
    seed_threshold: float = 0.1
    boundary_weight: float = 0.5
    smallest_area_px: int = 10
    fill_holes: bool = True


class TrainingRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a model came from.

    Attributes:
        data: Name of the data set.
        license: Its license.
        images: Number of training images.
        recipe: The recipe as TOML text.
        seed: Seed of every draw.
        steps: Optimizer steps taken.
        seconds: Wall-clock time of the training.
        cellproof: Version of this package.
    """

    data: str = ""
    license: str = ""
    images: int = 0
    recipe: str = ""
    seed: int = 0
    steps: int = 0
    seconds: float = 0.0
    cellproof: str = ""


class IntensityStatistics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What normalized training images looked like, channel by channel, to notice foreign input.

    Attributes:
        mean: Mean of each channel over the training images.
        sd: Standard deviation of the images' means, each channel.
        object_diameter_px: 5th, 50th and 95th percentile of the objects' equivalent diameters, at
            the model's working scale; empty for semantic data.
    """

    mean: tuple[float, ...] = ()
    sd: tuple[float, ...] = ()
    object_diameter_px: tuple[float, ...] = ()


class ModelHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything besides the weights that a model file says, as JSON.

    Attributes:
        name: Name of the model.
        description: One sentence on what it segments.
        architecture: A name in `models`; a file never names code of its own.
        options: Keyword arguments of the architecture's ``build``.
        heads: Meaning of the output channels.
        classes: Name of each class; with instances, class 0 is the background.
        colors: ``#rrggbb`` of each class.
        in_channels: Channels that the network reads; a gray picture is repeated to fill them.
        normalization: How intensities were scaled.
        scale: Pixels of the network's grid per pixel of the image (0.5: it sees the image at half size).
        fit_side_px: Pictures are scaled to this shorter side unless it differs more than fourfold: for
            cut-outs that frame one cell, whatever their magnification; 0 for never.
        fit_objects: Whether pictures of objects much larger than those of the training images are
            shrunk until their objects are of the size that the network knows.
        pixel_size_um: Pixel size of the training images, None if unknown.
        stride_px: The network's input must be a multiple of this.
        receptive_field_px: Radius beyond which no input pixel changes an output pixel; the tiles' halo.
        members: Networks in the file, whose probabilities are averaged.
        temperature: Class logits are divided by this before the softmax.
        instance: How objects are made; ignored for semantic models.
        training: Provenance.
        statistics: Of the training images.
        metrics: Validation results, name → value.
    """

    name: str
    architecture: str
    heads: Heads
    classes: tuple[str, ...]
    in_channels: int
    stride_px: int
    receptive_field_px: int
    description: str = ""
    options: Mapping[str, int | float | bool | str] = {}
    colors: tuple[str, ...] = ()
    normalization: Normalization = Normalization()
    scale: float = 1.0
    fit_side_px: int = 0
    fit_objects: bool = False
    pixel_size_um: float | None = None
    members: int = 1
    temperature: float = 1.0
    instance: InstanceOptions = InstanceOptions()
    training: TrainingRecord = TrainingRecord()
    statistics: IntensityStatistics = IntensityStatistics()
    metrics: Mapping[str, float] = {}


@dataclass(frozen=True)
class Quality:
    """How far an image's result can be trusted.

    Attributes:
        count: Number of objects (of foreground regions in semantic results).
        mean_confidence: Mean over the pixels of objects of the largest class probability, in [0, 1]; NaN without
            objects. The background, which is sure nearly everywhere, is left out.
        expected_dice: Foreground Dice that calibrated probabilities promise, in [0, 1]; NaN where
            nothing is foreground and nothing was nearly so.
        verdict: "accept", "review" or "reject".
        why: The reason for the verdict, for a person.
    """

    count: int
    mean_confidence: float
    expected_dice: float
    verdict: Literal["accept", "review", "reject"]
    why: str


@dataclass(frozen=True)
class Segmentation:
    """What `cellproof.segment` returns for one plane.

    Attributes:
        labels: (H, W) int32, 0 background, 1…n objects without gaps. In semantic results: the
            connected components of every class but the first.
        classes: (H, W) uint8 class ids.
        probabilities: (classes, H, W) float32, summing to 1 over classes.
        difficulty: (H, W) float32 in [0, 1], 1 hardest.
        objects: Column name → (n,) array, scikit-image's names where it has them.
        quality: Image-level verdict.
    """

    labels: np.ndarray
    classes: np.ndarray
    probabilities: np.ndarray
    difficulty: np.ndarray
    objects: Mapping[str, np.ndarray]
    quality: Quality
