"""What a plan must know of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...types import IGNORE, Sample


@dataclass(frozen=True)
class Survey:
    """Facts about a data set that a plan rests on.

    Attributes:
        images: Number of annotated training images, validation included.
        channels: Largest number of channels of an image.
        side_px: Median over images of the shorter side.
        diameters_px: 5th, 50th and 95th percentile of object diameters; empty for semantic data.
        touching: Share of objects that touch another one.
        class_shares: Share of annotated pixels of each class.
    """

    images: int
    channels: int
    side_px: float
    diameters_px: tuple[float, ...] = ()
    touching: float = 0.0
    class_shares: tuple[float, ...] = ()


def survey(samples: Sequence[Sample], *, images: int, classes: int) -> Survey:
    """Facts about a data set from some of its samples.

    Args:
        samples: At least one; taken as they come for the whole.
        images: Number of images in all.
        classes: Number of classes, background included.
    """
    shares = np.zeros(classes)
    diameters: list[np.ndarray] = []
    touching: list[np.ndarray] = []
    for sample in samples:
        annotated = sample.class_map[sample.class_map != IGNORE]
        shares += np.bincount(annotated, minlength=classes)[:classes] / max(1, annotated.size)
        if sample.instances is not None:
            areas = np.bincount(sample.instances.ravel())[1:]
            diameters.append(np.sqrt(4 * areas[areas > 0] / np.pi))
            touching.append(_touching(sample.instances))
    every_diameter = np.concatenate(diameters) if diameters else np.zeros(0)
    every_touch = np.concatenate(touching) if touching else np.zeros(0)
    return Survey(
        images=images,
        channels=max(sample.image.shape[0] for sample in samples),
        side_px=float(np.median([min(sample.class_map.shape) for sample in samples])),
        diameters_px=tuple(float(d) for d in np.percentile(every_diameter, (5, 50, 95))) if every_diameter.size else (),
        touching=float(every_touch.mean()) if every_touch.size else 0.0,
        class_shares=tuple(float(share) for share in shares / len(samples)),
    )


def _touching(instances: np.ndarray) -> np.ndarray:
    """Whether each object has a 4-neighbor pixel of another object, one value an object."""
    ids = np.unique(instances[instances > 0])
    touching: set[int] = set()
    for first, second in (
        (instances[1:], instances[:-1]),
        (instances[:, 1:], instances[:, :-1]),
    ):
        pairs = (first != second) & (first > 0) & (second > 0)
        touching.update(first[pairs].tolist(), second[pairs].tolist())
    return np.isin(ids, list(touching))
