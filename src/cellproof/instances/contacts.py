"""Which regions touch which objects, and along how many pixel edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Contacts:
    """Pairs of a region and an object that share pixel edges, sorted by region, then object.

    Attributes:
        region: (n,) region ids.
        label: (n,) object ids.
        edges: (n,) number of pixel edges that the two share.
    """

    region: np.ndarray
    label: np.ndarray
    edges: np.ndarray


def contacts(regions: np.ndarray, labels: np.ndarray) -> Contacts:
    """Count the pixel edges between each region and each object.

    Args:
        regions: (H, W) region ids, 0 where there is none; regions and objects do not overlap.
        labels: (H, W) object ids, 0 background.

    Returns:
        The touching pairs; none where no region touches an object.
    """
    width = labels.shape[1]
    around = np.pad(labels, 1).ravel()
    row, column = np.divmod(np.flatnonzero(regions), width)
    center = (row + 1) * (width + 2) + column + 1
    region = np.tile(regions[row, column].astype(np.int64), 4)
    label = np.concatenate([around[center + step] for step in (-width - 2, -1, 1, width + 2)]).astype(np.int64)
    touching = label > 0
    base = int(labels.max(initial=0)) + 1
    pairs, edges = np.unique(region[touching] * base + label[touching], return_counts=True)
    return Contacts(region=pairs // base, label=pairs % base, edges=edges)
