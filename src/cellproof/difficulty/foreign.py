"""Whether an image resembles those that a model was trained on: its distance from the nearest kind of training image.

A network is as sure of coins as of nuclei. What tells them apart are the features on its coarsest grid, and simple
statistics: how much contrast an image has at which scale, its intensities and colors, what its objects are like.
Degraded copies of training images are of their kind: how good a result is, is another question.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from ..checks import InputError, check_ndim, check_same_shape
from ..types import DeepProjection, ImageKind
from ._blur import sampled_blurs
from .deep import deep_statistics, fit_projection

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

LINE_QUANTILE = 0.99
"""Of held-out training images, as they are, so many lie below the line."""


@dataclass(frozen=True)
class Look:
    """What a training image, or a degraded copy of one, looks like.

    Attributes:
        statistics: See `image_statistics`.
        kind: Name of its kind; empty where it has none.
        deep: (F,) features of the network; None where it gives none.
        group: The image; copies share it. Empty for an image without copies.
        is_copy: Whether it is degraded.
    """

    statistics: Mapping[str, float]
    kind: str
    deep: np.ndarray | None = None
    group: str = ""
    is_copy: bool = False


@dataclass(frozen=True)
class Familiar:
    """What kinds of training images look like.

    Attributes:
        kinds: Each of them; none where foreign images shall not be noticed.
        projection: How deep features become statistics; None where there are none.
    """

    kinds: tuple[ImageKind, ...] = ()
    projection: DeepProjection | None = None


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


def fit_kinds(looks: Sequence[Look], *, folds: int = 5) -> Familiar:
    """Describe each kind of training image, and draw the line beyond which an image is foreign to it.

    Args:
        looks: Of the images, with the same statistics everywhere; all with deep features of the same number, or none.
        folds: Distances of held-out images, which the lines are drawn by, come from so many fits. Copies of an image
            are held out with it.

    Returns:
        One kind for each name of at least 2 images, copies not counted, in the names' order.

    Raises:
        InputError: no kind has 2 images.
    """
    own = [look.kind for look in looks if not look.is_copy]
    names = sorted({kind for kind in own if own.count(kind) > 1})
    if not names:
        raise InputError(f"{len(own)} images of {len(set(own))} kinds; give at least 2 images of a kind")
    looks = [look for look in looks if look.kind in names]
    out = _folds(looks, folds)
    held_out: dict[str, list[float]] = {name: [] for name in names}
    for fold in range(folds):
        kinds, projection = _fit([look for look, one in zip(looks, out, strict=True) if one != fold], names)
        for look, one in zip(looks, out, strict=True):
            if one == fold and not look.is_copy:
                row = np.array([[*look.statistics.values(), *_deep(projection, look.deep).values()]])
                held_out[look.kind].append(float(_distances(row, *kinds[look.kind])[0]))
    kinds, projection = _fit(looks, names)
    return Familiar(
        tuple(
            ImageKind(
                name=name,
                images=own.count(name),
                mean=_numbers(mean),
                whitening=_numbers(whitening[np.tril_indices(len(mean))]),
                line=round(float(np.quantile(held_out[name], LINE_QUANTILE)), 3),
            )
            for name, (mean, whitening) in kinds.items()
        ),
        projection,
    )


def foreignness(
    statistics: Mapping[str, float],
    kinds: Sequence[ImageKind],
    *,
    projection: DeepProjection | None = None,
    deep: np.ndarray | None = None,
) -> Foreignness:
    """Distance of an image from the nearest kind of training image.

    Args:
        statistics: From `image_statistics`.
        kinds: From `fit_kinds`, at least one.
        projection: From `fit_kinds`; None where it gave none.
        deep: (F,) features of the image, with a projection; None, as of a network that gives none, counts as usual.

    Raises:
        InputError: no kind, or another number of statistics than they have.
    """
    values = np.array([[*statistics.values(), *_deep(projection, deep).values()]], np.float64)
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
        # Of those that a person can look at; deep features have no name.
        found.append(Foreignness(ratio, kind.name, list(statistics)[int(alone[: len(statistics)].argmax())]))
    return min(found, key=lambda one: one.ratio)


def _folds(looks: Sequence[Look], folds: int) -> list[int]:
    """The fold that leaves each out: images of a kind in turn, copies with their image."""
    number: dict[tuple[str, str], int] = {}
    count: dict[str, int] = {}
    for place, look in enumerate(looks):
        key = look.kind, look.group or str(place)
        if key not in number:
            number[key] = count.get(look.kind, 0)
            count[look.kind] = number[key] + 1
    return [number[look.kind, look.group or str(place)] % folds for place, look in enumerate(looks)]


def _deep(projection: DeepProjection | None, deep: np.ndarray | None) -> dict[str, float]:
    return {} if projection is None else deep_statistics(projection, deep)


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


def _fit(
    looks: Sequence[Look], names: Sequence[str]
) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], DeepProjection | None]:
    """Mean and whitening of each kind; its covariance is drawn toward that of all kinds about their own means."""
    deep = [look.deep for look in looks if look.deep is not None]
    projection = fit_projection(np.stack(deep), [look.kind for look in looks]) if len(deep) == len(looks) else None
    rows = [[*look.statistics.values(), *_deep(projection, look.deep).values()] for look in looks]
    table, kinds = np.array(rows, np.float64), np.array([look.kind for look in looks])
    images = {name: sum(look.kind == name and not look.is_copy for look in looks) for name in names}
    means = {name: np.nan_to_num(np.nanmean(table[kinds == name], axis=0)) for name in names}
    centered = {name: np.nan_to_num(table[kinds == name] - means[name]) for name in names}
    own = {name: rows.T @ rows / len(rows) for name, rows in centered.items()}
    pooled = np.mean(list(own.values()), axis=0)
    floor = np.diag(np.full(table.shape[1], FLOOR_SD**2))
    found = {}
    for name, covariance in own.items():
        shared = (images[name] * covariance + POOLED_IMAGES * pooled) / (images[name] + POOLED_IMAGES) + floor
        root = np.linalg.cholesky(shared)
        found[name] = means[name], solve_triangular(root, np.eye(len(root)), lower=True)
    return found, projection


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
