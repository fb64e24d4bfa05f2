"""What a model's network sees and costs, beside the size of the objects that it is to learn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from torch import nn

from ...analysis.cost import activation_bytes, count_parameters, multiply_adds
from ...analysis.receptive_field import (
    diameter_px,
    effective_receptive_field,
    influence_map,
    layer_influence,
    levels,
    radius_px,
    reach_px,
)
from ...checks import InputError, UsageError
from ...data.description import Description
from ...data.index import Record
from ...recipe import DataConfig
from ...report.difficulty_pictures import Captioned, side_by_side
from ...report.overlay import difficulty_picture
from ...types import Sample
from ..collect import load_sample
from ..predict import Model, Predictor

LARGEST_INPUT_PX = 512
"""Edge of the input at which the effective receptive field is measured; more takes minutes."""

MEASURED_IMAGES = 24
"""Images whose objects are measured, spread over the set."""

SMALLEST_SUSPECT = 0.1
"""Objects smaller than this fraction of the theoretical receptive field are seen whole by any network of ours."""

LARGEST_DRAWN_PX = 384
"""Edge of the part of an image on which receptive fields are drawn."""

DRAWN_CELL_PX = 240
"""Edge of one field in a sheet."""


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
    spread = records[:: max(1, len(records) // MEASURED_IMAGES)]
    return diameter_of_largest(load_sample(record, description, DataConfig())[0] for record in spread)


def diameter_of_largest(samples: Iterable[Sample]) -> float:
    """Equivalent diameter in pixels of the largest object of some samples; 0 where none has any."""
    largest = 0
    for sample in samples:
        if sample.instances is not None:
            largest = max(largest, int(np.bincount(sample.instances.ravel())[1:].max(initial=0)))
    return float(np.sqrt(4 * largest / np.pi))


def what_it_sees(model: Model, records: Sequence[Record], description: Description) -> list[str]:
    """Sentences on what a model sees and costs, beside the largest object of a set.

    Args:
        model: From `load_model`.
        records: Of the set.
        description: What its masks mean.

    Raises:
        InputError: An image or mask cannot be used.
    """
    return describe_sight(model, sight_of(model), largest_diameter_px(records, description))


def size_warning(module: nn.Module, *, in_channels: int, largest_px: float, seed: int = 0) -> str:
    """A sentence where the largest object exceeds what a network that has not learned yet mostly sees.

    Training widens what a network sees, but hardly beyond twice that.

    Args:
        module: The network, with random or other start weights.
        in_channels: Channels that it reads.
        largest_px: Diameter of the largest object, in the network's pixels.
        seed: Random seed of the image on which it is measured.

    Returns:
        The sentence; empty where the object fits.
    """
    stated = 2 * int(getattr(module, "receptive_field_px", 0)) + 1
    if not stated or largest_px < SMALLEST_SUSPECT * stated:
        return ""
    stride = int(getattr(module, "stride", 1))
    side = -(-min(LARGEST_INPUT_PX, stated) // stride) * stride
    position = (side // 2, side // 2)
    influence = effective_receptive_field(
        module,
        in_channels=in_channels,
        size_px=(side, side),
        position=position,
        rng=np.random.default_rng(seed),
        images=1,
    )
    seen = diameter_px(influence, position=position)
    if largest_px <= seen:
        return ""
    return (
        f"the largest object measures {largest_px:.0f} px on the network's grid, more than the {seen:.0f} px that an "
        f"output pixel mostly sees before training ({stated} px at most); a smaller data.scale or a deeper network "
        "would see it whole"
    )


def draw_sight(model: Model, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The effective receptive field on an image: of several output pixels, and of one of them in every level.

    Args:
        model: From `load_model`; its first network is looked at.
        image: (C, H, W) as read; its middle is shown where it is large.

    Returns:
        Two sheets (H, W, 3) uint8. On the first, what acts on nine output pixels, with the diameter that holds 95 %;
        on the second, what acts on the middle one, in the image and in each level of the network in turn.

    Raises:
        InputError: Channels that the model does not read.
    """
    network, header = model.networks()[0], model.header
    prepared = Predictor.of_model(model).prepare(image)
    side = [min(LARGEST_DRAWN_PX, size) // header.stride_px * header.stride_px for size in prepared.shape[1:]]
    if 0 in side:
        raise InputError(f"the image measures {prepared.shape[1:]} px, expected at least {header.stride_px} a side")
    first = [(size - kept) // 2 for size, kept in zip(prepared.shape[1:], side, strict=True)]
    shown = prepared[:, first[0] : first[0] + side[0], first[1] : first[1] + side[1]].copy()
    rows, columns = ([kept * part // 6 for part in (1, 3, 5)] for kept in side)
    cells = []
    for position in product(rows, columns):
        influence = influence_map(network, shown, position=position)
        seen = diameter_px(influence, position=position)
        cells.append(_drawn(f"output pixel {position}: 95 % within {seen:.0f} px", shown, influence))
    middle = (rows[1], columns[1])
    layers = layer_influence(network, shown, position=middle, layers=list(levels(network, shown)))
    in_layers = [_drawn("image", shown, influence_map(network, shown, position=middle))]
    for name, influence in layers.items():
        enlarged = np.kron(influence, np.ones([-(-kept // n) for kept, n in zip(side, influence.shape, strict=True)]))
        caption = f"{name}: {influence.shape[0]} × {influence.shape[1]}"
        in_layers.append(_drawn(caption, shown, enlarged[: side[0], : side[1]]))
    return side_by_side(cells, columns=3), side_by_side(in_layers, columns=4)


def _drawn(caption: str, image: np.ndarray, influence: np.ndarray) -> Captioned:
    """Influence as a heat map over the image, on the scale of its root: it falls off fast."""
    strength = np.sqrt(influence / max(float(influence.max(initial=0)), np.finfo(float).tiny))
    return Captioned(caption, difficulty_picture(image, strength, max_px=DRAWN_CELL_PX))


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
