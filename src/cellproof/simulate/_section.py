"""What stained sections have in common: fibrous tissue, and the camera that looks at it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ._optics import smooth_field

_FIBER_STEPS = 10


def stroma(rng: np.random.Generator, tissue: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Optical density of eosin: wavy fibers, here dense and there loose, over a slowly changing ground."""
    shape = (tissue.shape[0], tissue.shape[1])
    slow = smooth_field(rng, shape, scale_px=max(4.0, min(shape) / 12))
    density = 0.26 + 0.05 * slow + (0.04 + 0.02 * np.clip(slow, -1, 1)) * _fibers(rng, directions)
    density += 0.02 * smooth_field(rng, shape, scale_px=1.2)
    return np.asarray(np.maximum(density, 0.05) * tissue, np.float32)


def _fibers(rng: np.random.Generator, directions: np.ndarray) -> np.ndarray:
    """Noise smeared along a smooth direction field, unit standard deviation.

    References:
        Cabral, Leedom (1993). Imaging vector fields using line integral convolution. SIGGRAPH.
        doi:10.1145/166117.166151
    """
    shape = (directions.shape[0], directions.shape[1])
    noise = smooth_field(rng, shape, scale_px=1.3)
    down, right = np.cos(directions), np.sin(directions)
    rows, columns = (grid.astype(np.float32) for grid in np.indices(shape))
    total = noise.copy()
    for way in (-1.6, 1.6):
        row, column = rows, columns
        for _ in range(_FIBER_STEPS):
            here = (_inside(row, shape[0]), _inside(column, shape[1]))
            row, column = row + way * down[here], column + way * right[here]
            total += noise[_inside(row, shape[0]), _inside(column, shape[1])]
    deviation = total.std()
    return total / deviation if deviation > 0 else total


def _inside(position: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(np.clip(np.rint(position), 0, size - 1), np.intp)


def photograph(rng: np.random.Generator, light: np.ndarray) -> np.ndarray:
    """8-bit colors of a slightly unsharp camera in front of a nearly white lamp."""
    lamp = rng.uniform(0.93, 0.98) * np.array([1.0, *rng.uniform(0.97, 1.0, 2)], np.float32)
    seen = ndimage.gaussian_filter(light * lamp, (rng.uniform(0.4, 0.9),) * 2 + (0,))
    seen += 0.008 * rng.standard_normal(seen.shape, np.float32)
    return np.asarray(np.rint(np.clip(seen, 0, 1) * 255), np.uint8)
