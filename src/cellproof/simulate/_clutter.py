"""What looks like a membrane and is none, or hides one: strands, dots, dark vessels."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from ._cells import Edges, touching, trace
from ._membranes import draw_stain, paint


def strands(rng: np.random.Generator, shape: tuple[int, int], *, count: int) -> np.ndarray:
    """Short stained strands anywhere, (H, W) float32, about as thick and bright as thin membranes."""
    start = rng.uniform(0, shape, (count, 2))
    angle, length = rng.uniform(0, 2 * math.pi, count), rng.uniform(8, 26, count)
    end = start + length[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    edges = Edges(start, end, rng.normal(0, 0.12, count) * length, rng.uniform(1.5, 3.0, count))
    stain = draw_stain(rng, edges, spread=0.3, dim_share=0.0)
    return 0.7 * paint(edges, stain, shape)[1]


def dots(rng: np.random.Generator, shape: tuple[int, int], *, count: int) -> np.ndarray:
    """Bright vesicles of 2 to 4 px anywhere, (H, W) float32."""
    light = np.zeros(shape, np.float32)
    row, column = (rng.integers(0, size, count) for size in shape)
    np.add.at(light, (row, column), rng.gamma(2.0, 3.0, count).astype(np.float32))
    return np.asarray(ndimage.gaussian_filter(light, 1.0, truncate=3), np.float32)


def vessels(rng: np.random.Generator, edges: Edges, shape: tuple[int, int], *, share: float) -> np.ndarray:
    """Where narrow vessels run beside this fraction of the membranes, (H, W) float32 in [0, 1], soft at the rim."""
    chosen = np.flatnonzero(rng.random(len(edges)) < share)
    width = rng.uniform(6, 12, chosen.size)
    start, end = edges.start[chosen], edges.end[chosen]
    across = (end - start)[:, ::-1] * (1.0, -1.0)
    across /= np.maximum(np.linalg.norm(across, axis=1), 1.0)[:, None]
    across *= (edges.thickness_px[chosen] + width)[:, None] / 2
    beside = Edges(start + across, end + across, edges.bow_px[chosen], width)
    inside = np.zeros(shape, np.float32)
    for index in touching(beside, shape).tolist():
        band = trace(beside, index, shape)
        inside[band.window][band.mask] = 1
    return np.asarray(ndimage.gaussian_filter(inside, 1.2, truncate=3), np.float32)
