"""The sections of a recipe, as frozen structs; rooms get plain arguments, never these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ..types import LossTerm, Normalization, Setting, Unknown

Count = Annotated[int, Meta(ge=1)]

Share = Annotated[float, Meta(ge=0, le=1)]

NotNegative = Annotated[float, Meta(ge=0)]

Positive = Annotated[float, Meta(gt=0)]


class DataConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is learned from.

    Attributes:
        in_channels: Channels of the network's input.
        scale: Pixels of the network's grid per pixel of an image.
        fit_side_px: Cut-outs are scaled to this shorter side when they are segmented; 0 for never.
        fit_objects: Whether images of much larger objects are shrunk when they are segmented.
        validation: Share held out where the data have no val split.
        balance: Attribute whose values are drawn more evenly than they occur; "" for none.
        balance_power: Values are drawn in proportion to (their number of images) ** this; 1 as
            they occur, 0 all alike.
        area_power: An image is drawn in proportion to its area ** this …
        object_power: … times (its number of objects, at least 1) ** this.
        condition: Attribute of the images that the network is told, one constant channel per value; "" for none.
        conditions: Its values, in the order of the channels; found out from the data where empty.
        skip_unseen: Whether images without a value, and held-out images of a value that the network did not learn from,
            are left out; they are refused otherwise.
        condition_dropout: Fraction of patches whose value is withheld, so that the network also works without it; more
            than 0, and validation chooses the moment that is best with the value and without.
        unknown: What the channels are where the value is withheld: "zeros", or "mean", 1 / their number.
        normalization: How intensities are scaled.
    """

    in_channels: Count = 1
    scale: Positive = 1.0
    fit_side_px: Annotated[int, Meta(ge=0)] = 0
    fit_objects: bool = False
    validation: Annotated[float, Meta(gt=0, lt=1)] = 0.15
    balance: str = ""
    balance_power: NotNegative = 0.5
    area_power: NotNegative = 0.5
    object_power: NotNegative = 0.0
    condition: str = ""
    conditions: tuple[str, ...] = ()
    skip_unseen: bool = False
    condition_dropout: Share = 0.1
    unknown: Unknown = "zeros"
    normalization: Normalization = Normalization()

    @property
    def network_channels(self) -> int:
        """Channels that the network reads: the image's, then one per value of the condition."""
        return self.in_channels + len(self.conditions)


class ModelConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which network.

    Attributes:
        architecture: A file in ``models``.
        options: Keyword arguments of its ``build``, besides the channels.
        init: Model whose weights are the start, "" for random ones.
        half_precision: Whether the model file holds 16-bit floats.
    """

    architecture: str = "unet"
    options: Mapping[str, Setting] = {}
    init: str = ""
    half_precision: bool = False


class HeadConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One output besides the classes.

    Attributes:
        name: A file in ``data/targets``: boundary, distance, flows, star_convex.
        options: Keyword arguments of its ``head``.
    """

    name: str
    options: Mapping[str, Setting] = {}


class LossConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is minimized.

    Attributes:
        terms: Terms of the sum. An output on which none is named gets the terms of its own file, the classes get
            cross-entropy and soft Dice.
        balance_classes: Cross-entropy weights are (fraction of the class) ** -this; 0 for none.
        auxiliary: What the auxiliary outputs of a network in training count together, where it has any; "sum": each as
            much as the output.
    """

    terms: tuple[LossTerm, ...] = ()
    balance_classes: NotNegative = 0.0
    auxiliary: NotNegative | Literal["sum"] = 0.5


class AugmentStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An intensity change with options of its own.

    Attributes:
        name: "gaussian_noise", "median_sharpen" or "stain".
        options: Fields of its class in ``augment`` that differ from their defaults, ``p`` among them.
    """

    name: str
    options: Mapping[str, Setting] = {}


class AugmentConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ranges and probabilities of the augmentation; see `augment`.

    Attributes:
        exact: Share of patches that are only flipped and turned by quarters, so that no pixel is resampled.
        flip: Whether to mirror.
        rotate: Angles of the other patches.
        rotate_degrees: Their largest angle either way where any may be drawn.
        rotate_probability: Fraction of them that is turned.
        scale: Their smallest and largest magnification.
        scale_probability: Fraction of them that is magnified.
        shear: Their largest shear.
        anisotropy: Their largest stretch of one axis, less 1.
        elastic_px: Standard deviation of their displacement.
        elastic_least_px: Where given, the standard deviation is drawn from here up to ``elastic_px``.
        elastic_sigma_px: Distance of its control points.
        foreground_bias: Share of patches centerd on a class other than the first.
        gamma: Largest exponent, less 1.
        contrast: Largest gain, less 1.
        brightness: Largest shift.
        noise: Largest standard deviation.
        blur_px: Largest standard deviation of a blur.
        color: Largest gain of one color channel, less 1; hue and saturation in proportion.
        grayscale: Probability of removing color.
        invert: Probability of swapping dark and bright.
        illumination: Strength of uneven light.
        probability: Of each of the intensity changes.
        steps: Further intensity changes, each with its own probability, that act last.
    """

    exact: Share = 0.3
    flip: bool = True
    rotate: Literal["none", "quarter", "any"] = "any"
    rotate_degrees: Annotated[float, Meta(gt=0, le=180)] = 180.0
    rotate_probability: Share = 1.0
    scale: tuple[Positive, Positive] = (0.8, 1.25)
    scale_probability: Share = 1.0
    shear: NotNegative = 0.0
    anisotropy: NotNegative = 0.1
    elastic_px: NotNegative = 0.0
    elastic_least_px: NotNegative | None = None
    elastic_sigma_px: Positive = 64.0
    foreground_bias: Share = 0.5
    gamma: NotNegative = 0.3
    contrast: NotNegative = 0.2
    brightness: NotNegative = 0.1
    noise: NotNegative = 0.05
    blur_px: NotNegative = 1.0
    color: NotNegative = 0.0
    grayscale: Share = 0.0
    invert: Share = 0.0
    illumination: NotNegative = 0.0
    probability: Share = 0.3
    steps: tuple[AugmentStep, ...] = ()


class TrainingConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The loop; see `training.loop.LoopOptions`, plus the patch and the batch."""

    patch_px: Count = 256
    batch: Count = 4
    steps: Count = 5000
    validate_every: Count = 500
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: Positive = 1e-3
    weight_decay: NotNegative = 1e-2
    schedule: Literal["constant", "cosine", "step"] = "cosine"
    warmup: Annotated[float, Meta(ge=0, lt=1)] = 0.02
    drop_every: Positive = 0.2
    drop: Share = 0.5
    horizon: Count | None = None
    cooldown: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    clip_norm: Positive = 1.0
    average_decay: Annotated[float, Meta(ge=0, lt=1)] = 0.998
    precision: Literal["auto", "f32", "bf16"] = "auto"
    patience: Count | None = None
    validation_pixels: Count = 16_000_000
