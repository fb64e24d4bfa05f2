"""Fluorescent nuclei in culture: single, touching, overlapping, dim, dividing, out of focus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from . import AREA_PX, Kind, Picture, Quality
from ._optics import Microscope, blur, illumination, record, smooth_field
from ._shapes import Arrangement, Outline, arrange, draw_outline
from ._simulated import Simulated, check_field

SHARP: Final = Microscope(
    psf_sigma_px=0.9, blurred_share=0.03, haze=0.05, unevenness=0.15, background=0.03, photons=250, read_noise=3
)
"""A good exposure with a lens of high aperture."""

DIM: Final = Microscope(
    psf_sigma_px=1.2, blurred_share=0.1, haze=0.12, unevenness=0.3, background=0.12, photons=30, read_noise=3
)
"""A short exposure: grainy, over a visible background."""

BLURRED: Final = Microscope(
    psf_sigma_px=2.2, blurred_share=0.35, haze=0.35, unevenness=0.45, background=0.2, photons=80, read_noise=4
)
"""A thick specimen through a dry lens: soft edges, haze, uneven light."""

_DIVIDING_SHARE = 0.03
_DIM_SHARE = 0.12


@dataclass(frozen=True)
class _Nuclei:
    """Drawn properties, one entry a nucleus: total light, texture contrast, and whether it is out of focus."""

    outlines: tuple[Outline, ...]
    brightness: np.ndarray
    contrast: np.ndarray
    blurred: np.ndarray


def simulate_nuclei(
    *,
    rng: np.random.Generator,
    shape: tuple[int, int] = (512, 512),
    count: int = 80,
    diameter_px: tuple[float, float] = (22.0, 40.0),
    clumping: float = 0.4,
    microscope: Microscope = SHARP,
) -> Simulated:
    """Simulate a field of stained nuclei with the exact instance of every pixel.

    Args:
        rng: Source of chance; the same state gives the same image bit for bit.
        shape: Image (H, W).
        count: Nuclei wanted. A crowded field holds fewer; ``labels.max()`` says how many.
        diameter_px: Smallest and largest diameter of a resting nucleus.
        clumping: Share of nuclei that touch or overlap another, in [0, 1].
        microscope: Blur, light and noise; `SHARP`, `DIM`, `BLURRED` or one of your own.

    Returns:
        Image (H, W) uint16 of a 12-bit camera and labels; ``count = 0`` gives background alone.

    Raises:
        InputError: For an empty image, a negative count, diameters below 4 px or out of order,
            or clumping outside [0, 1].
    """
    check_field(shape, count=count, diameter_px=diameter_px, clumping=clumping)
    nuclei = _draw(rng, count, diameter_px, microscope)
    places = arrange(rng, nuclei.outlines, shape=shape, clumping=clumping)
    size_px = sum(diameter_px) / 2
    sharp, blurred = _emit(rng, nuclei, places, size_px=size_px)
    light = blur(sharp, sigma_px=microscope.psf_sigma_px, haze=microscope.haze, haze_px=size_px)
    if blurred.any():
        sigma_px = microscope.psf_sigma_px + size_px / 12
        light += blur(blurred, sigma_px=sigma_px, haze=microscope.haze, haze_px=size_px)
    medium = 1 + 0.25 * np.clip(smooth_field(rng, shape, scale_px=max(4.0, min(shape) / 6)), -2, 2)
    light += np.float32(microscope.background) * medium
    light *= illumination(rng, shape, unevenness=microscope.unevenness)
    return Simulated(image=record(rng, light, microscope), labels=places.labels)


def _draw(rng: np.random.Generator, count: int, diameter_px: tuple[float, float], microscope: Microscope) -> _Nuclei:
    radius = rng.uniform(*diameter_px, count) / 2
    elongation = 1 + rng.gamma(2.0, 0.15, count)
    brightness = rng.lognormal(0, 0.25, count)
    brightness[rng.random(count) < _DIM_SHARE] *= 0.25
    contrast = rng.uniform(0.05, 0.3, count)
    # Chromosomes of a dividing cell lie in a bright, narrow plate.
    dividing = rng.random(count) < _DIVIDING_SHARE
    radius[dividing] *= 0.75
    elongation[dividing] = rng.uniform(1.8, 2.8, int(dividing.sum()))
    brightness[dividing] = rng.uniform(1.8, 2.6, int(dividing.sum()))
    roughness = np.where(dividing, 0.1, rng.uniform(0.015, 0.06, count))
    shapes = zip(radius, elongation, roughness, strict=True)
    outlines = tuple(draw_outline(rng, radius_px=r, elongation=e, roughness=a) for r, e, a in shapes)
    return _Nuclei(outlines, brightness, contrast, rng.random(count) < microscope.blurred_share)


def _emit(
    rng: np.random.Generator, nuclei: _Nuclei, places: Arrangement, *, size_px: float
) -> tuple[np.ndarray, np.ndarray]:
    """Light of the nuclei in focus and of those out of focus; overlapping nuclei add up."""
    shape = (places.labels.shape[0], places.labels.shape[1])
    texture = _chromatin(rng, shape, size_px=size_px)
    sharp, blurred = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for patch, index in zip(places.patches, places.order, strict=True):
        layer = blurred if nuclei.blurred[index] else sharp
        # A nucleus is thicker in its middle; the wide-field image shows its thickness.
        thickness = np.clip(1 - patch.level**2, 0, 1) ** np.float32(0.35)
        grain = 1 + np.float32(nuclei.contrast[index]) * texture[patch.window]
        layer[patch.window] += np.float32(nuclei.brightness[index]) * thickness * grain
    return sharp, blurred


def _chromatin(rng: np.random.Generator, shape: tuple[int, int], *, size_px: float) -> np.ndarray:
    """Relative density of DNA: fine grains, and dark nucleoli a sixth of a nucleus wide; at least -2."""
    grains = smooth_field(rng, shape, scale_px=max(0.7, size_px / 24))
    nucleoli = np.maximum(smooth_field(rng, shape, scale_px=size_px / 10) - 1, 0)
    return np.asarray(np.clip(grains - 1.5 * nucleoli, -2, 2), np.float32)


_TWELVE_TO_EIGHT_BITS = 16


def _picture(rng: np.random.Generator, size: int, quality: Quality) -> Picture:
    """One image of a command; see `Kind.draw`."""
    microscope = SHARP if quality == "good" else BLURRED
    count = round(80 * size * size / AREA_PX)
    field = simulate_nuclei(rng=rng, shape=(size, size), count=count, microscope=microscope)
    return Picture((field.image // _TWELVE_TO_EIGHT_BITS).astype(np.uint8), field.labels)


KIND = Kind("fluorescent nuclei", _picture, "instances", ("nucleus",))
