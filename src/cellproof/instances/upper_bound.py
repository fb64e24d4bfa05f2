"""Ids copied from the reference: what a foreground could score at most, if its objects were told apart perfectly.

No method for images without annotation, so no model can name it: it is for evaluations and studies, which call its
numbers an upper bound.
"""

from __future__ import annotations

import numpy as np
from skimage.segmentation import watershed

from ..checks import InputError, check_labels, check_ndim, check_same_shape
from .components import label_components


def upper_bound_labels(foreground: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Give each foreground pixel the id of the reference object from which it is reached first.

    Pixels of a reference object have its id; other foreground takes the nearest of these, step by step inside the
    foreground. Connected foreground that holds no reference object at all is numbered after the largest id.

    Args:
        foreground: (H, W) bool, predicted.
        reference: (H, W) object ids, 0 background.

    Returns:
        (H, W) int32, 0 outside the foreground. Where the foreground is that of the reference, it is the reference.

    Raises:
        InputError: Shapes differ, or the foreground is no boolean mask.

    Example:
        >>> upper_bound_labels(np.array([[1, 1, 1, 1, 0, 1]]) > 0, np.array([[0, 7, 9, 0, 0, 0]])).tolist()
        [[7, 7, 9, 9, 0, 10]]
    """
    check_ndim(2, foreground=foreground, reference=reference)
    check_same_shape(foreground=foreground, reference=reference)
    check_labels(reference=reference)
    if foreground.dtype != bool:
        raise InputError(f"foreground has dtype {foreground.dtype}, expected booleans; compare it with a threshold")
    seeds = np.where(foreground, reference, 0).astype(np.int32)
    grown = watershed(np.zeros(seeds.shape, np.uint8), seeds, mask=foreground) if seeds.any() else seeds
    alone = label_components(foreground & (grown == 0))
    labels: np.ndarray = np.where(alone > 0, alone + np.int32(reference.max(initial=0)), grown).astype(np.int32)
    return labels
