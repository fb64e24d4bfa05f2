"""Cells in culture under phase contrast: round and clustered, thin and branching, flat and irregular.

A cell is a thickness, which delays light. The image is Zernike's: the direct light, a wide blur of the wave, is shifted
by a quarter of a wave and weakened by the ring, and interferes with the rest. Halo and shade-off are not painted but
follow, for the ring lets some diffracted light through with the direct one.

References:
    Zernike (1942). Phase contrast, a new method for the microscopic observation of transparent objects. Physica 9,
    686-698. doi:10.1016/S0031-8914(42)80035-X
    Yin, Kanade, Chen (2012). Understanding the phase contrast optics to restore artifact-free microscopy images for
    segmentation. Medical Image Analysis 16(5), 1047-1062. doi:10.1016/j.media.2011.12.006 (image formation, eq. 1 to 9)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from ..checks import InputError
from . import AREA_PX, Kind, Picture, Quality
from ._cell_bodies import Body, BodyPlan, draw_body
from ._optics import illumination, smooth_field
from ._shapes import keep_pieces
from ._simulated import Simulated, check_shape

_TRIES = 25

_ROUNDED: Final = BodyPlan((8, 13), 1.2, (0, 0), (0, 0), (0, 0), (0, 0), 1.0)
_ROUNDED_PHASE = (1.8, 3.2)


@dataclass(frozen=True)
class CellType:
    """How cells of one type look.

    Attributes:
        plan: Shapes.
        count: Smallest and largest number of cells in an image of `AREA_PX`.
        phase: Smallest and largest delay of the thickest part, in radians.
        rim_px: Depth at which a cell has about two thirds of its thickness.
        clustered: Fraction of cells that lie against another one.
        granules: Contrast of what is inside, as a fraction of the thickness.
        overlap: Largest fraction of a cell that may lie over others.
        rounded: Fraction of cells that have rounded up, to divide or to die: thick balls with a bright rim.
    """

    plan: BodyPlan
    count: tuple[int, int]
    phase: tuple[float, float]
    rim_px: float
    clustered: float
    granules: float
    overlap: float
    rounded: float = 0.06


CELL_TYPES: Final[Mapping[str, CellType]] = {
    "round": CellType(
        BodyPlan((7, 13), 1.4, (0, 3), (0.2, 0.9), (0, 2), (6, 26), 2.0),
        count=(35, 130),
        phase=(0.4, 2.6),
        rim_px=5.0,
        clustered=0.65,
        granules=0.15,
        overlap=0.2,
    ),
    "branching": CellType(
        BodyPlan((8, 15), 2.6, (2, 4), (0.6, 4.0), (0, 3), (15, 70), 3.0),
        count=(18, 60),
        phase=(0.2, 0.9),
        rim_px=4.0,
        clustered=0.3,
        granules=0.5,
        overlap=0.3,
    ),
    "flat": CellType(
        BodyPlan((14, 32), 2.4, (3, 8), (0.2, 2.0), (0, 1), (5, 25), 3.0),
        count=(8, 26),
        phase=(0.12, 0.45),
        rim_px=3.0,
        clustered=0.35,
        granules=0.7,
        overlap=0.2,
    ),
}
"""Types by name; an image shows one of them."""


@dataclass(frozen=True)
class PhaseOptics:
    """How a phase-contrast microscope sees.

    Attributes:
        halo_px: Width over which diffracted light passes the ring; halos reach about so far.
        transmission: Amplitude that the ring lets through, in (0, 1).
        blur_px: Standard deviation of the blur.
        unevenness: See `illumination`.
        noise: Standard deviation of the noise, as a fraction of the background.
        debris: Pieces of debris in an image of `AREA_PX`.
    """

    halo_px: float
    transmission: float
    blur_px: float
    unevenness: float
    noise: float
    debris: int


CLEAR: Final = PhaseOptics(halo_px=7, transmission=0.6, blur_px=0.7, unevenness=0.1, noise=0.015, debris=40)
"""A clean dish and a good lens."""

POOR: Final = PhaseOptics(halo_px=13, transmission=0.5, blur_px=1.3, unevenness=0.3, noise=0.03, debris=110)
"""Wide halos, much debris, uneven light."""


def simulate_phase_contrast(
    rng: np.random.Generator, *, shape: tuple[int, int], cell_type: str, optics: PhaseOptics = CLEAR
) -> Simulated:
    """Simulate a field of unstained cells with the exact instance of every pixel.

    Thicknesses of overlapping cells add up; a pixel of several cells is the uppermost one's, the one drawn last.

    Args:
        rng: Source of chance; the same state gives the same image bit for bit.
        shape: Image (H, W).
        cell_type: A key of `CELL_TYPES`.
        optics: `CLEAR`, `POOR` or one of your own.

    Returns:
        Image (H, W) uint8 and labels; a small image may hold no cell.

    Raises:
        InputError: An empty image or an unknown type.
    """
    check_shape(shape)
    if cell_type not in CELL_TYPES:
        raise InputError(f"cell_type is {cell_type!r}, expected one of {', '.join(CELL_TYPES)}")
    kind = CELL_TYPES[cell_type]
    wanted = round(rng.integers(kind.count[0], kind.count[1] + 1) * shape[0] * shape[1] / AREA_PX)
    phase, labels = _place(rng, kind, shape, wanted)
    phase += _debris(rng, shape, round(optics.debris * shape[0] * shape[1] / AREA_PX))
    phase += np.float32(0.008) * smooth_field(rng, shape, scale_px=3.0)
    light = _interfere(phase, optics) * illumination(rng, shape, unevenness=optics.unevenness)
    light += rng.normal(0, optics.noise, shape).astype(np.float32)
    # Exposures differ: the empty ground lies anywhere from dark to middle gray, as in exported images.
    gray = rng.uniform(70, 140) * light
    return Simulated(np.clip(np.rint(gray), 0, 255).astype(np.uint8), labels)


def _place(
    rng: np.random.Generator, kind: CellType, shape: tuple[int, int], wanted: int
) -> tuple[np.ndarray, np.ndarray]:
    """Phase of the cells (H, W), and their labels."""
    labels, phase = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
    middles: list[tuple[float, float, float]] = []
    for _ in range(wanted):
        rounded = rng.random() < kind.rounded
        body = draw_body(rng, _ROUNDED if rounded else kind.plan)
        thickness = _thickness(rng, body, kind=kind, phase=_ROUNDED_PHASE if rounded else kind.phase)
        radius = float(np.sqrt(body.area_px / np.pi))
        for _ in range(_TRIES):
            row, column = _position(rng, shape, middles, radius, clustered=kind.clustered)
            there, here = _windows(body.mask.shape, row, column, shape)
            mask = body.mask[here]
            if not mask.any() or (labels[there][mask] > 0).mean() > kind.overlap:
                continue
            labels[there][mask] = len(middles) + 1
            phase[there] += thickness[here]
            middles.append((row, column, radius))
            break
    return phase, keep_pieces(labels)[0]


def _position(
    rng: np.random.Generator,
    shape: tuple[int, int],
    middles: list[tuple[float, float, float]],
    radius: float,
    *,
    clustered: float,
) -> tuple[int, int]:
    """Anywhere, or against a cell that lies there."""
    if middles and rng.random() < clustered:
        row, column, other = middles[int(rng.integers(len(middles)))]
        angle = rng.uniform(0, 2 * np.pi)
        distance = (radius + other) * rng.uniform(0.85, 1.15)
        return round(row + distance * np.sin(angle)), round(column + distance * np.cos(angle))
    return int(rng.integers(-3, shape[0] + 3)), int(rng.integers(-3, shape[1] + 3))


def _windows(
    body: tuple[int, ...], row: int, column: int, shape: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The part of the image that a body covers, and the part of the body that lies in the image."""
    there, here = [], []
    for middle, size, limit in zip((row, column), body, shape, strict=True):
        first = middle - size // 2
        start, stop = max(0, first), max(0, min(limit, first + size))
        start = min(start, stop)
        there.append(slice(start, stop))
        here.append(slice(start - first, stop - first))
    return (there[0], there[1]), (here[0], here[1])


def _thickness(rng: np.random.Generator, body: Body, *, kind: CellType, phase: tuple[float, float]) -> np.ndarray:
    """Delay of the light by a cell, (h, w) float32 in radians, 0 outside: a rim, a nucleus, nucleoli and granules."""
    top = rng.uniform(*phase)
    shape = body.mask.shape
    plateau = 1 - np.exp(-body.depth_px / np.float32(kind.rim_px))
    grains = smooth_field(rng, (shape[0], shape[1]), scale_px=1.2)
    coarse = smooth_field(rng, (shape[0], shape[1]), scale_px=5.0)
    spots = np.clip(smooth_field(rng, (shape[0], shape[1]), scale_px=1.6) - 1.6, 0, 1.5)
    inner = np.float32(kind.granules) * (0.35 * grains + 0.3 * coarse + 1.6 * spots)
    # Organelles crowd around a nucleus that is itself clear but for one or two nucleoli.
    inner *= 1 - 0.7 * body.nucleus
    nucleoli = np.clip(smooth_field(rng, (shape[0], shape[1]), scale_px=2.0) - 1.2, 0, 1) * (body.nucleus > 0.3)
    height = plateau * (1 + 0.35 * body.nucleus + inner + np.float32(0.9) * nucleoli)
    return np.asarray(top * np.clip(height, 0, 2.5) * body.mask, np.float32)


def _debris(rng: np.random.Generator, shape: tuple[int, int], count: int) -> np.ndarray:
    """Phase of specks, crumbs and a few blurred things above the focus, (H, W) float32; none of it is a cell."""
    points = np.zeros(shape, np.float32)
    row, column = (rng.integers(0, size, count) for size in shape)
    np.add.at(points, (row, column), rng.gamma(1.5, 4.0, count).astype(np.float32) * rng.choice((-0.4, 1.0), count))
    specks = ndimage.gaussian_filter(points, 1.3)
    few = np.where(rng.random(shape) < 4 / (shape[0] * shape[1]), np.float32(150), 0)
    ghosts = ndimage.gaussian_filter(few, 9.0) - ndimage.gaussian_filter(few, 12.0)
    return np.asarray(specks + ghosts, np.float32)


def _interfere(phase: np.ndarray, optics: PhaseOptics) -> np.ndarray:
    """Intensity of the image, (H, W) float32, 1 where there is nothing.

    With the wave u = exp(iφ) and the light G∗u that passes the ring, I = |u − G∗u − i t G∗u|² / t².
    """
    waves = (np.cos(phase), np.sin(phase))
    real, imaginary = (ndimage.gaussian_filter(wave, optics.blur_px) for wave in waves)
    ring_real, ring_imaginary = (ndimage.gaussian_filter(wave, optics.halo_px, mode="nearest") for wave in waves)
    t = np.float32(optics.transmission)
    # −i t (a + ib) = t b − i t a
    seen = (real - ring_real + t * ring_imaginary) ** 2 + (imaginary - ring_imaginary - t * ring_real) ** 2
    return np.asarray(seen / t**2, np.float32)


def _attributes(rng: np.random.Generator) -> dict[str, str]:
    """What the table of a set says of an image; see `Kind.attributes`."""
    return {"cell_type": tuple(CELL_TYPES)[int(rng.integers(len(CELL_TYPES)))]}


def _picture(rng: np.random.Generator, size: int, quality: Quality) -> Picture:
    """One image of a command; see `Kind.draw`."""
    cell_type = _attributes(rng)["cell_type"]
    optics = CLEAR if quality == "good" else POOR
    field = simulate_phase_contrast(rng, shape=(size, size), cell_type=cell_type, optics=optics)
    return Picture(field.image, field.labels)


KIND = Kind("unstained cells under phase contrast", _picture, "instances", ("cell",), attributes=_attributes)
