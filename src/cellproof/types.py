"""The words every room speaks: arrays with names, and the records a model file carries.

Axes are (plane,) (channel,) row, column. Nothing here computes more than a slice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from .parts import RENAMED_KEYS, Head, Heads, InstanceOptions, LossTerm, Setting, Step, with_current_keys
from .records import DeepProjection, ImageKind, LogisticModel, Promise, RoundingRecord, TrustRecord

__all__ = [
    "IGNORE",
    "RENAMED_KEYS",
    "DeepProjection",
    "Head",
    "Heads",
    "Image",
    "ImageKind",
    "InstanceOptions",
    "IntensityStatistics",
    "LogisticModel",
    "LossTerm",
    "ModelHeader",
    "Normalization",
    "Prediction",
    "Promise",
    "Quality",
    "RoundingRecord",
    "Sample",
    "Segmentation",
    "Setting",
    "Spacing",
    "Step",
    "TrainingRecord",
    "TrustRecord",
    "Unknown",
    "with_current_keys",
]

IGNORE = 255
"""Value in a class map of a pixel without annotation; losses and metrics leave it out."""

Unknown = Literal["zeros", "mean"]
"""How a network that is told a condition is told that nothing is known of it."""


@dataclass(frozen=True)
class Spacing:
    """Distances between neighboring pixels, planes and time points; None where a file does not say.

    Attributes:
        x_um: Width of a pixel in µm.
        y_um: Height of a pixel in µm.
        z_um: Distance between planes of a stack in µm.
        t: Interval between time points, in ``t_unit``.
        t_unit: Unit of ``t`` as OME writes it, e.g. ``"s"`` or ``"min"``.
    """

    x_um: float | None = None
    y_um: float | None = None
    z_um: float | None = None
    t: float | None = None
    t_unit: str = "s"

    @property
    def pixel_side_um(self) -> float | None:
        """Side in µm of the square that has a pixel's area, so that areas are right where pixels are not square.

        Examples:
            >>> Spacing(x_um=0.5, y_um=2.0).pixel_side_um
            1.0
        """
        return None if self.x_um is None or self.y_um is None else (self.x_um * self.y_um) ** 0.5


@dataclass(frozen=True)
class Image:
    """An image, stack or time series as it was stored, with every axis named.

    Attributes:
        pixels: (P, C, H, W) in the file's own dtype; P planes, C channels.
        plane_axes: Names of the axes that were flattened into P, e.g. ``"T"``, ``"Z"``,
            ``"TZ"``; empty for a single image.
        plane_shape: Lengths of those axes; their product is P.
        spacing: Distances between pixels, planes and time points.
        channel_names: One name a channel.
        color: Whether the channels are red, green and blue, because the file says so; channels of a
            fluorescence image are not.
        notes: Every guess that was made while reading, as a sentence for the user.
        source: Where the image came from, for messages.
    """

    pixels: np.ndarray
    plane_axes: str = ""
    plane_shape: tuple[int, ...] = ()
    spacing: Spacing = Spacing()
    channel_names: tuple[str, ...] = ()
    color: bool = False
    notes: tuple[str, ...] = ()
    source: str = "array"

    @property
    def pixel_size_um(self) -> float | None:
        """Width of a pixel in µm, None where the file does not say."""
        return self.spacing.x_um


@dataclass(frozen=True)
class Sample:
    """One plane to learn from.

    Attributes:
        image: (C, H, W) float32, normalized.
        class_map: (H, W) uint8; 0 is background, 1…K the classes, `IGNORE` not annotated.
            With ``masks = "semantic"`` value k is class k of the description.
        instances: (H, W) int32 object ids, 0 outside objects; None for semantic data.
        condition: Value of the attribute that the network is told; "" for unknown.
    """

    image: np.ndarray
    class_map: np.ndarray
    instances: np.ndarray | None = None
    condition: str = ""


@dataclass(frozen=True)
class Prediction:
    """What a network predicts for one image and steps of ``refine`` change.

    Attributes:
        probabilities: (classes, H, W) float32, summing to 1 over classes.
        class_map: (H, W) uint8, the likeliest class at first; `IGNORE` is never changed.
        classes: Name of each class.
        difficult: (H, W) bool, pixels that are less sure than the mean of the image; None where nobody computed it.
        views: (classes, H, W) mean probabilities over flips and quarter turns; None where there was one view.
        image: (C, H, W) float32, normalized as for the network; None where nobody kept it.
    """

    probabilities: np.ndarray
    class_map: np.ndarray
    classes: tuple[str, ...]
    difficult: np.ndarray | None = None
    views: np.ndarray | None = None
    image: np.ndarray | None = None


class Normalization(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How raw intensities become network input; stored in the model, applied alike in training and use.

    Attributes:
        low_percentile: Percentile of the whole plane that becomes 0.
        high_percentile: Percentile that becomes 1.
        per_channel: Percentiles of each channel on its own (True) or of all together (False).
        smallest_range: A channel whose range is below this fraction of the widest channel's is
            scaled by that share instead, so that an empty channel stays empty.
    """

    low_percentile: float = 1.0
    high_percentile: float = 99.8
    per_channel: bool = True
    smallest_range: float = 0.05


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
        in_channels: Channels that the network reads; a gray image is repeated to fill them.
        channels: Names of the channels of the training images where these were several that are no color, as in
            fluorescence; empty for gray and color images.
        normalization: How intensities were scaled.
        scale: Pixels of the network's grid per pixel of the image (0.5: it sees the image at half size).
        fit_side_px: Images are scaled to this shorter side unless it differs more than fourfold: for
            cut-outs that frame one cell, whatever their magnification; 0 for never.
        fit_objects: Whether images of objects much larger than those of training are shrunk to the known size.
        pixel_size_um: Pixel size of the training images, None if unknown.
        stride_px: The network's input must be a multiple of this.
        receptive_field_px: Radius beyond which no input pixel changes an output pixel; the tiles' halo.
        members: Networks in the file, whose probabilities are averaged.
        temperature: Class logits are divided by this before the softmax.
        instance: How objects are made; ignored for semantic models.
        steps: Repairs of the class map that belong to the model; none for models that tell objects apart.
        conditions: Values of the image attribute that the network is told, each a channel after the image's: 1
            everywhere for the value that holds, else 0.
        unknown: What these channels are where nothing is told: all 0, or for "mean" 1 / their number.
        training: Provenance.
        statistics: Of the training images.
        metrics: Validation results, name → value.
        trust: How results are judged; None in files without, whose verdicts are of the old kind.
        rounding: By which it may run in 8-bit integers; None in files for which nobody found that to be as accurate.
        parts: Of an ensemble of models that differ in more than their weights, the header of each; the network's own
            entries above are then the first's, and its weights are named ``part0.member0.…``.
    """

    name: str
    architecture: str
    heads: Heads
    classes: tuple[str, ...]
    in_channels: int
    stride_px: int
    receptive_field_px: int
    description: str = ""
    options: Mapping[str, Setting] = {}
    channels: tuple[str, ...] = ()
    colors: tuple[str, ...] = ()
    normalization: Normalization = Normalization()
    scale: float = 1.0
    fit_side_px: int = 0
    fit_objects: bool = False
    pixel_size_um: float | None = None
    members: int = 1
    temperature: float = 1.0
    instance: InstanceOptions = InstanceOptions()
    steps: tuple[Step, ...] = ()
    conditions: tuple[str, ...] = ()
    unknown: Unknown = "zeros"
    training: TrainingRecord = TrainingRecord()
    statistics: IntensityStatistics = IntensityStatistics()
    metrics: Mapping[str, float] = {}
    trust: TrustRecord | None = None
    rounding: RoundingRecord | None = None
    parts: tuple[ModelHeader, ...] = ()


@dataclass(frozen=True)
class Quality:
    """How far an image's result can be trusted.

    Attributes:
        count: Number of objects (of foreground regions in semantic results).
        mean_confidence: Mean over the pixels of objects of the largest class probability, in [0, 1]; NaN without
            objects. The background, which is sure nearly everywhere, is left out.
        expected_dice: Foreground Dice that calibrated probabilities promise, in [0, 1]; NaN without any foreground.
        verdict: "accept", "review" or "reject".
        why: The reason for the verdict, for a person.
        expected_f1: Expected F1 of the objects at IoU 0.5, in [0, 1]; NaN where the model cannot tell.
        expected_count: Expected number of objects in the image, missed ones included; NaN where the model cannot tell.
        expected_count_sd: Standard deviation of the true count about it.
        expected_iou: Of each class of pixels, NaN for one that is not there; empty where objects, not pixels, have
            classes.
        asks_views: Whether the mean of more views is worth its time: the result leaves doubt, or the image is of a
            kind that gains by it. That an image is unlike those of training is no reason.

    Example:
        >>> Quality(12, mean_confidence=0.98, expected_dice=0.93, verdict="accept", why="few doubtful objects").count
        12
    """

    count: int
    mean_confidence: float
    expected_dice: float
    verdict: Literal["accept", "review", "reject"]
    why: str
    expected_f1: float = math.nan
    expected_count: float = math.nan
    expected_count_sd: float = math.nan
    expected_iou: tuple[float, ...] = ()
    asks_views: bool = False


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
        scale: Pixels of the network's grid per pixel of the image.
        views: Ways to lay the image whose maps were averaged: 1, 4 or 8.
    """

    labels: np.ndarray
    classes: np.ndarray
    probabilities: np.ndarray
    difficulty: np.ndarray
    objects: Mapping[str, np.ndarray]
    quality: Quality
    scale: float = 1.0
    views: int = 1
