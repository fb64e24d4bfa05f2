"""Bodies of cells in culture that are no ellipses: spread over the ground, drawn out into corners, branched."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ._optics import smooth_field
from ._shapes import draw_outline, rasterize

_FILLET_PX = 1.5
_MOST_POINTS = 200


@dataclass(frozen=True)
class BodyPlan:
    """Ranges from which cells of one type are drawn.

    Attributes:
        radius_px: Smallest and largest radius of the body.
        elongation: Largest ratio of its axes.
        corners: Smallest and largest number of corners that it is drawn out into.
        corner_reach: Smallest and largest length of a corner, in radii.
        processes: Smallest and largest number of thin processes.
        process_px: Their smallest and largest length.
        process_width_px: Their width where they leave the body.
    """

    radius_px: tuple[float, float]
    elongation: float
    corners: tuple[int, int]
    corner_reach: tuple[float, float]
    processes: tuple[int, int]
    process_px: tuple[float, float]
    process_width_px: float


@dataclass(frozen=True)
class Body:
    """A cell on a grid of its own.

    Attributes:
        mask: (h, w) bool, one piece.
        depth_px: (h, w) float32, distance to the edge inside, 0 outside.
        nucleus: (h, w) float32, 1 at the middle of the nucleus, 0 at its edge and outside.
    """

    mask: np.ndarray
    depth_px: np.ndarray
    nucleus: np.ndarray

    @property
    def area_px(self) -> int:
        """Pixels inside."""
        return int(self.mask.sum())


def draw_body(rng: np.random.Generator, plan: BodyPlan) -> Body:
    """Draw a cell around the middle of a square grid that holds all of it.

    The outline in polar coordinates is an ellipse with pointed corners; it is bent by a smooth displacement, thin
    processes are added as curved strokes that taper off, and concave joints are rounded.

    Args:
        rng: Source of chance.
        plan: What is drawn from.

    Returns:
        A body of one 4-connected piece that holds its middle.

    Examples:
        >>> plan = BodyPlan((8, 9), 1.2, (0, 0), (0, 0), (0, 0), (0, 0), 1.0)
        >>> 180 < draw_body(np.random.default_rng(0), plan).area_px < 300
        True
    """
    radius = rng.uniform(*plan.radius_px)
    reach = radius * (1 + plan.corner_reach[1]) * math.sqrt(plan.elongation)
    half = math.ceil(max(reach, radius + (plan.process_px[1] if plan.processes[1] else 0))) + 6
    shape = (2 * half + 1, 2 * half + 1)
    rows, columns = _bent(rng, shape, scale_px=max(6.0, radius), by_px=0.25 * radius)
    level = np.hypot(rows, columns) / _outline(rng, np.arctan2(rows, columns), radius, plan)
    drawn = level < 1
    for _ in range(int(rng.integers(plan.processes[0], plan.processes[1] + 1))):
        drawn |= _process(rng, shape, radius, plan)
    drawn[half, half] = True
    smooth = ndimage.gaussian_filter(drawn.astype(np.float32), _FILLET_PX) > 0.42
    pieces, _ = ndimage.label(smooth | (level < 0.5))
    mask = pieces == pieces[half, half]
    mask = ndimage.binary_fill_holes(mask)
    nucleus = _nucleus(rng, shape, radius)
    return Body(mask, ndimage.distance_transform_edt(mask).astype(np.float32), nucleus * mask)


def _bent(rng: np.random.Generator, shape: tuple[int, int], *, scale_px: float, by_px: float) -> np.ndarray:
    """(2, h, w) rows and columns from the middle, each moved by a smooth field."""
    grid = np.indices(shape, np.float32) - np.float32(shape[0] // 2)
    for axis in range(2):
        grid[axis] += by_px * smooth_field(rng, shape, scale_px=scale_px)
    return grid


def _outline(rng: np.random.Generator, theta: np.ndarray, radius: float, plan: BodyPlan) -> np.ndarray:
    """Distance from the middle to the edge in each direction."""
    stretch = math.sqrt(rng.uniform(1, plan.elongation))
    turn = rng.uniform(-math.pi, math.pi)
    edge = radius / np.hypot(np.cos(theta - turn) / stretch, np.sin(theta - turn) * stretch)
    corners = int(rng.integers(plan.corners[0], plan.corners[1] + 1))
    if corners:
        # Spread over the circle with some chance; the first two face each other, for most cells are spindles.
        directions = turn + 2 * math.pi * (np.arange(corners) + rng.normal(0, 0.25, corners)) / corners
        # Few corners are long: a cell has a front or two ends, and is no star.
        low, high = plan.corner_reach
        reaches = low + (high - low) * rng.random(corners) ** 2
        widths = rng.uniform(0.12, 0.45, corners)
        for direction, reach, width in zip(directions, reaches, widths, strict=True):
            off = np.angle(np.exp(1j * (theta - direction)))
            edge = edge + radius * reach * np.exp(-((np.abs(off) / width) ** 1.3))
    return np.asarray(edge, np.float32)


def _process(rng: np.random.Generator, shape: tuple[int, int], radius: float, plan: BodyPlan) -> np.ndarray:
    """A thin curved arm that leaves the body and may branch once, (h, w) bool."""
    mask = np.zeros(shape, bool)
    start, direction = np.full(2, shape[0] // 2, float), rng.uniform(-math.pi, math.pi)
    length = radius + rng.uniform(*plan.process_px)
    path = _walk(rng, start, direction, length)
    _stroke(mask, path, plan.process_width_px)
    if rng.random() < 0.4:
        fork = path[int(rng.uniform(0.4, 0.8) * len(path))]
        turned = direction + rng.choice((-1, 1)) * rng.uniform(0.5, 1.1)
        _stroke(mask, _walk(rng, fork, turned, length * rng.uniform(0.2, 0.4)), 0.7 * plan.process_width_px)
    return mask


def _walk(rng: np.random.Generator, start: np.ndarray, direction: float, length: float) -> np.ndarray:
    """Points a pixel apart on a path that keeps turning a little, (n, 2)."""
    steps = min(_MOST_POINTS, max(2, round(length)))
    angles = direction + np.cumsum(rng.normal(0, 0.07, steps)) + rng.normal(0, 0.01) * np.arange(steps)
    return np.asarray(start + np.cumsum(np.stack([np.sin(angles), np.cos(angles)], 1), 0))


def _stroke(mask: np.ndarray, path: np.ndarray, width_px: float) -> None:
    """Discs along a path, from the full width down to a pixel and a half; changes the mask."""
    radii = np.linspace(width_px / 2, 0.75, len(path)) + 0.4
    for (row, column), radius in zip(path, radii, strict=True):
        top, left = math.floor(row - radius), math.floor(column - radius)
        side = math.ceil(2 * radius) + 2
        if top < 0 or left < 0:
            continue
        window = mask[top : top + side, left : left + side]
        r, c = np.ogrid[: window.shape[0], : window.shape[1]]
        window |= (r + top - row) ** 2 + (c + left - column) ** 2 <= radius**2


def _nucleus(rng: np.random.Generator, shape: tuple[int, int], radius: float) -> np.ndarray:
    """Height of an elliptic nucleus about the middle, (h, w) float32."""
    elongation = float(rng.uniform(1, 1.6))
    outline = draw_outline(rng, radius_px=max(2.5, 0.42 * radius), elongation=elongation, roughness=0.03)
    middle = float(shape[0] // 2)
    patch = rasterize(replace(outline, row=middle, column=middle), shape)
    height = np.zeros(shape, np.float32)
    height[patch.window] = np.sqrt(np.clip(1 - patch.level**2, 0, 1))
    return height
