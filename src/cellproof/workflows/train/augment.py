"""The augmentation that a recipe describes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from ...augment.color import ChannelJitter, Grayscale, Hue, Saturation
from ...augment.compose import Augmentation
from ...augment.geometric import Geometric
from ...augment.intensity import Intensity, Step
from ...augment.noise import Blur, GaussianNoise, MedianSharpen, Sharpen, ShotNoise
from ...augment.stain import StainJitter
from ...augment.tone import Contrast, Gamma, Illumination, Inversion
from ...checks import InputError
from ...recipe import AugmentConfig, AugmentStep

NAMED: Mapping[str, Callable[..., Any]] = {
    "gaussian_noise": GaussianNoise,
    "median_sharpen": MedianSharpen,
    "stain": StainJitter,
}
"""Steps that a recipe adds by name."""


def augmentation(config: AugmentConfig, *, patch_px: int, channels: int, exact: bool) -> Augmentation:
    """The augmentation that a recipe describes; color steps only for three channels.

    Args:
        config: Ranges and probabilities.
        patch_px: Edge of a patch.
        channels: Of the samples.
        exact: Only flips and quarter turns, which copy pixels: a fraction of such patches keeps edges where
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
    steps += [named_step(step) for step in config.steps]
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
        rotate_degrees=config.rotate_degrees,
        rotate_p=config.rotate_probability,
        scale=config.scale,
        scale_p=config.scale_probability,
        shear=config.shear,
        anisotropy=config.anisotropy,
        elastic_px=config.elastic_px,
        elastic_least_px=config.elastic_least_px,
        elastic_sigma_px=config.elastic_sigma_px,
        foreground_bias=config.foreground_bias,
    )
    return Augmentation(geometric, Intensity(tuple(steps)))


def named_step(step: AugmentStep) -> Step:
    """The step of a name.

    Raises:
        InputError: There is none, or it takes other options.

    Example:
        >>> named_step(AugmentStep("median_sharpen", {"p": 0.2})).p
        0.2
    """
    if step.name not in NAMED:
        raise InputError(f"no augmentation step {step.name!r}; there: {', '.join(NAMED)}")
    make = NAMED[step.name]
    known = [field.name for field in fields(make)]  # type: ignore[arg-type]  # each is a dataclass
    for option in step.options:
        if option not in known:
            raise InputError(f"augmentation step {step.name!r} has no option {option!r}; there: {', '.join(known)}")
    made: Step = make(**step.options)
    return made
