"""From light at the specimen to counts of a camera: blur, uneven light, noise; and smooth random fields."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class Microscope:
    """How faithfully a fluorescence image shows the specimen.

    Attributes:
        psf_sigma_px: Standard deviation of the in-focus blur.
        blurred_share: Share of objects that lie out of focus, in [0, 1].
        haze: Light of objects that is spread over their surroundings, as a fraction of their own.
        unevenness: Relative fall of the illumination toward the darkest corner, in [0, 1).
        background: Light of the medium, as a fraction of a typical object's.
        photons: Photons a pixel from a typical object.
        read_noise: Standard deviation of the camera's own noise, in photons.
    """

    psf_sigma_px: float
    blurred_share: float
    haze: float
    unevenness: float
    background: float
    photons: float
    read_noise: float


_LEAST_OFFSET_COUNTS = 100
_BLACK_BELOW_OFFSET_COUNTS = 40
_TYPICAL_COUNTS = 1200
_FULL_WELL_COUNTS = 4095


def smooth_field(rng: np.random.Generator, shape: tuple[int, int], *, scale_px: float) -> np.ndarray:
    """Random field with zero mean and unit standard deviation that varies over ``scale_px`` pixels.

    Returns:
        (H, W) float32.
    """
    step = max(1, int(scale_px / 2))
    coarse = rng.standard_normal([-(-size // step) + 3 for size in shape], np.float32)
    coarse = ndimage.gaussian_filter(coarse, scale_px / step, mode="wrap")
    # Smoothing white noise with a Gaussian leaves 1 / (2 sqrt(pi) sigma) of its standard deviation.
    coarse *= 2 * np.sqrt(np.pi) * scale_px / step
    if step > 1:
        coarse = ndimage.zoom(coarse, step, order=1)
    return np.ascontiguousarray(coarse[: shape[0], : shape[1]])


def illumination(rng: np.random.Generator, shape: tuple[int, int], *, unevenness: float) -> np.ndarray:
    """Share of the light that reaches each pixel: 1 at a bright spot, ``1 - unevenness`` at the farthest corner."""
    rows, columns = (np.linspace(0, 1, size, dtype=np.float32) for size in shape)
    row, column = rng.uniform(0.2, 0.8, 2)
    squared = ((rows - row) ** 2)[:, None] + ((columns - column) ** 2)[None, :]
    farthest = max(row, 1 - row) ** 2 + max(column, 1 - column) ** 2
    return np.asarray(1 - unevenness * squared / farthest, np.float32)


def blur(light: np.ndarray, *, sigma_px: float, haze: float, haze_px: float) -> np.ndarray:
    """Convolve with a narrow Gaussian and add a share ``haze`` of the light spread over ``haze_px``."""
    narrow = ndimage.gaussian_filter(light, sigma_px, truncate=3)
    if haze == 0:
        return np.asarray(narrow, np.float32)
    step = max(1, int(haze_px / 3))
    wide = ndimage.gaussian_filter(_block_means(light, step), haze_px / step, truncate=3)
    wide = ndimage.zoom(wide, step, order=1, grid_mode=True, mode="nearest")
    return np.asarray(narrow + haze * wide[: light.shape[0], : light.shape[1]], np.float32)


def _block_means(light: np.ndarray, step: int) -> np.ndarray:
    """Mean of every block of ``step`` x ``step`` pixels, so that no point of light falls between samples."""
    padded = np.pad(light, [(0, -size % step) for size in light.shape], mode="edge")
    rows, columns = (size // step for size in padded.shape)
    return np.asarray(padded.reshape(rows, step, columns, step).mean(axis=(1, 3)))


def offset_counts(microscope: Microscope) -> int:
    """Counts of a camera in the dark: so many that its read noise hardly ever goes below 0, where it would be cut."""
    return max(_LEAST_OFFSET_COUNTS, math.ceil(4 * microscope.read_noise * _TYPICAL_COUNTS / microscope.photons))


def record(rng: np.random.Generator, light: np.ndarray, microscope: Microscope) -> np.ndarray:
    """Counts of a 12-bit camera: shot noise, read noise, offset, saturation.

    Args:
        rng: Source of chance.
        light: (H, W), 1 is a typical object; never negative.
        microscope: Photons and read noise.

    Returns:
        (H, W) uint16 up to 4095; the offset is `offset_counts`.
    """
    expected = np.maximum(light, 0) * microscope.photons
    # A normal draw of equal mean and variance: 10 times as fast as a Poisson draw, and as good from 5 photons up.
    deviation = np.sqrt(expected + microscope.read_noise**2)
    photons = expected + deviation * rng.standard_normal(light.shape, np.float32)
    counts = offset_counts(microscope) + photons * (_TYPICAL_COUNTS / microscope.photons)
    return np.asarray(np.clip(np.rint(counts), 0, _FULL_WELL_COUNTS), np.uint16)


def develop(counts: np.ndarray, microscope: Microscope, *, full_scale: float) -> np.ndarray:
    """Eight bits as a person exports them for a figure: black lies a little below the camera's offset.

    Noise below black is cut, as it is in such an export; ``full_scale`` objects above black are 255.

    Args:
        counts: From `record`.
        microscope: That they are from.
        full_scale: Light that becomes 255, in typical objects; what is brighter is cut.
    """
    black = offset_counts(microscope) - _BLACK_BELOW_OFFSET_COUNTS
    levels = (counts.astype(np.float32) - black) * (255 / (full_scale * _TYPICAL_COUNTS))
    return np.asarray(np.clip(np.rint(levels), 0, 255), np.uint8)
