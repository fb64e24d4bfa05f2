"""Whether an image resembles those that a model was trained on: its distance from the nearest kind of training image.

A network is as sure of coins as of nuclei. What tells them apart are simple statistics: how much contrast an image
has at which scale, its intensities and colors, what its objects are like, and how undecided the network is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from ..checks import InputError, check_ndim, check_same_shape
from ..types import ImageKind
from ._blur import sampled_blurs

TEXTURE_SCALES_PX = (1, 2, 4, 8, 16)
"""Blurs between which contrast is measured."""

POOLED_IMAGES = 10
"""So many images' weight has the covariance of all kinds together in that of each."""

FLOOR_SD = 0.05
"""Smallest standard deviation of a statistic: kinds that agree to less than this are not told apart by it."""

FINE_PX = 2.0
"""What varies within this many pixels of the image is the texture of objects."""

UNDECIDED = (0.02, 0.1, 0.3, 0.7, 0.9)
"""Foreground probabilities between which pixels are counted."""

LINE_QUANTILE = 0.95
"""Of held-out training images so many lie below the line."""


@dataclass(frozen=True)
class Foreignness:
    """How far an image lies from the training images.

    Attributes:
        ratio: Distance from the nearest kind over that kind's line; above 1 the image is foreign.
        kind: Name of the nearest kind.
        statistic: Name of the statistic in which it differs most from that kind, alone.
    """

    ratio: float
    kind: str
    statistic: str

    @property
    def note(self) -> str:
        """The sentence for a person; empty for an image like the training images."""
        if self.ratio <= 1:
            return ""
        nearest = f"nearest kind: {self.kind}; " if self.kind else ""
        return f"unlike the training images ({nearest}differs most in {self.statistic.replace('_', ' ')})"


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


def fit_kinds(
    statistics: Sequence[Mapping[str, float]], kinds: Sequence[str], *, folds: int = 5
) -> tuple[ImageKind, ...]:
    """Describe each kind of training image, and draw the line beyond which an image is foreign to it.

    Args:
        statistics: Of each image, see `image_statistics`; the same names everywhere.
        kinds: Name of each image's kind.
        folds: Distances of held-out images, which the lines are drawn by, come from so many fits.

    Returns:
        One entry for each kind of at least 2 images, by name.

    Raises:
        InputError: numbers of images differ, or no kind has 2 images.
    """
    names = sorted({kind for kind in kinds if list(kinds).count(kind) > 1})
    if len(statistics) != len(kinds) or not names:
        raise InputError(f"{len(statistics)} images of {len(kinds)} kinds' names; give at least 2 images of a kind")
    table = np.array([list(one.values()) for one in statistics], np.float64)
    of = np.array(list(kinds))
    number = np.zeros(len(of), np.int64)
    for name in names:
        number[of == name] = np.arange((of == name).sum())
    held_out = np.zeros(len(of))
    for fold in range(folds):
        out = number % folds == fold
        for name, (mean, whitening) in _fit(table[~out], of[~out], names).items():
            rows = out & (of == name)
            held_out[rows] = _distances(table[rows], mean, whitening)
    return tuple(
        ImageKind(
            name=name,
            images=int((of == name).sum()),
            mean=_numbers(mean),
            whitening=_numbers(whitening[np.tril_indices(len(mean))]),
            line=round(float(np.quantile(held_out[of == name], LINE_QUANTILE)), 3),
        )
        for name, (mean, whitening) in _fit(table, of, names).items()
    )


def foreignness(statistics: Mapping[str, float], kinds: Sequence[ImageKind]) -> Foreignness:
    """Distance of an image from the nearest kind of training image.

    Args:
        statistics: From `image_statistics`.
        kinds: From `fit_kinds`, at least one.

    Raises:
        InputError: no kind, or another number of statistics than they have.
    """
    values = np.array([list(statistics.values())], np.float64)
    if not kinds or values.shape[1] != len(kinds[0].mean):
        raise InputError(
            f"{values.shape[1]} statistics and {len(kinds)} kinds; give those that the kinds were fitted on"
        )
    found = []
    for kind in kinds:
        mean, whitening = np.array(kind.mean), _triangle(kind.whitening)
        ratio = float(_distances(values, mean, whitening)[0]) / kind.line
        covariance_root = solve_triangular(whitening, np.eye(len(mean)), lower=True)
        alone = np.abs(np.nan_to_num(values[0] - mean)) / np.linalg.norm(covariance_root, axis=1)
        found.append(Foreignness(ratio, kind.name, list(statistics)[int(alone.argmax())]))
    return min(found, key=lambda one: one.ratio)


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


def _fit(table: np.ndarray, kinds: np.ndarray, names: Sequence[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Mean and whitening of each kind; its covariance is drawn toward that of all kinds about their own means."""
    means = {name: np.nan_to_num(np.nanmean(table[kinds == name], axis=0)) for name in names}
    centered = {name: np.nan_to_num(table[kinds == name] - means[name]) for name in names}
    pooled = np.mean([rows.T @ rows / len(rows) for rows in centered.values()], axis=0)
    floor = np.diag(np.full(table.shape[1], FLOOR_SD**2))
    found = {}
    for name, rows in centered.items():
        covariance = (rows.T @ rows + POOLED_IMAGES * pooled) / (len(rows) + POOLED_IMAGES) + floor
        root = np.linalg.cholesky(covariance)
        found[name] = means[name], solve_triangular(root, np.eye(len(root)), lower=True)
    return found


def _distances(rows: np.ndarray, mean: np.ndarray, whitening: np.ndarray) -> np.ndarray:
    distance: np.ndarray = np.sqrt((np.nan_to_num(rows - mean) @ whitening.T) ** 2 @ np.ones(len(mean)))
    return distance


def _triangle(numbers: Sequence[float]) -> np.ndarray:
    size = round((math.sqrt(8 * len(numbers) + 1) - 1) / 2)
    matrix = np.zeros((size, size))
    matrix[np.tril_indices(size)] = numbers
    return matrix


def _numbers(values: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in values)
