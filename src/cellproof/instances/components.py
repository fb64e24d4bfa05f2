"""Connected regions of equal value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from skimage.measure import label

from ..checks import check_labels, check_ndim
from ..types import InstanceOptions, Setting

NEEDS: tuple[str, ...] = ()

TUNED: Mapping[str, Sequence[Setting]] = {}


def separate(maps: Mapping[str, np.ndarray], foreground: np.ndarray, options: InstanceOptions) -> np.ndarray:
    """Objects are the connected pieces of the foreground."""
    return label_components(foreground)


def label_components(class_map: np.ndarray, *, background: int = 0) -> np.ndarray:
    """Number the connected regions of every class but the background.

    Pixels are neighbors when they share an edge (4-connectivity): cells that only meet at a corner
    stay apart, and a region never holds two classes.

    Args:
        class_map: (H, W) whole numbers. An image of object ids is split into connected pieces.
        background: The value that is no object.

    Returns:
        (H, W) int32, 1…n in the order of each region's first pixel (row by row), 0 background.

    Raises:
        InputError: the map is not two-dimensional or holds other than non-negative whole numbers.
    """
    check_ndim(2, class_map=class_map)
    check_labels(class_map=class_map)
    # skimage labels bool images as binary ones, whatever `background` says.
    values = class_map.astype(np.uint8) if class_map.dtype == bool else class_map
    regions: np.ndarray = label(values, background=background, connectivity=1)
    return regions.astype(np.int32)
