"""How clean and how sharp: noise, blur and sharpening."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ..types import Sample


@dataclass(frozen=True)
class NoiseParams:
    """Drawn strength, and the seed from which the noise itself is made again."""

    strength: float
    seed: int


@dataclass(frozen=True)
class GaussianNoise:
    """Noise of the camera: equally strong everywhere.

    Attributes:
        p: Probability.
        largest_sd: Largest standard deviation, drawn uniformly …
        smallest_sd: … from this one.
    """

    p: float = 0.3
    largest_sd: float = 0.06
    smallest_sd: float = 0.0

    def draw(self, rng: np.random.Generator, sample: Sample) -> NoiseParams:
        """Draw standard deviation and seed."""
        return _draw_noise(rng, self.largest_sd, self.smallest_sd)

    def apply(self, sample: Sample, params: NoiseParams) -> Sample:
        """Independent in every pixel and channel."""
        return replace(sample, image=sample.image + np.float32(params.strength) * _normal(params, sample.image.shape))


@dataclass(frozen=True)
class ShotNoise:
    """Noise of the light: its variance grows with the signal, as of counted photons; none where the image is dark.

    Attributes:
        p: Probability.
        largest_sd: Largest standard deviation at intensity 1, drawn uniformly from 0.
    """

    p: float = 0.2
    largest_sd: float = 0.1

    def draw(self, rng: np.random.Generator, sample: Sample) -> NoiseParams:
        """Draw standard deviation at intensity 1, and seed."""
        return _draw_noise(rng, self.largest_sd)

    def apply(self, sample: Sample, params: NoiseParams) -> Sample:
        """The normal approximation of Poisson noise."""
        sd = np.float32(params.strength) * np.sqrt(np.maximum(sample.image, 0))
        return replace(sample, image=sample.image + sd * _normal(params, sample.image.shape))


@dataclass(frozen=True)
class Blur:
    """Gaussian blur, as out of focus.

    Attributes:
        p: Probability.
        low_px: Smallest standard deviation, drawn uniformly.
        high_px: Largest standard deviation.
    """

    p: float = 0.2
    low_px: float = 0.3
    high_px: float = 1.2

    def draw(self, rng: np.random.Generator, sample: Sample) -> float:
        """Draw the standard deviation in px."""
        return rng.uniform(self.low_px, self.high_px)

    def apply(self, sample: Sample, sigma_px: float) -> Sample:
        """Channel by channel, mirrored at the edges."""
        return replace(sample, image=_blurred(sample.image, sigma_px))


@dataclass(frozen=True)
class Sharpen:
    """Unsharp mask: the difference to the blurred image, added.

    Attributes:
        p: Probability.
        largest_amount: Largest fraction of the difference, drawn uniformly from 0.
        sigma_px: Standard deviation of the blur.
    """

    p: float = 0.1
    largest_amount: float = 1.0
    sigma_px: float = 1.0

    def draw(self, rng: np.random.Generator, sample: Sample) -> float:
        """Draw the share."""
        return rng.uniform(0, self.largest_amount)

    def apply(self, sample: Sample, amount: float) -> Sample:
        """``image + amount × (image − blurred)``."""
        difference = sample.image - _blurred(sample.image, self.sigma_px)
        return replace(sample, image=sample.image + np.float32(amount) * difference)


@dataclass(frozen=True)
class MedianSharpen:
    """Median blur, and then the sharpened image blended in: specks vanish and edges stay.

    Attributes:
        p: Probability.
        size_px: Edge of the median's window.
        largest_alpha: Largest fraction of the sharpened image, drawn uniformly from 0.
    """

    p: float = 0.2
    size_px: int = 3
    largest_alpha: float = 1.0

    def draw(self, rng: np.random.Generator, sample: Sample) -> float:
        """Draw the fraction."""
        return rng.uniform(0, self.largest_alpha)

    def apply(self, sample: Sample, alpha: float) -> Sample:
        """``(1 - alpha) × median + alpha × sharpened median``; sharpened is 9 × a pixel less its eight neighbors."""
        smooth = ndimage.median_filter(sample.image, (1, self.size_px, self.size_px), mode="mirror")
        around = 9 * ndimage.uniform_filter(smooth, (0, 3, 3), mode="mirror") - smooth
        sharpened = 9 * smooth - around
        return replace(sample, image=smooth + np.float32(alpha) * (sharpened - smooth))


def _draw_noise(rng: np.random.Generator, largest_sd: float, smallest_sd: float = 0.0) -> NoiseParams:
    return NoiseParams(rng.uniform(smallest_sd, largest_sd), int(rng.integers(2**63)))


def _normal(params: NoiseParams, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(params.seed).standard_normal(shape, dtype=np.float32)


def _blurred(image: np.ndarray, sigma_px: float) -> np.ndarray:
    blurred: np.ndarray = ndimage.gaussian_filter(image, (0, sigma_px, sigma_px), truncate=3)
    return blurred
