"""Whether the certainty of a finished model can be believed: curves of its held-out images, for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...difficulty.calibration import reliability, risk_coverage
from ...inference.activate import Maps, tempered
from ...types import IGNORE, Sample, TrustRecord

MOST_PIXELS = 200_000
"""So many pixels, on a regular grid, stand for all."""

POINTS = 100
"""Of a curve of risk."""

Curve = tuple[Sequence[float], Sequence[float]]


@dataclass(frozen=True)
class Certainty:
    """What a model says of itself against what is true.

    Attributes:
        reliability: Name → mean of what was said, in bins, and what was true on average.
        risk: Name → fraction of the surest that is kept, in (0, 1], and the mean error in it.
    """

    reliability: Mapping[str, Curve] = field(default_factory=dict)
    risk: Mapping[str, Curve] = field(default_factory=dict)


def certainty_of(
    samples: Sequence[Sample], maps: Sequence[Maps], *, temperature: float, trust: TrustRecord | None
) -> Certainty:
    """Curves of pixels by their confidence, and of images by their expected F1 where there is a record.

    Args:
        samples: Held-out samples.
        maps: Of each, as the networks give them.
        temperature: That the finished model divides logits by.
        trust: Holds expected and true F1 of held-out images and degraded copies of them, out of sample.
    """
    probabilities, classes = annotated_pixels(samples, [tempered(one, temperature) for one in maps])
    said, given = probabilities.max(axis=0, initial=0), probabilities.argmax(axis=0) if len(probabilities) else classes
    right = given == classes
    means, risks = {}, {}
    for name, chosen in (("all pixels", given >= 0), ("pixels of predicted foreground", given > 0)):
        if chosen.any():
            means[name] = _means(said[chosen], right[chosen], bins=15)
    if said.size:
        risks["pixels, by their confidence"] = _thinned(*risk_coverage(said, 1.0 - right))
    if trust is not None and trust.held_out_expected:
        expected, true = np.array(trust.held_out_expected), np.array(trust.held_out_true)
        means["images and degraded copies: expected F1"] = _means(expected, true, bins=10)
        risks["images, by their expected F1: 1 - F1"] = _thinned(*risk_coverage(expected, 1 - true))
    return Certainty(means, risks)


def annotated_pixels(samples: Sequence[Sample], maps: Sequence[Maps]) -> tuple[np.ndarray, np.ndarray]:
    """Annotated pixels of a regular grid: (K, n) class probabilities and (n,) classes."""
    total = sum(sample.class_map.size for sample in samples)
    step = max(1, int(np.sqrt(total / MOST_PIXELS)))
    probabilities, classes = [], []
    for sample, one in zip(samples, maps, strict=True):
        seen = sample.class_map[::step, ::step]
        annotated = seen != IGNORE
        probabilities.append(one.probabilities[:, ::step, ::step][:, annotated])
        classes.append(seen[annotated])
    if not classes:
        return np.zeros((0, 0), np.float32), np.zeros(0, np.uint8)
    return np.concatenate(probabilities, axis=1), np.concatenate(classes)


def _means(said: np.ndarray, true: np.ndarray, *, bins: int) -> Curve:
    found = reliability(said, true, bins=bins)
    filled = found.count > 0
    return found.confidence[filled].tolist(), found.accuracy[filled].tolist()


def _thinned(coverage: np.ndarray, risk: np.ndarray) -> Curve:
    places = np.unique(np.linspace(0, len(coverage) - 1, min(POINTS, len(coverage))).round().astype(int))
    return coverage[places].tolist(), risk[places].tolist()
