"""Mouse liver in fluorescence: membranes in red, nuclei in green, and much that is neither."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal

import numpy as np

from ..checks import InputError
from . import Kind, Picture, Quality
from ._clutter import dots, strands, vessels
from ._membranes import Pattern, Sheet, draw_sheet
from ._nuclei_in_cells import Nuclei, place_nuclei
from ._optics import Microscope, blur, develop, illumination, record, smooth_field
from ._simulated import SimulatedTissue, check_shape

GOOD: Final = Microscope(
    psf_sigma_px=1.2, blurred_share=0.15, haze=0.2, unevenness=0.25, background=0.08, photons=60, read_noise=3
)
"""A confocal image of a thin section."""

LOW: Final = Microscope(
    psf_sigma_px=1.9, blurred_share=0.35, haze=0.5, unevenness=0.45, background=0.2, photons=16, read_noise=4
)
"""A wide-field image of a thick section, exposed too shortly."""

_HEPATOCYTES: Final = Pattern(diameter_px=58, rounds=3, thickness_px=(2.0, 5.0), bow=0.035, spread=0.3, dim_share=0.3)
_NUCLEUS_SIZE = 0.36
_BINUCLEATE_SHARE = 0.25
_MEMBRANE, _CYTOPLASM = 0.75, 0.36
_RED_IN_GREEN, _GREEN_IN_RED = 0.10, 0.14
_FULL_SCALE = 1.7
_DOTS_A_CELL, _STRANDS_A_CELL = 4, 0.5
_SINUSOID_SHARE = 0.09


def simulate_liver(
    rng: np.random.Generator,
    *,
    shape: tuple[int, int] = (512, 512),
    quality: Literal["good", "low"] = "good",
    photons: float | None = None,
) -> SimulatedTissue:
    """Simulate liver cells whose membranes and nuclei are stained.

    Cells are 45 to 70 px wide, membranes 2 to 5 px thick. Stain changes along membranes and nearly vanishes in
    some stretches; dots, short strands, dark sinusoids, membranes of other depths and the nuclei's light in the
    red channel mislead. A quarter of the cells has two nuclei.

    Args:
        rng: Source of chance; the same state gives the same image bit for bit.
        shape: Image (H, W).
        quality: "good" is `GOOD`, "low" is `LOW`.
        photons: Photons a pixel from a typical object, above 0; None for those of the quality. The specimen is the
            same at any dose.

    Returns:
        Image (H, W, 3), red membranes, green nuclei, blue what shines by itself; classes 0 cytoplasm,
        1 membrane, 2 nucleus; cells and nuclei.

    Raises:
        InputError: For an image without pixels, or no photons.
    """
    check_shape(shape)
    microscope = GOOD if quality == "good" else LOW
    if photons is not None:
        if not photons > 0:
            raise InputError(f"photons is {photons:g}, expected a number above 0")
        microscope = replace(microscope, photons=photons)
    sheet = draw_sheet(rng, shape, _HEPATOCYTES)
    nuclei = place_nuclei(rng, sheet.cells, size=_NUCLEUS_SIZE, binucleate=_BINUCLEATE_SHARE)
    green = _nuclear_light(rng, nuclei, microscope)
    cytoplasm = _cytoplasm(rng, sheet, nuclei)
    red = _membrane_light(rng, sheet, cytoplasm, microscope)
    light = np.stack([red + _GREEN_IN_RED * green, green + _RED_IN_GREEN * red + 0.1 * cytoplasm, 0.12 * cytoplasm])
    light += np.float32(microscope.background) * np.array([1, 1, 0.3], np.float32)[:, None, None]
    light *= illumination(rng, shape, unevenness=microscope.unevenness)
    counts = np.stack([record(rng, channel, microscope) for channel in light], axis=-1)
    return SimulatedTissue(
        image=develop(counts, microscope, full_scale=_FULL_SCALE),
        class_map=np.where(nuclei.labels > 0, 2, sheet.membrane).astype(np.uint8),
        cells=sheet.cells,
        nuclei=nuclei.labels,
        dim=sheet.dim,
        thickness_px=sheet.thickness_px,
    )


def _nuclear_light(rng: np.random.Generator, nuclei: Nuclei, microscope: Microscope) -> np.ndarray:
    """Blurred light of nuclei: round ones with bright specks of dense chromatin, some out of focus."""
    shape = (nuclei.labels.shape[0], nuclei.labels.shape[1])
    specks = np.maximum(smooth_field(rng, shape, scale_px=1.4) - 0.9, 0)
    texture = 0.8 + 0.7 * specks
    sharp, blurred = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for patch in nuclei.patches:
        layer = blurred if rng.random() < microscope.blurred_share else sharp
        thickness = np.clip(1 - patch.level**2, 0, 1) ** np.float32(0.3)
        layer[patch.window] += np.float32(rng.lognormal(-0.1, 0.3)) * thickness * texture[patch.window]
    light = blur(sharp, sigma_px=microscope.psf_sigma_px, haze=microscope.haze, haze_px=12)
    light += blur(blurred, sigma_px=microscope.psf_sigma_px + 2, haze=microscope.haze, haze_px=12)
    return light


def _cytoplasm(rng: np.random.Generator, sheet: Sheet, nuclei: Nuclei) -> np.ndarray:
    """Light of the cells' insides, each cell its own: grainy, with dark fat droplets, nuclei and sinusoids."""
    shape = (sheet.cells.shape[0], sheet.cells.shape[1])
    level = rng.lognormal(0, 0.25, int(sheet.cells.max(initial=0)) + 1).astype(np.float32)
    level[0] = 1.0
    grain = 1 + 0.18 * smooth_field(rng, shape, scale_px=1.5) + 0.15 * smooth_field(rng, shape, scale_px=6.0)
    droplets = np.clip(2 * (smooth_field(rng, shape, scale_px=2.8) - 1.6), 0, 1)
    inside = level[sheet.cells] * grain * (1 - 0.7 * droplets) * np.where(nuclei.labels > 0, 0.55, 1)
    inside *= 1 - 0.8 * vessels(rng, sheet.edges, shape, share=_SINUSOID_SHARE)
    return np.asarray(_CYTOPLASM * np.maximum(inside, 0), np.float32)


def _membrane_light(
    rng: np.random.Generator, sheet: Sheet, cytoplasm: np.ndarray, microscope: Microscope
) -> np.ndarray:
    """Blurred red light: membranes in focus, those of other depths, the cytoplasm, strands and dots."""
    shape = (cytoplasm.shape[0], cytoplasm.shape[1])
    cells = int(sheet.cells.max(initial=0))
    false = strands(rng, shape, count=round(_STRANDS_A_CELL * cells))
    clusters = np.clip(1 + 0.35 * smooth_field(rng, shape, scale_px=1.3), 0.2, 2)
    sharp = (
        _MEMBRANE * np.maximum(sheet.stain, false) * clusters
        + cytoplasm
        + 0.5 * dots(rng, shape, count=_DOTS_A_CELL * cells)
    )
    shift = rng.integers(12, 24, 2) * rng.choice([-1, 1], 2)
    patches = np.clip(smooth_field(rng, shape, scale_px=40.0), 0, 1.5)
    other = np.roll(sheet.stain, shift, (0, 1)) * patches * (0.5 + microscope.haze)
    light = blur(sharp, sigma_px=microscope.psf_sigma_px, haze=microscope.haze, haze_px=14)
    light += blur(other, sigma_px=microscope.psf_sigma_px + 2.5, haze=0, haze_px=0)
    return light


def _picture(rng: np.random.Generator, size: int, quality: Quality) -> Picture:
    """One image of a command; see `Kind.draw`."""
    return Picture.of_tissue(simulate_liver(rng, shape=(size, size), quality=quality))


KIND = Kind(
    "cells with red membranes and green nuclei",
    _picture,
    "semantic",
    ("cytoplasm", "membrane", "nucleus"),
    ("#000000", "#ff4040", "#40ff60"),
)
