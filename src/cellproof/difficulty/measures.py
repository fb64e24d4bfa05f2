"""All measures of an image's difficulty side by side, each in [0, 1] with 1 hardest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..checks import check_same_shape
from . import measure, names
from .confidence import confidence as confidence_map
from .confidence import difficult_pixels, difficulty_from_confidence, entropy, margin, mean_confidence


@dataclass(frozen=True)
class DifficultyMaps:
    """Measures of one image, (H, W) floats in [0, 1], 0 sure and 1 hardest.

    Attributes:
        confidence: Chance of error relative to a blind guess, (1 - f) / (1 - 1/C), f the largest probability.
        entropy: Of the class probabilities, in units of log C.
        margin: One minus the lead of the likeliest class over the second.
        tta: Disagreement between flips and quarter turns of the image; None where there was one view.
        ensemble: Disagreement between networks; None where there was one.
        difficult: (H, W) bool, the paper's map: f below its mean over the image.
        alpha: That mean.
        further: Those of files in ``difficulty`` that have a ``measure``, by name.
    """

    confidence: np.ndarray
    entropy: np.ndarray
    margin: np.ndarray
    tta: np.ndarray | None
    ensemble: np.ndarray | None
    difficult: np.ndarray
    alpha: float
    further: Mapping[str, np.ndarray] = field(default_factory=dict)

    def named(self) -> tuple[tuple[str, np.ndarray], ...]:
        """Name and map of every measure there is, in the order of the attributes; without the map of yes and no."""
        maps = [("confidence", self.confidence), ("entropy", self.entropy), ("margin", self.margin)]
        disagreement = [("tta", self.tta), ("ensemble", self.ensemble)]
        there = ((name, values) for name, values in disagreement if values is not None)
        return (*maps, *there, *self.further.items())


def difficulty_maps(
    probabilities: np.ndarray,
    *,
    tta: np.ndarray | None = None,
    ensemble: np.ndarray | None = None,
    within: np.ndarray | None = None,
) -> DifficultyMaps:
    """Every measure of one image.

    Args:
        probabilities: (C, H, W), C at least 2, summing to 1 over classes.
        tta: (H, W) disagreement between views, from `Poll` or `disagreement`; None without.
        ensemble: (H, W) disagreement between networks; None without.
        within: (H, W) bool, the pixels that the paper's mean runs over, see `mean_confidence`; None for all.

    Raises:
        InputError: the values are no probabilities, or shapes differ.

    References:
        Matsuzuki, Hotta (2020). VISIGRAPP. doi:10.5220/0009164203140318
    """
    sure = confidence_map(probabilities)
    for name, values in (("tta", tta), ("ensemble", ensemble)):
        if values is not None:
            check_same_shape(**{"probabilities of a class": sure, name: values})
    return DifficultyMaps(
        confidence=difficulty_from_confidence(sure, classes=len(probabilities)),
        entropy=entropy(probabilities),
        margin=margin(probabilities),
        tta=tta,
        ensemble=ensemble,
        difficult=difficult_pixels(sure, within=within),
        alpha=mean_confidence(sure, within=within),
        further={name: measure(name, probabilities) for name in names()},
    )
