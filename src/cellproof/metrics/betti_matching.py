"""Betti matching error of two masks: pieces and holes compared by place, and not by number alone.

Two masks and their union. Each piece and each hole of a mask becomes a part of what the union has there, or vanishes
in it; two features that become the same are one feature, and every other is an error.

This is the induced matching of Stucki et al. for masks of two values, whose features all appear and vanish together, so
that the published matching leaves open which is which. What it leaves open is decided by place: a piece of the union
matches one piece of either mask, and a hole of a mask goes on in the largest hole of the union inside it. There is
one deliberate difference: their definition keeps the first piece of either mask in infinite bars, which match each
other wherever they lie. Here that piece is a piece like any other, so that two lone dots at different places are two
errors and not none.

References:
    Stucki, Paetzold, Shit, Menze, Bauer (2023). Topologically faithful image segmentation via induced matching of
    persistence barcodes. ICML, PMLR 202, 32698-32727. arXiv:2211.15272
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import label

from ._masks import EIGHT, annotated, check_masks
from .topology import Betti


def betti_matching_errors(prediction: np.ndarray, reference: np.ndarray, *, ignored: np.ndarray | None = None) -> Betti:
    """Pieces and holes of either mask without a partner in the other.

    Pieces hang together over 8 neighbors, holes over 4; background at the image's edge is no hole. Errors are never
    smaller than the differences of the Betti numbers (`topology.betti_errors`), as each feature has one partner
    at most.

    Args:
        prediction: (H, W) boolean.
        reference: Boolean mask of the same shape.
        ignored: Boolean mask of pixels without annotation; they are membrane in neither mask.

    Returns:
        Number of pieces, and of holes, without partner, of both masks together; 0 and 0 for equal masks.

    Raises:
        InputError: For different shapes, or a mask that is not boolean.

    Example:
        >>> left, right = np.zeros((2, 5, 12), bool)
        >>> left[1:4, 1:4] = right[1:4, 8:11] = True
        >>> left[2, 2] = right[2, 9] = False
        >>> betti_matching_errors(left, right)
        Betti(components=2, holes=2)
    """
    check_masks(prediction=prediction, reference=reference, ignored=ignored)
    # A frame joins all background at the edge into one piece, which is no hole.
    masks = [np.pad(annotated(mask, ignored), 1) for mask in (prediction, reference)]
    union = masks[0] | masks[1]
    pieces, holes = label(union, EIGHT)[0], _holes(union)
    hole_px = np.bincount(holes.ravel())
    own_holes = [_holes(mask) for mask in masks]
    common_pieces = np.intersect1d(pieces[masks[0]], pieces[masks[1]])
    common_holes = np.intersect1d(
        _largest_inside(own_holes[0], holes, hole_px), _largest_inside(own_holes[1], holes, hole_px)
    )
    return Betti(
        components=sum(label(mask, EIGHT)[1] for mask in masks) - 2 * common_pieces.size,
        holes=sum(int(own.max()) for own in own_holes) - 2 * common_holes.size,
    )


def _holes(framed: np.ndarray) -> np.ndarray:
    """Numbers of the holes of a mask with a frame of background, 0 outside and on the mask."""
    labels = label(~framed)[0]
    # The frame is the first pixel's piece, and so number 1.
    return np.asarray(np.maximum(labels - 1, 0))


def _largest_inside(own: np.ndarray, holes: np.ndarray, hole_px: np.ndarray) -> np.ndarray:
    """For each hole of a mask, the largest hole of the union inside it; holes that the union fills have none."""
    inside = np.unique(np.stack([own, holes])[:, (own > 0) & (holes > 0)], axis=1)
    order = np.lexsort((inside[1], -hole_px[inside[1]], inside[0]))
    _, first = np.unique(inside[0][order], return_index=True)
    return np.asarray(inside[1][order][first])
