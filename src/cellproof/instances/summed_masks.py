"""Objects are the connected pieces of the sum of a detector's masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..types import InstanceOptions, Setting
from .components import label_components

NEEDS = ("detections",)

TUNED: Mapping[str, Sequence[Setting]] = {}

ON_REQUEST = True
"""Validation never chooses it: touching objects are one. It is for comparison with what was published so."""

TOTAL = 0.9


def separate(maps: Mapping[str, np.ndarray], foreground: np.ndarray, options: InstanceOptions) -> np.ndarray:
    """Pieces of the pixels whose masks sum to 0.9, or to the option ``total``.

    Args:
        maps: With "detections" (4, H, W), whose last channel is the sum of masks.
        foreground: Not looked at.
        options: May hold ``total``.

    Returns:
        (H, W) int32, touching objects as one.

    References:
        Sawicki, Ulbæk, Huijben. Pixel-wise segmentation of microscopy images with deep learning. DTU.
    """
    return label_components(maps["detections"][3] >= float(options.options.get("total", TOTAL)))
