"""A section stained with hematoxylin and eosin: purple nuclei in pink fibrous tissue with white gaps."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy import ndimage

from ..checks import InputError
from . import AREA_PX, Kind, Picture, Quality
from ._optics import smooth_field
from ._section import photograph, stroma
from ._shapes import Arrangement, Outline, arrange, draw_outline
from ._simulated import Simulated, check_field
from ._stain import draw_dyes, transmit

_SPINDLE_SHARE = 0.25


def simulate_histology(
    *,
    rng: np.random.Generator,
    shape: tuple[int, int] = (512, 512),
    count: int = 120,
    diameter_px: tuple[float, float] = (16.0, 30.0),
    clumping: float = 0.3,
    gap_share: float = 0.12,
    stain_variation: float = 0.06,
) -> Simulated:
    """Simulate a field of H&E-stained tissue with the exact instance of every pixel.

    Args:
        rng: Source of chance; the same state gives the same image bit for bit.
        shape: Image (H, W).
        count: Nuclei wanted. A crowded field holds fewer; ``labels.max()`` says how many.
        diameter_px: Smallest and largest diameter of a nucleus.
        clumping: Share of nuclei that touch or overlap another, in [0, 1].
        gap_share: Share of the field without tissue, in [0, 1).
        stain_variation: Difference between laboratories; 0 gives the published colors.

    Returns:
        Image (H, W, 3) uint8 and labels; ``count = 0`` gives tissue without nuclei.

    Raises:
        InputError: For an empty image, a negative count, diameters below 4 px or out of order, or a
            share out of its range.
    """
    check_field(shape, count=count, diameter_px=diameter_px, clumping=clumping)
    if not 0 <= gap_share < 1:
        raise InputError(f"gap_share is {gap_share}, expected a share in [0, 1)")
    tissue = _tissue(rng, shape, gap_share=gap_share, scale_px=1.6 * diameter_px[1])
    outlines = _draw(rng, count, diameter_px)
    fibers = rng.uniform(0, math.pi) + 0.6 * smooth_field(rng, shape, scale_px=max(8.0, min(shape) / 7))
    places = arrange(rng, outlines, shape=shape, clumping=clumping, allowed=tissue > 0.9, directions=fibers)
    tissue = np.maximum(tissue, places.labels > 0)
    size_px = sum(diameter_px) / 2
    hematoxylin = _nuclei(rng, places, size_px=size_px)
    eosin = stroma(rng, tissue, fibers)
    # Cytoplasm takes up some of both dyes around each nucleus, and eosin hardly enters nuclei.
    near = ndimage.gaussian_filter((places.labels > 0).astype(np.float32), size_px / 2.5)
    hematoxylin += tissue * (0.05 + 0.22 * near)
    eosin *= 1 - 0.55 * np.clip(ndimage.gaussian_filter((places.labels > 0).astype(np.float32), 0.8), 0, 1)
    strength = rng.uniform(0.75, 1.3, (2, 1, 1)).astype(np.float32)
    light = transmit(np.stack([hematoxylin, eosin]) * strength, draw_dyes(rng, variation=stain_variation))
    return Simulated(image=photograph(rng, light), labels=places.labels)


def _tissue(rng: np.random.Generator, shape: tuple[int, int], *, gap_share: float, scale_px: float) -> np.ndarray:
    """Where there is tissue, (H, W) float32 in [0, 1]; its edge is about 2 px wide."""
    relief = smooth_field(rng, shape, scale_px=scale_px) + 0.04 * smooth_field(rng, shape, scale_px=3.0)
    if gap_share == 0:
        return np.ones(shape, np.float32)
    tissue = (relief > np.quantile(relief, gap_share)).astype(np.float32)
    return np.asarray(ndimage.gaussian_filter(tissue, 0.8), np.float32)


def _draw(rng: np.random.Generator, count: int, diameter_px: tuple[float, float]) -> list[Outline]:
    """Round nuclei of epithelium and lymphocytes, and the spindles of fibroblasts."""
    outlines = []
    for _ in range(count):
        spindle = rng.random() < _SPINDLE_SHARE
        radius = rng.uniform(*diameter_px) / 2 * (0.8 if spindle else 1.0)
        elongation = rng.uniform(2.2, 4.0) if spindle else 1 + rng.gamma(2.0, 0.15)
        outline = draw_outline(rng, radius_px=radius, elongation=elongation, roughness=rng.uniform(0.03, 0.09))
        # Fibroblasts lie along the fibers, which `arrange` counts angles from.
        outlines.append(replace(outline, angle=rng.normal(0, 0.15)) if spindle else outline)
    return outlines


def _nuclei(rng: np.random.Generator, places: Arrangement, *, size_px: float) -> np.ndarray:
    """Optical density of hematoxylin: pale vesicular nuclei with a dark rim, and dense uniform ones."""
    shape = (places.labels.shape[0], places.labels.shape[1])
    clots = smooth_field(rng, shape, scale_px=max(0.8, size_px / 16))
    grains = smooth_field(rng, shape, scale_px=0.8)
    density = np.zeros(shape, np.float32)
    for patch in places.patches:
        dense = rng.beta(0.8, 0.8)
        rim = np.exp(-(((1 - patch.level) / 0.12) ** 2)) * (1 - dense)
        chromatin = 0.4 + 0.5 * dense + 0.35 * rim
        texture = (0.16 - 0.08 * dense) * clots[patch.window] + 0.05 * grains[patch.window]
        nucleus = np.where(patch.mask, np.maximum(chromatin + texture, 0.1), 0) * rng.uniform(0.75, 1.15)
        # Overlapping nuclei of a thin section seldom lie at full thickness both: the darker one rules.
        density[patch.window] = np.maximum(density[patch.window], nucleus)
    return np.asarray(ndimage.gaussian_filter(density, 0.9), np.float32)


def _picture(rng: np.random.Generator, size: int, quality: Quality) -> Picture:
    """One image of a command; see `Kind.draw`."""
    section = simulate_histology(rng=rng, shape=(size, size), count=round(120 * size * size / AREA_PX))
    return Picture(section.image, section.labels)


KIND = Kind("nuclei in H&E", _picture, "instances", ("nucleus",), qualities=("good",))
