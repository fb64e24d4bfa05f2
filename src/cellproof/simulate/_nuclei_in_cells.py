"""Roundish nuclei inside cells of a sheet, one or two a cell."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ._shapes import Patch, draw_outline, rasterize

_TRIES = 12
_TRIES_AT_BORDER = 3
_CLEARANCE = 1.2
"""Nothing but the cell's own inside lies within this multiple of a nucleus' radius."""

_SHRINK = 0.95
_SMALLEST_RADIUS_PX = 3.0


@dataclass(frozen=True)
class Nuclei:
    """Nuclei that found a place.

    Attributes:
        labels: (H, W) int32, 1…n.
        patches: The outline of nucleus i + 1.
    """

    labels: np.ndarray
    patches: tuple[Patch, ...]


@dataclass(frozen=True)
class _Site:
    """Where a nucleus is expected.

    Attributes:
        cell: Its label.
        row: Middle.
        column: Middle.
        jitter_px: Standard deviation of its place around the middle.
        radius_px: Wanted; less where there is no room for that.
        tries: Number of places and sizes to try.
    """

    cell: int
    row: float
    column: float
    jitter_px: float
    radius_px: float
    tries: int


def place_nuclei(rng: np.random.Generator, cells: np.ndarray, *, size: float, binucleate: float) -> Nuclei:
    """Give each cell a nucleus near its middle, or two beside it, as far as there is room.

    Args:
        rng: Source of chance.
        cells: (H, W) int32 from a sheet of cells.
        size: Diameter of a single nucleus as a fraction of its cell's.
        binucleate: Share of cells with two, smaller ones.

    Returns:
        Nuclei that touch neither membranes nor each other. A cell has none where nothing fits, which is the rule
        in those that the image's border cuts to a small piece.
    """
    labels = np.zeros(cells.shape, np.int32)
    patches: list[Patch] = []
    for site in _sites(rng, cells, size=size, binucleate=binucleate):
        patch = _settle(rng, site, cells, labels)
        if patch is not None:
            patches.append(patch)
            labels[patch.window][patch.mask] = len(patches)
    return Nuclei(labels, tuple(patches))


def _sites(rng: np.random.Generator, cells: np.ndarray, *, size: float, binucleate: float) -> Iterator[_Site]:
    flat, count = cells.ravel(), int(cells.max(initial=0)) + 1
    areas = np.bincount(flat, minlength=count)
    rows, columns = (np.bincount(flat, axis.ravel(), minlength=count) for axis in np.indices(cells.shape))
    cut = np.zeros(count, bool)
    for side in (cells[0], cells[-1], cells[:, 0], cells[:, -1]):
        cut[side] = True
    for cell in range(1, count):
        diameter = 2 * math.sqrt(areas[cell] / math.pi)
        row, column = rows[cell] / areas[cell], columns[cell] / areas[cell]
        radius = size * diameter / 2 * rng.uniform(0.85, 1.15)
        tries = _TRIES_AT_BORDER if cut[cell] else _TRIES
        if rng.random() >= binucleate:
            yield _Site(cell, row, column, 0.08 * diameter, radius, tries)
            continue
        angle = rng.uniform(0, math.pi)
        for side in (-0.19 * diameter, 0.19 * diameter):
            place = (row + side * math.cos(angle), column + side * math.sin(angle))
            yield _Site(cell, *place, 0.02 * diameter, 0.85 * radius, tries)


def _settle(rng: np.random.Generator, site: _Site, cells: np.ndarray, taken: np.ndarray) -> Patch | None:
    """The first place that is free, smaller at each try; None where there is none."""
    radius = site.radius_px
    for _ in range(site.tries):
        if radius < _SMALLEST_RADIUS_PX:
            return None
        outline = draw_outline(rng, radius_px=radius, elongation=1 + rng.gamma(2.0, 0.06), roughness=0.025)
        row, column = rng.normal(0, site.jitter_px, 2)
        patch = rasterize(
            replace(outline, row=site.row + row, column=site.column + column), (cells.shape[0], cells.shape[1])
        )
        near = patch.level < _CLEARANCE
        own, others = cells[patch.window][near], taken[patch.window][near]
        if patch.mask.any() and (own == site.cell).all() and not others.any():
            return patch
        radius *= _SHRINK
    return None
