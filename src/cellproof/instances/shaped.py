"""Objects that a detector proposes, in the shape that class probabilities give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from skimage.segmentation import watershed

from ..types import InstanceOptions, Setting
from .components import label_components

NEEDS = ("detections",)

TUNED: Mapping[str, Sequence[Setting]] = {}

ON_REQUEST = True
"""It is for ensembles of a detector with dense networks, which nothing is tuned for."""

SCORE = 0.5
"""Least score of a proposal, where the option ``score`` does not say."""


def separate(maps: Mapping[str, np.ndarray], foreground: np.ndarray, options: InstanceOptions) -> np.ndarray:
    """Divide the foreground among proposed objects.

    Each proposal whose pixels are mostly foreground grows from these through the foreground until it meets another;
    the boundary probability is a wall where there is one. Proposals that are mostly background are none. Pieces of the
    foreground that nothing was proposed for are objects of their own, unless the option ``unproposed`` is false.

    Args:
        maps: "detections" (channels, H, W), number of each pixel's owner and its score; perhaps "boundary" (1, H, W).
        foreground: (H, W) bool, by the mean probability of all networks.
        options: May hold ``score`` and ``unproposed``.

    Returns:
        (H, W) int32; 0 exactly outside of the foreground, where pieces without a proposal are kept.

    Example:
        >>> owner = np.array([[1, 1, 0, 0, 0, 0, 2]])
        >>> foreground = np.array([[True, True, True, False, True, False, False]])
        >>> maps = {"detections": np.stack([owner, 0.9 * (owner > 0)])}
        >>> separate(maps, foreground, InstanceOptions()).tolist()
        [[1, 1, 1, 0, 3, 0, 0]]
    """
    owner, score = maps["detections"][:2]
    proposed = np.where(score >= float(options.options.get("score", SCORE)), owner, 0).astype(np.int32)
    areas = np.bincount(proposed.ravel())
    inside = np.bincount(proposed[foreground], minlength=areas.size)
    kept = inside * 2 >= areas
    kept[0] = False
    seeds = np.where(kept[proposed] & foreground, proposed, 0)
    walls = maps["boundary"][0] if "boundary" in maps else np.zeros(foreground.shape, np.float32)
    labels: np.ndarray = watershed(walls, seeds, mask=foreground).astype(np.int32)
    if not bool(options.options.get("unproposed", True)):
        return labels
    rest = label_components(foreground & (labels == 0))
    return np.where(rest > 0, rest + areas.size - 1, labels).astype(np.int32)
