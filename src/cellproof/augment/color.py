"""Which colors: gain of each channel, hue, saturation and grayscale."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ..checks import InputError
from ..types import Sample

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


@dataclass(frozen=True, eq=False)
class ChannelJitterParams:
    """Drawn gains and offsets, each (C,) float32."""

    gains: np.ndarray
    offsets: np.ndarray


@dataclass(frozen=True)
class ChannelJitter:
    """Stretch and shift every channel on its own, as stains and lamps differ; any number of channels.

    Attributes:
        p: Probability.
        gain: Largest gain less 1, drawn log-uniformly in [1/(1+gain), 1+gain].
        offset: Largest shift up or down, drawn uniformly.
    """

    p: float = 0.3
    gain: float = 0.2
    offset: float = 0.05

    def draw(self, rng: np.random.Generator, sample: Sample) -> ChannelJitterParams:
        """Draw a gain and an offset for every channel."""
        channels = sample.image.shape[:1]
        largest = math.log1p(self.gain)
        gains = np.exp(rng.uniform(-largest, largest, channels)).astype(np.float32)
        offsets = rng.uniform(-self.offset, self.offset, channels).astype(np.float32)
        return ChannelJitterParams(gains, offsets)

    def apply(self, sample: Sample, params: ChannelJitterParams) -> Sample:
        """``gain × channel + offset``."""
        image = sample.image * params.gains[:, None, None] + params.offsets[:, None, None]
        return replace(sample, image=image)


@dataclass(frozen=True)
class Hue:
    """Turn the colors of an RGB image about the gray axis; gray pixels and every pixel's mean stay.

    Attributes:
        p: Probability.
        degrees: Largest turn either way, drawn uniformly.
    """

    p: float = 0.3
    degrees: float = 20.0

    def draw(self, rng: np.random.Generator, sample: Sample) -> float:
        """Draw the angle in degrees."""
        return rng.uniform(-self.degrees, self.degrees)

    def apply(self, sample: Sample, degrees: float) -> Sample:
        """One 3 × 3 rotation (Rodrigues) for all pixels.

        Raises:
            InputError: The image has not three channels.
        """
        _check_rgb(sample.image, "Hue")
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees)) / math.sqrt(3)
        cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
        matrix = cos * np.eye(3) + sin * cross + (1 - cos) / 3
        return replace(sample, image=_mixed(matrix, sample.image))


@dataclass(frozen=True)
class Saturation:
    """Move the colors of an RGB image away from gray, or toward it; luma stays.

    Attributes:
        p: Probability.
        low: Smallest factor, 0 is gray; drawn uniformly.
        high: Largest factor.
    """

    p: float = 0.3
    low: float = 0.6
    high: float = 1.4

    def draw(self, rng: np.random.Generator, sample: Sample) -> float:
        """Draw the factor."""
        return rng.uniform(self.low, self.high)

    def apply(self, sample: Sample, factor: float) -> Sample:
        """``luma + factor × (image − luma)``.

        Raises:
            InputError: The image has not three channels.
        """
        _check_rgb(sample.image, "Saturation")
        matrix = factor * np.eye(3) + (1 - factor) * _LUMA
        return replace(sample, image=_mixed(matrix, sample.image))


@dataclass(frozen=True)
class Grayscale:
    """Replace the colors of an RGB image by their luma, repeated in all three channels.

    Attributes:
        p: Probability.
    """

    p: float = 0.1

    def draw(self, rng: np.random.Generator, sample: Sample) -> None:
        """Nothing is left to chance."""

    def apply(self, sample: Sample, params: None) -> Sample:
        """Three equal channels.

        Raises:
            InputError: The image has not three channels.
        """
        _check_rgb(sample.image, "Grayscale")
        gray = np.tensordot(_LUMA, sample.image, axes=1)
        return replace(sample, image=np.repeat(gray[None], 3, axis=0))


def _check_rgb(image: np.ndarray, step: str) -> None:
    """Refuse images that have not three channels.

    Raises:
        InputError: ``Hue needs 3 channels, the image has 1; …``.
    """
    if image.shape[0] != 3:
        raise InputError(f"{step} needs 3 channels, the image has {image.shape[0]}; leave that step out")


def _mixed(matrix: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Every pixel's color times a 3 × 3 matrix."""
    mixed: np.ndarray = (matrix.astype(np.float32) @ image.reshape(3, -1)).reshape(image.shape)
    return mixed
