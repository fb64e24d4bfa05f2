"""Objects from a gray image of flows: what a threshold leaves, piece by piece."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..checks import check_finite
from ..types import InstanceOptions, Setting
from .components import label_components

NEEDS = ("gray_flow",)

TUNED: Mapping[str, Sequence[Setting]] = {"level": (0.08, 0.12, 0.16, 0.2, 0.25, 0.3)}

DEFAULT_LEVEL = 0.16
"""Between the 0 of the ground and the darkest gray of a flow, about 0.29: networks fade at edges."""


def separate(maps: Mapping[str, np.ndarray], foreground: np.ndarray, options: InstanceOptions) -> np.ndarray:
    """Connected pixels whose gray reaches the option ``level``; the class probabilities have no say.

    Args:
        maps: "gray_flow" (1, H, W) in [0, 1].
        foreground: (H, W), not used.
        options: ``level``, `DEFAULT_LEVEL` without.

    Returns:
        (H, W) int32 labels.

    Examples:
        >>> gray = np.array([[[0.5, 0.1, 0.4]]])
        >>> separate({"gray_flow": gray}, gray[0] > 1, InstanceOptions()).tolist()
        [[1, 0, 2]]
    """
    gray = maps["gray_flow"][0]
    check_finite(gray_flow=gray)
    return label_components((gray >= float(options.options.get("level", DEFAULT_LEVEL))).astype(np.uint8))
