"""Glands of the colon stained with hematoxylin and eosin: a ring of cells around an irregular pale lumen.

Nuclei lie at the outer side of the ring, where a gland meets the pink tissue around it; the cells' inner side is pale
where they hold mucus. Some glands have lost order: a narrow lumen or none, and nuclei everywhere. Glands may touch,
and lie across the image's edge, and the truth is the whole gland with its lumen.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy import ndimage

from ..checks import InputError
from . import AREA_PX, Kind, Picture, Quality
from ._optics import smooth_field
from ._section import photograph, stroma
from ._shapes import Arrangement, arrange, draw_outline, rasterize
from ._simulated import Simulated, check_field
from ._stain import draw_dyes, transmit

_NUCLEUS_PX = 0.055
"""Radius of a nucleus, as a fraction of the mean diameter of a gland."""

_STROMA_NUCLEI = 12
"""Nuclei between glands for each gland that is asked for."""


def simulate_glands(
    *,
    rng: np.random.Generator,
    shape: tuple[int, int] = (512, 512),
    count: int = 12,
    diameter_px: tuple[float, float] = (60.0, 150.0),
    clumping: float = 0.35,
    disorder: float = 0.35,
    stain_variation: float = 0.06,
) -> Simulated:
    """Simulate a field of colon mucosa with the exact gland of every pixel.

    Args:
        rng: Source of chance; the same state gives the same image bit for bit.
        shape: Image (H, W).
        count: Glands wanted. A crowded field holds fewer; ``labels.max()`` says how many.
        diameter_px: Smallest and largest diameter of a gland.
        clumping: Fraction of glands that touch another, in [0, 1].
        disorder: Fraction of glands without order inside, in [0, 1].
        stain_variation: Difference between laboratories; 0 gives the published colors.

    Returns:
        Image (H, W, 3) uint8 and labels, each gland one piece without holes of its own; ``count = 0`` gives tissue
        without glands.

    Raises:
        InputError: For an empty image, a negative count, diameters below 4 px or out of order, or a fraction out of
            its range.

    Example:
        >>> section = simulate_glands(rng=np.random.default_rng(0), shape=(128, 128), count=2)
        >>> section.image.shape, int(section.labels.max())
        ((128, 128, 3), 2)
    """
    check_field(shape, count=count, diameter_px=diameter_px, clumping=clumping)
    if not 0 <= disorder <= 1:
        raise InputError(f"disorder is {disorder}, expected a fraction in [0, 1]")
    outlines = [
        draw_outline(
            rng,
            radius_px=rng.uniform(*diameter_px) / 2,
            elongation=1 + rng.gamma(2.0, 0.25),
            roughness=rng.uniform(0.05, 0.15),
        )
        for _ in range(count)
    ]
    places = arrange(rng, outlines, shape=shape, clumping=clumping)
    nucleus_px = max(1.5, _NUCLEUS_PX * sum(diameter_px) / 2)
    fibers = rng.uniform(0, math.pi) + 0.6 * smooth_field(rng, shape, scale_px=max(8.0, min(shape) / 7))
    eosin = stroma(rng, np.ones(shape, np.float32), fibers)
    hematoxylin = np.full(shape, 0.05, np.float32) + 0.02 * smooth_field(rng, shape, scale_px=3.0)
    outside = np.argwhere(places.labels == 0)
    hematoxylin = np.maximum(hematoxylin, _nuclei(rng, shape, outside, _STROMA_NUCLEI * count, nucleus_px, 2.5))
    _fill_glands(rng, places, hematoxylin, eosin, nucleus_px=nucleus_px, disorder=disorder)
    strength = rng.uniform(0.8, 1.25, (2, 1, 1)).astype(np.float32)
    amounts = ndimage.gaussian_filter(np.stack([hematoxylin, eosin]), (0, 0.8, 0.8))
    light = transmit(amounts * strength, draw_dyes(rng, variation=stain_variation))
    return Simulated(image=photograph(rng, light), labels=places.labels)


def _fill_glands(
    rng: np.random.Generator,
    places: Arrangement,
    hematoxylin: np.ndarray,
    eosin: np.ndarray,
    *,
    nucleus_px: float,
    disorder: float,
) -> None:
    """Cells, lumen and nuclei of every gland; changes both densities inside glands."""
    shape = (places.labels.shape[0], places.labels.shape[1])
    rough, mucus = (smooth_field(rng, shape, scale_px=times * nucleus_px) for times in (3.0, 1.2))
    for number, patch in enumerate(places.patches, start=1):
        own = places.labels[patch.window] == number
        level = patch.level + 0.08 * rough[patch.window]
        is_disordered = rng.random() < disorder
        lumen = own & (level < (rng.uniform(-0.3, 0.35) if is_disordered else rng.uniform(0.3, 0.6)))
        pale = own & (mucus[patch.window] > 0.3) & (level < 0.75) & (not is_disordered)
        for density, cell, goblet, empty in ((hematoxylin, 0.14, 0.07, 0.02), (eosin, 0.26, 0.1, 0.03)):
            inside = np.where(lumen, empty, np.where(pale, goblet, cell * rng.uniform(0.85, 1.2)))
            density[patch.window][own] = inside[own]
        ring = own & ~lumen & (level > (0.35 if is_disordered else 0.74)) & (patch.level < 0.97)
        ground = np.argwhere(ring)
        wanted = round(len(ground) / (rng.uniform(3.0, 4.5) * nucleus_px**2))
        drawn = _nuclei(rng, own.shape, ground, wanted, nucleus_px, 1.6)
        hematoxylin[patch.window][own] = np.maximum(hematoxylin[patch.window], drawn)[own]


def _nuclei(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    ground: np.ndarray,
    count: int,
    radius_px: float,
    elongation: float,
) -> np.ndarray:
    """Density of nuclei around places drawn from the ground (n, 2); none where there is no ground."""
    density = np.zeros(shape, np.float32)
    if not len(ground):
        return density
    for row, column in ground[rng.integers(len(ground), size=count)].tolist():
        outline = draw_outline(rng, radius_px=radius_px * rng.uniform(0.8, 1.2), elongation=elongation, roughness=0.05)
        from_center = rasterize(replace(outline, row=row, column=column), (shape[0], shape[1]))
        darkness = np.where(from_center.mask, rng.uniform(0.45, 0.8), 0)
        density[from_center.window] = np.maximum(density[from_center.window], darkness)
    return density


def _picture(rng: np.random.Generator, size: int, quality: Quality) -> Picture:
    """One image of a command; see `Kind.draw`."""
    count = max(2, round(14 * size * size / AREA_PX))
    diameters = (min(60.0, size / 4), min(150.0, size / 2))
    section = simulate_glands(rng=rng, shape=(size, size), count=count, diameter_px=diameters)
    return Picture(section.image, section.labels)


def _attributes(_rng: np.random.Generator) -> dict[str, str]:
    """What the table of a set says of an image: real sets have the grade of the tumor, which nothing simulated has."""
    return {"grade": "simulated"}


KIND = Kind("glands in H&E", _picture, "instances", ("gland",), qualities=("good",), attributes=_attributes)
