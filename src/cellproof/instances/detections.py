"""Objects as a detector found them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..types import InstanceOptions, Setting

NEEDS = ("detections",)

TUNED: Mapping[str, Sequence[Setting]] = {}


def separate(maps: Mapping[str, np.ndarray], foreground: np.ndarray, options: InstanceOptions) -> np.ndarray:
    """The detections whose score reaches ``options.foreground_threshold``, each on the pixels that it owns.

    Args:
        maps: With "detections" (channels, H, W): number of each pixel's owner, its score, and more.
        foreground: Not looked at: an object that is kept is kept whole.
        options: The threshold.

    Returns:
        (H, W) int32.

    Example:
        >>> found = np.array([[[1, 1, 0, 2]], [[0.9, 0.9, 0, 0.3]]])
        >>> separate({"detections": found}, found[0] > 0, InstanceOptions()).tolist()
        [[1, 1, 0, 0]]
    """
    owner, score = maps["detections"][:2]
    return np.where(score >= options.foreground_threshold, owner, 0).astype(np.int32)
