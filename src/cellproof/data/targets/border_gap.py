"""How narrow the background between two objects is; a map that loss terms ask for, no output of a network.

References:
    Ronneberger, Fischer, Brox (2015). U-Net: convolutional networks for biomedical image segmentation. MICCAI, eq. 2
    (d1 + d2). doi:10.1007/978-3-319-24574-4_28
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt, find_objects

from ._objects import Objects

REACH_PX = 32
"""Objects further away than this are not looked for: at the paper's sigma of 5 px what they add is below 1e-8."""


def pixel_map(objects: Objects) -> np.ndarray:
    """Distance to the nearest object plus the distance to the second nearest, of every background pixel.

    Args:
        objects: Of a sample.

    Returns:
        (H, W) float32 in pixels; infinite inside of objects, and where fewer than two lie within `REACH_PX`.

    Examples:
        >>> row = np.array([[1, 1, 0, 0, 0, 2]])
        >>> pixel_map(Objects(row, row < 0, row > 0)).tolist()
        [[inf, inf, 4.0, 4.0, 4.0, inf]]
    """
    instances = objects.instances
    nearest = np.full(instances.shape, np.inf, np.float32)
    second = nearest.copy()
    for number, box in enumerate(find_objects(instances), start=1):
        if box is None:
            continue
        around = tuple(
            slice(max(0, side.start - REACH_PX), min(size, side.stop + REACH_PX))
            for side, size in zip(box, instances.shape, strict=True)
        )
        distance = distance_transform_edt(instances[around] != number).astype(np.float32)
        distance[distance > REACH_PX] = np.inf
        close, further = nearest[around], second[around]
        np.minimum(further, np.maximum(close, distance), out=further)
        np.minimum(close, distance, out=close)
    return np.where(instances > 0, np.float32(np.inf), nearest + second)
