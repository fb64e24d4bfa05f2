"""How bright: gamma, contrast, inversion and uneven light."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ..types import Sample
from ._smooth import FEWEST_POINTS, SPREAD_KEPT, spline_field


@dataclass(frozen=True)
class Gamma:
    """Raise intensities to a power; negative values keep their sign.

    Attributes:
        p: Probability.
        low: Smallest exponent, drawn log-uniformly.
        high: Largest exponent.
    """

    p: float = 0.3
    low: float = 0.7
    high: float = 1.4

    def draw(self, rng: np.random.Generator, sample: Sample) -> float:
        """Draw the exponent."""
        return math.exp(rng.uniform(math.log(self.low), math.log(self.high)))

    def apply(self, sample: Sample, exponent: float) -> Sample:
        """Keeps 0 and 1 where they are, and the order of intensities."""
        image = np.copysign(np.abs(sample.image) ** np.float32(exponent), sample.image)
        return replace(sample, image=image)


@dataclass(frozen=True)
class ContrastParams:
    """Drawn gain about the image's mean, and the offset added."""

    gain: float
    offset: float


@dataclass(frozen=True)
class Contrast:
    """Stretch intensities about the image's mean, and shift them all.

    Attributes:
        p: Probability.
        low: Smallest gain, drawn log-uniformly.
        high: Largest gain.
        offset: Largest shift up or down, drawn uniformly.
    """

    p: float = 0.3
    low: float = 0.7
    high: float = 1.4
    offset: float = 0.1

    def draw(self, rng: np.random.Generator, sample: Sample) -> ContrastParams:
        """Draw gain and offset."""
        gain = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        return ContrastParams(gain, rng.uniform(-self.offset, self.offset))

    def apply(self, sample: Sample, params: ContrastParams) -> Sample:
        """``mean + gain × (image − mean) + offset``; the mean moves by the offset."""
        mean = float(sample.image.mean(dtype=np.float64))
        shift = np.float32(mean * (1 - params.gain) + params.offset)
        return replace(sample, image=sample.image * np.float32(params.gain) + shift)


@dataclass(frozen=True)
class Inversion:
    """Swap dark and bright: bright-field against fluorescence.

    Attributes:
        p: Probability.
    """

    p: float = 0.1

    def draw(self, rng: np.random.Generator, sample: Sample) -> None:
        """Nothing is left to chance."""

    def apply(self, sample: Sample, params: None) -> Sample:
        """``1 − image``."""
        return replace(sample, image=1 - sample.image)


@dataclass(frozen=True)
class Illumination:
    """Multiply by a smooth field, as uneven light does.

    Attributes:
        p: Probability.
        strength: Standard deviation of the field's logarithm, about; 0.2 is ± 20 %.
    """

    p: float = 0.2
    strength: float = 0.2

    def draw(self, rng: np.random.Generator, sample: Sample) -> np.ndarray:
        """Draw the control points of the field's logarithm, (4, 4)."""
        return rng.normal(0, self.strength / SPREAD_KEPT, (FEWEST_POINTS, FEWEST_POINTS))

    def apply(self, sample: Sample, points: np.ndarray) -> Sample:
        """The same field for every channel, positive everywhere."""
        height, width = sample.image.shape[-2:]
        return replace(sample, image=sample.image * np.exp(spline_field(points, (height, width))))
