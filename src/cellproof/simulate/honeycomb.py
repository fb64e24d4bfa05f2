"""A monolayer such as the corneal endothelium under the specular microscope: gray cells with thin dark borders."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np

from . import Kind, Picture, Quality
from ._clutter import dots, strands
from ._membranes import Pattern, Sheet, draw_sheet
from ._optics import Microscope, blur, develop, illumination, record, smooth_field
from ._simulated import SimulatedTissue, check_shape

GOOD: Final = Microscope(
    psf_sigma_px=0.8, blurred_share=0.0, haze=0.0, unevenness=0.45, background=0.1, photons=150, read_noise=3
)
"""A quiet eye, in focus."""

LOW: Final = Microscope(
    psf_sigma_px=1.4, blurred_share=0.0, haze=0.0, unevenness=0.7, background=0.25, photons=40, read_noise=4
)
"""Soft, grainy, with one side of the field in the dark."""

_MONOLAYER: Final = Pattern(diameter_px=24, rounds=5, thickness_px=(2.0, 3.5), bow=0.025, spread=0.25, dim_share=0.15)
_BORDER_DEPTH = 0.5
_FULL_SCALE = 1.9
_DOTS_A_CELL, _STRANDS_A_CELL = 0.15, 0.05
_RELIEF_PX = 2


def simulate_honeycomb(
    rng: np.random.Generator, *, shape: tuple[int, int] = (512, 512), quality: Literal["good", "low"] = "good"
) -> SimulatedTissue:
    """Simulate a monolayer of hexagon-like cells.

    Cells are about 24 px wide, borders 2 to 3.5 px thick. Borders are dark, with a bright rim on the side from
    which the light comes, and nearly vanish in some stretches; bright and dark specks and folds mislead.

    Args:
        rng: Source of chance; the same state gives the same image bit for bit.
        shape: Image (H, W).
        quality: "good" is `GOOD`, "low" is `LOW`.

    Returns:
        Gray image (H, W); classes 0 cell, 1 membrane; cells, and no nuclei.

    Raises:
        InputError: For an image without pixels.
    """
    check_shape(shape)
    microscope = GOOD if quality == "good" else LOW
    sheet = draw_sheet(rng, shape, _MONOLAYER)
    light = blur(_reflection(rng, sheet), sigma_px=microscope.psf_sigma_px, haze=0, haze_px=0)
    light += np.float32(microscope.background)
    light *= illumination(rng, shape, unevenness=microscope.unevenness)
    light *= 1 + 0.12 * smooth_field(rng, shape, scale_px=60.0)
    return SimulatedTissue(
        image=develop(record(rng, light, microscope), microscope, full_scale=_FULL_SCALE),
        class_map=sheet.membrane.astype(np.uint8),
        cells=sheet.cells,
        nuclei=np.zeros(shape, np.int32),
        dim=sheet.dim,
        thickness_px=sheet.thickness_px,
    )


def _reflection(rng: np.random.Generator, sheet: Sheet) -> np.ndarray:
    """Light from the sheet, 1 from a flat cell: each cell its own, ripples, relief at the borders, specks."""
    shape = (sheet.cells.shape[0], sheet.cells.shape[1])
    count = int(sheet.cells.max(initial=0))
    level = rng.normal(1, 0.05, count + 1).astype(np.float32)
    level[0] = 1.0
    ripples = 0.05 * smooth_field(rng, shape, scale_px=1.5) + 0.05 * smooth_field(rng, shape, scale_px=5.0)
    folds = strands(rng, shape, count=round(_STRANDS_A_CELL * count))
    depth = np.clip(np.maximum(sheet.stain, folds), 0, 1.5)
    angle = rng.uniform(0, 2 * np.pi)
    shift = (round(_RELIEF_PX * np.cos(angle)), round(_RELIEF_PX * np.sin(angle)))
    rim = np.roll(depth, shift, (0, 1)) * (depth == 0)
    debris = dots(rng, shape, count=round(_DOTS_A_CELL * count)) - dots(rng, shape, count=round(_DOTS_A_CELL * count))
    light = level[sheet.cells] * (1 + ripples) - _BORDER_DEPTH * depth + 0.18 * rim + 0.5 * debris
    return np.asarray(np.maximum(light, 0.05), np.float32)


def _picture(rng: np.random.Generator, size: int, quality: Quality) -> Picture:
    """One image of a command; see `Kind.draw`."""
    return Picture.of_tissue(simulate_honeycomb(rng, shape=(size, size), quality=quality))


KIND = Kind("a gray monolayer", _picture, "semantic", ("cell", "membrane"), ("#000000", "#ff4040"))
