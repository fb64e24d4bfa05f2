"""What every target is computed from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ._poisson import poisson_height


@dataclass(frozen=True)
class Objects:
    """Objects of a sample.

    Attributes:
        instances: (H, W) int32 object ids, 0 outside objects and where there is no annotation.
        ignored: (H, W) bool, pixels without annotation.
        class_map: (H, W) uint8.
    """

    instances: np.ndarray
    ignored: np.ndarray
    class_map: np.ndarray

    @cached_property
    def height(self) -> np.ndarray:
        """(H, W) float32; see `poisson_height`. Several targets need it, and it takes longest."""
        return poisson_height(self.instances)
