"""Label images in which every object is one piece, without holes, large enough and numbered without gaps."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .components import label_components


def clean_labels(labels: np.ndarray, *, smallest_area_px: int = 10, fill_holes: bool = True) -> np.ndarray:
    """Split objects into connected pieces, drop small ones, fill holes and number 1…n.

    A piece is 4-connected. The order matters: a speck inside another object is dropped first and
    then filled like any hole.

    Args:
        labels: (H, W) object ids, 0 background.
        smallest_area_px: Pieces with fewer pixels become background.
        fill_holes: Whether background that one object encloses becomes part of it.

    Returns:
        (H, W) int32, numbered in the order of each object's first pixel (row by row); all 0 where
        nothing is left.

    Raises:
        InputError: ``labels`` is not a label image.
    """
    # Pieces come in raster order and stay so: filling a hole never reaches an object's first pixel.
    cleaned = label_components(labels, smallest_px=smallest_area_px)
    return _fill_holes(cleaned) if fill_holes else cleaned


def _fill_holes(labels: np.ndarray) -> np.ndarray:
    """Fill background regions (8-connected) that one object alone encloses; a region at the border is no hole."""
    regions, count = ndimage.label(labels == 0, np.ones((3, 3), bool))
    is_hole = np.ones(count + 1, bool)
    is_hole[0] = False
    for edge in (regions[0], regions[-1], regions[:, 0], regions[:, -1]):
        is_hole[edge] = False
    if not is_hole.any():
        return labels
    # No hole lies at the border, so that all four neighbors of its pixels are in the image.
    pixels = np.flatnonzero(is_hole[regions])
    region, filled = regions.ravel()[pixels].astype(np.int64), labels.ravel().copy()
    width, base = labels.shape[1], int(labels.max(initial=0)) + 1
    around = np.concatenate([filled[pixels + step] for step in (-width, -1, 1, width)]).astype(np.int64)
    touching = around > 0
    pairs = np.unique(np.tile(region, 4)[touching] * base + around[touching])
    owners, label = np.divmod(pairs, base)
    alone = np.bincount(owners, minlength=count + 1)[owners] == 1
    owner = np.zeros(count + 1, np.int32)
    owner[owners[alone]] = label[alone]
    filled[pixels] = owner[region]
    return filled.reshape(labels.shape)
