"""A row of intensity changes, each happening with its own probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..checks import InputError
from ..types import Sample


class Step(Protocol):
    """One intensity change: see `tone`, `noise` and `color`."""

    @property
    def p(self) -> float:
        """Probability that it happens, in [0, 1]."""
        ...

    def draw(self, rng: np.random.Generator, sample: Sample) -> Any:
        """Draw how strongly it acts."""
        ...

    def apply(self, sample: Sample, params: Any) -> Sample:
        """Act as drawn, on the image alone."""
        ...


@dataclass(frozen=True, eq=False)
class Drawn:
    """One step that happens.

    Attributes:
        step: Its place in the chain.
        params: What it drew.
    """

    step: int
    params: Any


@dataclass(frozen=True, eq=False)
class IntensityParams:
    """The steps that happen, in order; empty where the image stays."""

    drawn: tuple[Drawn, ...]


@dataclass(frozen=True)
class Intensity:
    """Intensity changes in a row; labels pass through untouched, the same objects.

    Images are float32, about [0, 1]; values may leave that range and are not cut off.

    Attributes:
        steps: The changes, in the order in which they act.
    """

    steps: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        for step in self.steps:
            if not 0 <= step.p <= 1:
                raise InputError(f"p of {step} is {step.p}, expected a probability in [0, 1]")

    def draw(self, rng: np.random.Generator, sample: Sample) -> IntensityParams:
        """Draw which steps happen, and how strongly."""
        return IntensityParams(
            tuple(
                Drawn(place, step.draw(rng, sample)) for place, step in enumerate(self.steps) if rng.random() < step.p
            )
        )

    def apply(self, sample: Sample, params: IntensityParams) -> Sample:
        """Act as drawn, one step after the other."""
        for drawn in params.drawn:
            sample = self.steps[drawn.step].apply(sample, drawn.params)
        return sample
