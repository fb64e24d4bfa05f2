"""What an image looks like: contrasts at several scales, intensities, colors, its objects and its probabilities."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ..checks import InputError, check_ndim, check_same_shape
from ._blur import sampled_blurs

TEXTURE_SCALES_PX = (1, 2, 4, 8, 16)
"""Blurs between which contrast is measured."""

FINE_PX = 2.0
"""What varies within this many pixels of the image is the texture of objects."""

UNDECIDED = (0.02, 0.1, 0.3, 0.7, 0.9)
"""Foreground probabilities between which pixels are counted."""


def image_statistics(
    image: np.ndarray, labels: np.ndarray, foreground: np.ndarray, *, solidity: np.ndarray, scale: float = 1.0
) -> dict[str, float]:
    """What an image looks like, in numbers of about the same spread.

    Args:
        image: (C, H, W) normalized; C is 1, or 3 for color.
        labels: (H, W) objects 1…n found in it, 0 background.
        foreground: (H, W) foreground probability.
        solidity: (n,) of the objects.
        scale: Pixels of the network's grid per pixel of the image.

    Returns:
        Name → number; NaN where the image has no object to tell.

    Raises:
        InputError: shapes differ, or the image has no pixels.
    """
    check_ndim(3, image=image)
    check_same_shape(image=image[0], labels=labels, foreground=foreground)
    if labels.size == 0:
        raise InputError(f"image has shape {image.shape}, expected at least one pixel")
    gray = image[0] if len(image) == 1 else image.mean(axis=0, dtype=np.float32)
    texture = {width: width / max(scale, 0.05) for width in TEXTURE_SCALES_PX}
    widths = sorted({*texture.values(), FINE_PX})
    blurred = dict(zip(widths, sampled_blurs(gray, widths), strict=True))
    inside = labels > 0
    return {
        **_texture(gray, {width: blurred[px] for width, px in texture.items()}),
        **_intensities(gray),
        **_colors(image, inside),
        **_objects(gray, labels, inside, solidity, scale),
        "object_texture": _object_texture(gray, inside, *blurred[FINE_PX]),
        **_probabilities(foreground, inside),
    }


def _texture(gray: np.ndarray, blurred: Mapping[int, tuple[int, np.ndarray]]) -> dict[str, float]:
    """Log contrast between successive blurs, each given with the step of its samples."""
    found, before, fine = {}, gray, 1
    for width, (step, after) in blurred.items():
        apart = step // fine
        found[f"contrast_at_{width}_px"] = math.log(float((before[::apart, ::apart] - after).std()) + 1e-3)
        before, fine = after, step
    return found


def _object_texture(gray: np.ndarray, inside: np.ndarray, step: int, blurred: np.ndarray) -> float:
    """Log contrast of what is finer than a blur, at those of its samples that lie in objects."""
    there = inside[::step, ::step]
    if not there.any():
        return math.nan
    return math.log(float((gray[::step, ::step] - blurred)[there].std()) + 1e-3)


def _intensities(gray: np.ndarray) -> dict[str, float]:
    low, middle, high = (float(value) for value in np.percentile(gray, (10, 50, 90)))
    return {
        "dark_intensity": 5 * low,
        "median_intensity": 5 * middle,
        "bright_intensity": 5 * high,
        "intensity_sd": 5 * float(gray.std()),
    }


def _colors(image: np.ndarray, inside: np.ndarray) -> dict[str, float]:
    """Saturation, and two opponent colors of the whole and of the objects."""
    if len(image) != 3:
        return dict.fromkeys(("saturation", "red_green", "yellow_blue", "object_red_green", "object_yellow_blue"), 0.0)
    red, green, blue = image
    first, second = red - green, (red + green) / 2 - blue
    there = inside.any()
    return {
        "saturation": 5 * float((image.max(axis=0) - image.min(axis=0)).mean()),
        "red_green": 5 * float(first.mean()),
        "yellow_blue": 5 * float(second.mean()),
        "object_red_green": 5 * float(first[inside].mean()) if there else math.nan,
        "object_yellow_blue": 5 * float(second[inside].mean()) if there else math.nan,
    }


def _objects(
    gray: np.ndarray, labels: np.ndarray, inside: np.ndarray, solidity: np.ndarray, scale: float
) -> dict[str, float]:
    names = ("diameter", "diameter_spread", "density", "solidity", "object_contrast")
    area = np.bincount(labels.ravel())[1:]
    if not inside.any():
        return dict.fromkeys(names, math.nan)
    diameters = np.log(max(scale, 1e-6) * np.sqrt(4 * area[area > 0] / np.pi))
    low, middle, high = np.percentile(diameters, (10, 50, 90))
    within = gray[inside]
    outside = gray[~inside].mean() if not inside.all() else within.mean()
    values = (
        2 * middle,
        high - low,
        math.log(diameters.size * 1e4 / (labels.size * scale**2)),
        10 * float(solidity.mean()),
        5 * float(within.mean() - outside),
    )
    return dict(zip(names, map(float, values), strict=True))


def _probabilities(foreground: np.ndarray, inside: np.ndarray) -> dict[str, float]:
    """Log fractions of pixels by how undecided the network is, against the objects' area."""
    area = max(int(np.count_nonzero(inside)), 1)
    # Limits are rounded up to numbers of the map's own type, so that comparing in that type is exact; the last one is
    # the next number, for a value at the end counts as within.
    nearest = np.array(UNDECIDED, foreground.dtype)
    short = nearest.astype(np.float64) < UNDECIDED
    short[-1] = float(nearest[-1]) <= UNDECIDED[-1]
    limits = np.where(short, np.nextafter(nearest, nearest + 1), nearest)
    counts = -np.diff([np.count_nonzero(foreground >= limit) for limit in limits])
    names = ("hardly_probable", "improbable", "undecided", "probable")
    found = {name: math.log(count / area + 0.01) for name, count in zip(names, counts.tolist(), strict=True)}
    return {**found, "covered": 5 * area / inside.size}
