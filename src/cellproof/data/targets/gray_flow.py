"""The flow of an object as a gray image, as if the color wheel of Cellpose's figures had been photographed in gray.

A direction cannot be told from its gray, and turning the image changes the grays: views of an image disagree by nature.
What a threshold leaves of such a map is the objects as one foreground, which is how the paper uses it; `flows` is the
target that tells objects apart.

References:
    Corona, Silva, Calado, Cardoso, Silva (2022). Deep learning semantic segmentation of neuronal cell images.
    University of Porto (FEUP). "Hot-Flow": a U-Net trained on this target with the mean squared error, then a
    threshold.
    Stringer, Wang, Michaelos, Pachitariu (2021). Nature Methods 18, 100-106. doi:10.1038/s41592-020-01018-x (colors of
    flows, ``plot.dx_to_circ`` of its code)
"""

from __future__ import annotations

import numpy as np

from ...types import Head, LossTerm
from ._objects import Objects
from ._poisson import flow_field

LOSS = (LossTerm("squared_error", 1.0, "gray_flow"),)

_LUMINANCE = (0.299, 0.587, 0.114)
"""ITU-R BT.601, by which image libraries make gray of red, green and blue."""


def head() -> Head:
    """One channel in [0, 1]: 0 outside objects, 0.29 to 0.71 inside by the direction of the flow."""
    return Head("gray_flow", activation="clip")


def target(objects: Objects, head: Head) -> np.ndarray:
    """(1, H, W) float32; see `gray_of`."""
    return gray_of(flow_field(objects.height, objects.instances))[np.newaxis]


def gray_of(flows: np.ndarray) -> np.ndarray:
    """Luminance of the colors that stand for flows.

    Args:
        flows: (2, H, W) row and column components, of length 0 to 1.

    Returns:
        (H, W) float32 in [0, 1]; 0 where there is no flow.

    Examples:
        >>> upward, none = [[-1.0]], [[0.0]]
        >>> print(gray_of(np.array([upward, none])))  # red, and a quarter of green and of blue
        [[0.47425]]
    """
    rows, columns = flows[0], flows[1]
    angle = np.arctan2(columns, rows) + np.pi
    thirds = (0.0, 2 * np.pi / 3, 4 * np.pi / 3)
    gray = sum(weight * (np.cos(angle + turn) + 1) / 2 for weight, turn in zip(_LUMINANCE, thirds, strict=True))
    return np.asarray(np.hypot(rows, columns) * gray, np.float32)
