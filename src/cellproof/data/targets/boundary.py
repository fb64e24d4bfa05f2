"""Edges of objects."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter

from ...checks import check_labels, check_ndim
from ...types import Head, LossTerm
from ._objects import Objects

LOSS = (LossTerm("binary_cross_entropy", 1.0, "boundary"), LossTerm("dice", 0.5, "boundary"))
"""Edges are thin, most pixels are none: soft Dice besides the cross-entropy."""


def head() -> Head:
    """One channel: logit of "this pixel lies at an object's edge"."""
    return Head("boundary", activation="sigmoid")


def target(objects: Objects, head: Head) -> np.ndarray:
    """(1, H, W) float32, 1 on edges, else 0."""
    return boundary_map(objects.instances, ignored=objects.ignored)[np.newaxis].astype(np.float32)


def boundary_map(instances: np.ndarray, *, ignored: np.ndarray | None = None) -> np.ndarray:
    """Pixels of an object that have another object or the background among their eight neighbors.

    The image's own edge is no boundary, nor is that of pixels without annotation: an object that it
    cuts goes on behind it.

    Args:
        instances: (H, W) object ids, 0 background.
        ignored: (H, W) bool, pixels without annotation; None for none.

    Returns:
        (H, W) bool; all False where there is no object, or one that fills the image.
    """
    check_ndim(2, instances=instances)
    check_labels(instances=instances)
    # Ignored pixels are 0, never the highest; and with the largest id they are never the lowest.
    for_lowest = instances if ignored is None else np.where(ignored, instances.max(initial=0), instances)
    highest = maximum_filter(instances, size=3, mode="nearest")
    lowest = minimum_filter(for_lowest, size=3, mode="nearest")
    boundary: np.ndarray = (instances > 0) & (highest != lowest)
    return boundary
