"""What a model's network sees and costs, beside the size of the objects that it is to learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...analysis.cost import activation_bytes, count_parameters, multiply_adds
from ...analysis.receptive_field import effective_receptive_field, radius_px, reach_px
from ...checks import UsageError
from ...data.description import Description
from ...data.index import Record
from ...recipe import DataConfig
from ..collect import load_sample
from ..predict import Model

LARGEST_INPUT_PX = 512
"""Edge of the input at which the effective receptive field is measured; more takes minutes."""

MEASURED_IMAGES = 24
"""Images whose objects are measured, spread over the set."""


@dataclass(frozen=True)
class Sight:
    """What one network of a model sees and costs.

    Attributes:
        parameters: Learned numbers.
        multiply_adds_per_pixel: Of one forward pass.
        activation_bytes_per_pixel: Most memory at one moment of a forward pass, without the parameters.
        stated_px: Radius beyond which no input pixel acts on an output pixel.
        reach_px: Largest distance at which one was found to act.
        effective_px: Radius that holds 95 % of the gradient of an output pixel, over random images.
    """

    parameters: int
    multiply_adds_per_pixel: float
    activation_bytes_per_pixel: float
    stated_px: int
    reach_px: int
    effective_px: float


def sight_of(model: Model, *, images: int = 4, seed: int = 0) -> Sight:
    """Measure the first network of a model.

    Args:
        model: From `load_model`.
        images: Random images over which the effective receptive field is averaged.
        seed: Random seed of these.

    Raises:
        UsageError: A detector, or an ensemble of different models.

    Example:
        >>> from cellproof.workflows.predict import load_model
        >>> seen = sight_of(load_model("nuclei"), images=1)
        >>> 0 < seen.effective_px < seen.stated_px
        True
    """
    network, header = model.networks()[0], model.header
    if header.heads.is_detector or header.parts:
        raise UsageError(
            f"model {header.name!r} is {'an ensemble' if header.parts else 'a detector'}; what a pixel sees is "
            "measured on single dense networks only",
            argument="model",
        )
    side = min(LARGEST_INPUT_PX, 2 * header.receptive_field_px + 1)
    side = -(-side // header.stride_px) * header.stride_px
    shape, position = (1, header.in_channels, side, side), (side // 2, side // 2)
    influence = effective_receptive_field(
        network,
        in_channels=header.in_channels,
        size_px=(side, side),
        position=position,
        rng=np.random.default_rng(seed),
        images=images,
    )
    return Sight(
        parameters=count_parameters(network),
        multiply_adds_per_pixel=multiply_adds(network, shape) / side**2,
        activation_bytes_per_pixel=activation_bytes(network, shape) / side**2,
        stated_px=header.receptive_field_px,
        reach_px=reach_px(influence, position=position),
        effective_px=radius_px(influence, position=position),
    )


def largest_diameter_px(records: Sequence[Record], description: Description) -> float:
    """Equivalent diameter of the largest object in some images of a set, in pixels of the images; 0 without objects.

    Raises:
        InputError: An image or mask cannot be used.
    """
    largest = 0
    for record in records[:: max(1, len(records) // MEASURED_IMAGES)]:
        sample, _ = load_sample(record, description, DataConfig())
        if sample.instances is not None:
            largest = max(largest, int(np.bincount(sample.instances.ravel())[1:].max(initial=0)))
    return float(np.sqrt(4 * largest / np.pi))


def describe_sight(model: Model, sight: Sight, diameter_px: float) -> list[str]:
    """Sentences on what a model sees, the last a warning where the largest object exceeds it.

    Args:
        model: From `load_model`.
        sight: Of it, from `sight_of`.
        diameter_px: Of the largest object, from `largest_diameter_px`.
    """
    header = model.header
    sentences = [
        f"model {header.name}: {sight.parameters / 1e6:.2f} M parameters, {sight.multiply_adds_per_pixel:,.0f} "
        f"multiply-adds and {sight.activation_bytes_per_pixel:,.0f} bytes of activations per pixel; an output pixel "
        f"sees {sight.stated_px} px around it, {sight.effective_px:.0f} px hold 95 % of what acts on it"
    ]
    seen = 2 * sight.effective_px / header.scale
    if diameter_px > seen:
        sentences.append(
            f"the largest object measures {diameter_px:.0f} px, more than the {seen:.0f} px that an output pixel "
            "mostly sees; choose a smaller data.scale, or a deeper network"
        )
    return sentences
