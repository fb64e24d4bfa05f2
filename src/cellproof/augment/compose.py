"""Geometry, then intensity: the whole augmentation of a training sample."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..types import Sample
from .geometric import Geometric, GeometricParams
from .intensity import Intensity, IntensityParams


@dataclass(frozen=True, eq=False)
class AugmentationParams:
    """Everything that was drawn for one patch."""

    geometric: GeometricParams
    intensity: IntensityParams


@dataclass(frozen=True)
class Augmentation:
    """Cut a patch, then change its brightness, noise and colors.

    The same generator state gives the same patch bit for bit.
    """

    geometric: Geometric = field(default_factory=Geometric)
    intensity: Intensity = field(default_factory=Intensity)

    def draw(self, rng: np.random.Generator, sample: Sample) -> AugmentationParams:
        """Draw both parts for a sample."""
        return AugmentationParams(self.geometric.draw(rng, sample), self.intensity.draw(rng, sample))

    def apply(self, sample: Sample, params: AugmentationParams) -> Sample:
        """The patch that the parameters describe; always the same for the same sample and parameters."""
        return self.intensity.apply(self.geometric.apply(sample, params.geometric), params.intensity)

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Draw and apply."""
        return self.apply(sample, self.draw(rng, sample))
