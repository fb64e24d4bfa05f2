"""What the scores of membranes have in common: checked masks, pixels without annotation taken out, and skeletons."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import label
from skimage.morphology import skeletonize

from ..checks import InputError, check_ndim, check_same_shape

EIGHT = np.ones((3, 3), bool)
"""Neighborhood of membranes; the cells between them have the other one, of four."""

SMALLEST_CELL_PX = 10
"""A region of fewer pixels is taken for a flaw in a membrane and not for a cell."""


def check_masks(**masks: np.ndarray | None) -> None:
    """Refuse masks of different shapes, not of two axes or not boolean; those that are None are passed over.

    Raises:
        InputError: naming the mask, and what it is.
    """
    given = {name: mask for name, mask in masks.items() if mask is not None}
    check_ndim(2, **given)
    check_same_shape(**given)
    for name, mask in given.items():
        if mask.dtype != bool:
            raise InputError(
                f"{name} has dtype {mask.dtype}, expected a boolean mask; compare a class map with its class"
            )


def annotated(mask: np.ndarray, ignored: np.ndarray | None) -> np.ndarray:
    """The mask without pixels that lack annotation, so that what was predicted there changes no score."""
    return mask if ignored is None else mask & ~ignored


def skeleton(mask: np.ndarray) -> np.ndarray:
    """Center lines of a mask, one pixel wide, with as many components and holes as the mask has.

    Lines end about half their width before the image does. A turned mask has nearly, not exactly, the turned
    skeleton.

    References:
        Lee, Kashyap, Chu (1994). Building skeleton models via 3-D medial surface/axis thinning algorithms.
        CVGIP: Graphical Models and Image Processing 56(6), 462-478. doi:10.1006/cgip.1994.1042
    """
    if not mask.any():
        return np.zeros(mask.shape, bool)
    # The thinning that scikit-image prefers in 2-D eats diagonal lines of two pixels' width up to a single point.
    return np.asarray(skeletonize(mask, method="lee") > 0)


def without_small(mask: np.ndarray, smallest_px: int, *, neighborhood: np.ndarray | None = None) -> np.ndarray:
    """The mask without its components of fewer pixels; four neighbors unless a neighborhood is given."""
    labels, _ = label(mask, neighborhood)
    keep = np.bincount(labels.ravel()) >= smallest_px
    keep[:1] = False
    return np.asarray(keep[labels])
