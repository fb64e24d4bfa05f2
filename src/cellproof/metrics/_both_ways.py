"""Averages over objects of both sides, weighted by area: the reference's, then the prediction's, then their mean."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import astuple, dataclass

import numpy as np

from .objects import Overlap


@dataclass(frozen=True)
class Side:
    """Sums over the objects of one side, each weighted by its area; they add up over images.

    Attributes:
        area_px: Pixels of all objects.
        similar: Sum of area × similarity, in [0, ``area_px``].
        distant: Sum of area × distance, in pixels.
    """

    area_px: float = 0.0
    similar: float = 0.0
    distant: float = 0.0

    def __add__(self, other: Side) -> Side:
        """Sums over the images of both."""
        return Side(self.area_px + other.area_px, self.similar + other.similar, self.distant + other.distant)


@dataclass(frozen=True)
class BothWays:
    """Sums of both sides."""

    reference: Side = Side()
    prediction: Side = Side()

    def __add__(self, other: BothWays) -> BothWays:
        """Sums over the images of both."""
        return BothWays(self.reference + other.reference, self.prediction + other.prediction)

    @property
    def similarity(self) -> float:
        """Mean of both sides' averages, in [0, 1]; a side without objects is left out, NaN without any."""
        return _mean((side.similar, side.area_px) for side in (self.reference, self.prediction))

    @property
    def distance(self) -> float:
        """The same of the distances, in pixels."""
        return _mean((side.distant, side.area_px) for side in (self.reference, self.prediction))

    @property
    def flat(self) -> np.ndarray:
        """(6,) float64."""
        return np.array([*astuple(self.reference), *astuple(self.prediction)])

    @classmethod
    def of_flat(cls, flat: np.ndarray) -> BothWays:
        """From `flat`."""
        return cls(Side(*map(float, flat[:3])), Side(*map(float, flat[3:])))


def best_partners(overlap: Overlap) -> tuple[np.ndarray, np.ndarray]:
    """Place of the object of the other side with the largest common area; the first of several, -1 for none.

    Returns:
        (n,) for the reference objects, (m,) for the predicted ones.

    Example:
        >>> from .objects import overlap
        >>> of_reference, of_prediction = best_partners(overlap(np.array([[1, 1, 2, 0]]), np.array([[1, 1, 1, 2]])))
        >>> of_reference.tolist(), of_prediction.tolist()
        ([0, -1], [0, 0])
    """
    found = []
    for side, length in ((0, len(overlap.reference_ids)), (1, len(overlap.prediction_ids))):
        partners = np.full(length, -1, np.int64)
        # Ascending areas, of equal ones the first last: what is written last stays.
        order = np.lexsort((-overlap.pairs[:, 1 - side], overlap.shared_px))
        partners[overlap.pairs[order, side]] = overlap.pairs[order, 1 - side]
        found.append(partners)
    return found[0], found[1]


def _mean(sides: Iterable[tuple[float, float]]) -> float:
    averages = [total / weight for total, weight in sides if weight]
    return float(np.mean(averages)) if averages else math.nan
