"""Dead ends of a mask's center lines, and the mask without them."""

from __future__ import annotations

import numpy as np
from scipy.sparse.csgraph import connected_components

from ._discs import paint
from ._skeleton import Skeleton


def without_spurs(mask: np.ndarray, skeleton: Skeleton, *, spur_px: float) -> np.ndarray:
    """Take away short branches that end freely; what the other lines carry stays as wide as it was.

    A branch counts when it comes out of the disc that its junction fills (what stays inside is
    the roughness of an edge) by less than ``spur_px``; a piece that hangs on nothing, when it is
    shorter than that from one end to the other.

    Args:
        mask: (H, W) bool.
        skeleton: Its center lines.
        spur_px: Length from which a dead end is a membrane of its own.

    Returns:
        (H, W) bool, a part of the mask.
    """
    is_spur = _spur_pixels(skeleton, spur_px)
    if not is_spur.any():
        return mask
    spurs = paint(mask.shape, skeleton.pixels[is_spur], skeleton.radius_px[is_spur] + 1.5)
    kept = paint(mask.shape, skeleton.pixels[~is_spur], skeleton.radius_px[~is_spur] + 0.5)
    remaining: np.ndarray = mask & (kept | ~spurs)
    return remaining


def _spur_pixels(skeleton: Skeleton, spur_px: float) -> np.ndarray:
    """Which pixels of the lines belong to spurs."""
    is_joint = skeleton.degree > 2
    edges = skeleton.graph.tocoo()
    one, two = edges.coords
    inside = ~is_joint[one] & ~is_joint[two]
    kept = edges.copy()
    kept.data = np.where(inside, edges.data, 0)
    kept.eliminate_zeros()
    count, branch = connected_components(kept, directed=False)
    # Every edge inside a branch is stored in both directions, one to a joint counts from the branch's side.
    # A count of nothing is one of integers, to which no length can be added.
    length_px = np.bincount(branch[one[inside]], edges.data[inside] / 2, count).astype(np.float64)
    leaving = ~is_joint[one] & is_joint[two]
    length_px += np.bincount(branch[one[leaving]], edges.data[leaving], count)
    joint_px = np.zeros(count)
    np.maximum.at(joint_px, branch[one[leaving]], skeleton.radius_px[two[leaving]])
    tip_px = np.zeros(count)
    np.maximum.at(tip_px, branch[skeleton.free_ends], skeleton.radius_px[skeleton.free_ends])
    ends_freely = np.bincount(branch[skeleton.free_ends], minlength=count) > 0
    out_px = length_px - joint_px
    is_spur = ends_freely & (out_px > 0) & (out_px + tip_px < spur_px)
    marked: np.ndarray = is_spur[branch] & ~is_joint
    return marked
