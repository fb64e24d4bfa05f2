"""Stain along membranes: uneven from edge to edge and along each, and in some stretches nearly gone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._cells import Edges, draw_edges, enclosed, relaxed_centers, touching, trace

DIM_LEVEL = 0.2
"""Stain below which a membrane hardly shows; 1 is a typical one."""

_FAINTEST = 0.4
_FADE_PX = 3.0
_WAVES = 3


@dataclass(frozen=True)
class Pattern:
    """What a sheet of cells is like.

    Attributes:
        diameter_px: Mean diameter of a cell.
        rounds: Of relaxation; more make cells more alike.
        thickness_px: Smallest and largest thickness of a membrane.
        bow: Of edges, as a fraction of their length.
        spread: Standard deviation of the logarithm of an edge's mean stain.
        dim_share: Share of edges with a dim stretch, a third of the edge to all of it.
    """

    diameter_px: float
    rounds: int
    thickness_px: tuple[float, float]
    bow: float
    spread: float
    dim_share: float


@dataclass(frozen=True)
class Stain:
    """Drawn stain of each of E edges.

    Attributes:
        level: (E,) mean stain.
        amplitude: (E, waves) relative change along the edge.
        wavelength_px: (E, waves).
        phase: (E, waves) radians.
        dim_from_px: (E,) place along the edge where a dim stretch begins.
        dim_to_px: (E,) where it ends; before ``dim_from_px`` on edges without one.
        residue: (E,) fraction of the stain that the dim stretch keeps.
    """

    level: np.ndarray
    amplitude: np.ndarray
    wavelength_px: np.ndarray
    phase: np.ndarray
    dim_from_px: np.ndarray
    dim_to_px: np.ndarray
    residue: np.ndarray

    def along(self, index: int, along_px: np.ndarray) -> np.ndarray:
        """Stain of one edge at places along it, >= 0."""
        waves = np.cos(along_px[:, None] / self.wavelength_px[index] * (2 * np.pi) + self.phase[index])
        lively = np.maximum(self.level[index] * (1 + waves @ self.amplitude[index]), _FAINTEST)
        inward = np.minimum(along_px - self.dim_from_px[index], self.dim_to_px[index] - along_px)
        lost = (1 - self.residue[index]) * np.clip(inward / _FADE_PX, 0, 1)
        return np.asarray(lively * (1 - lost), np.float32)


@dataclass(frozen=True)
class Sheet:
    """A sheet of cells with stained membranes.

    Attributes:
        edges: All edges, those outside the image too.
        thickness_px: (H, W) float32 drawn width of the membrane at each of its pixels, 0 elsewhere; where edges
            meet, the largest.
        stain: (H, W) float32, 0 beside membranes; where edges meet, the strongest.
        cells: (H, W) int32, 1…n inside membranes, 0 on them.
    """

    edges: Edges
    thickness_px: np.ndarray
    stain: np.ndarray
    cells: np.ndarray

    @property
    def membrane(self) -> np.ndarray:
        """(H, W) boolean."""
        return self.thickness_px > 0

    @property
    def dim(self) -> np.ndarray:
        """(H, W) boolean, membranes that hardly show."""
        return self.membrane & (self.stain < DIM_LEVEL)


def draw_stain(rng: np.random.Generator, edges: Edges, *, spread: float, dim_share: float) -> Stain:
    """Draw the stain of edges; the last two are those of a `Pattern`."""
    count = len(edges)
    length = np.linalg.norm(edges.end - edges.start, axis=1)
    reach = length * rng.uniform(0.35, 1.0, count)
    dim_from = rng.uniform(0, 1, count) * (length - reach)
    dim_to = np.where(rng.random(count) < dim_share, dim_from + reach, -1.0)
    return Stain(
        level=rng.lognormal(0, spread, count),
        amplitude=rng.uniform(0, 0.3, (count, _WAVES)),
        wavelength_px=rng.uniform(8, 60, (count, _WAVES)),
        phase=rng.uniform(0, 2 * np.pi, (count, _WAVES)),
        dim_from_px=dim_from,
        dim_to_px=dim_to,
        residue=rng.uniform(0.0, 0.12, count),
    )


def paint(edges: Edges, stain: Stain, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Thickness and stain of all edges on the pixel grid, each (H, W) float32; the largest wins."""
    thickness, painted = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for index in touching(edges, shape).tolist():
        band = trace(edges, index, shape)
        for picture, values in ((thickness, edges.thickness_px[index]), (painted, stain.along(index, band.along_px))):
            view = picture[band.window]
            view[band.mask] = np.maximum(view[band.mask], values)
    return thickness, painted


def draw_sheet(rng: np.random.Generator, shape: tuple[int, int], pattern: Pattern) -> Sheet:
    """Draw cells side by side and the stain between them."""
    centers = relaxed_centers(rng, shape, diameter_px=pattern.diameter_px, rounds=pattern.rounds)
    edges = draw_edges(rng, centers, thickness_px=pattern.thickness_px, bow=pattern.bow)
    stain = draw_stain(rng, edges, spread=pattern.spread, dim_share=pattern.dim_share)
    thickness, painted = paint(edges, stain, shape)
    open_before = thickness <= 0
    cells = enclosed(thickness)
    painted[open_before & (thickness > 0)] = 1.0
    return Sheet(edges, thickness, painted, cells)
