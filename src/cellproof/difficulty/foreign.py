"""Whether an image resembles those that a model was trained on: its distance from the nearest kind of training image.

A network is as sure of coins as of nuclei. What tells them apart are the features on its coarsest grid and how much
contrast an image has at which scale; where a network gives no such features, all simple statistics. Degraded copies of
training images are of their kind, each way to degrade with its own mean: how good a result is, is another question.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from ..checks import InputError
from ..types import DeepProjection, ImageKind
from .deep import deep_statistics, fit_projection

POOLED_IMAGES = 10
"""So many images' weight has the covariance of all kinds together in that of each."""

FLOOR_SD = 0.05
"""Smallest standard deviation of a statistic: kinds that agree to less than this are not told apart by it."""

BESIDE_DEEP = "contrast_at_"
"""How the names of the statistics begin that count beside deep features: colors and objects the network tells itself,
and whether it is undecided is another question."""

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
        copy: How it was degraded; empty if not.
    """

    statistics: Mapping[str, float]
    kind: str
    deep: np.ndarray | None = None
    group: str = ""
    copy: str = ""


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
        statistic: Name of the statistic in which it differs most from that kind, alone; empty where deep features,
            which have no names, tell.
        gains_by_views: Of the nearest kind, see `ImageKind`.
    """

    ratio: float
    kind: str
    statistic: str
    gains_by_views: bool = False

    @property
    def note(self) -> str:
        """The sentence for a person; empty for an image like the training images."""
        if self.ratio <= 1:
            return ""
        kind = f"nearest kind: {self.kind}" if self.kind else ""
        oddest = f"differs most in {self.statistic.replace('_', ' ')}" if self.statistic else ""
        nearest = "; ".join(filter(None, (kind, oddest)))
        return f"unlike the training images ({nearest})" if nearest else "unlike the training images"


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
    own = [look.kind for look in looks if not look.copy]
    names = sorted({kind for kind in own if own.count(kind) > 1})
    if not names:
        raise InputError(f"{len(own)} images of {len(set(own))} kinds; give at least 2 images of a kind")
    looks = [look for look in looks if look.kind in names]
    out = _folds(looks, folds)
    held_out: dict[str, list[float]] = {name: [] for name in names}
    for fold in range(folds):
        kinds, projection = _fit([look for look, one in zip(looks, out, strict=True) if one != fold], names)
        for look, one in zip(looks, out, strict=True):
            if one == fold and not look.copy:
                held_out[look.kind].append(_distance(_row(look.statistics, projection, look.deep), *kinds[look.kind]))
    kinds, projection = _fit(looks, names)
    return Familiar(
        tuple(
            ImageKind(
                name=name,
                images=own.count(name),
                mean=_numbers(means[0]),
                whitening=_numbers(whitening[np.tril_indices(len(whitening))]),
                line=round(float(np.quantile(held_out[name], LINE_QUANTILE)), 3),
                degraded=tuple(_numbers(mean) for mean in means[1:]),
            )
            for name, (means, whitening) in kinds.items()
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
    values = _row(statistics, projection, deep)
    if not kinds or len(values) != len(kinds[0].mean):
        raise InputError(f"{len(values)} statistics and {len(kinds)} kinds; give those that the kinds were fitted on")
    found = []
    for kind in kinds:
        means, whitening = np.array([kind.mean, *kind.degraded]), _triangle(kind.whitening)
        ratio = _distance(values, means, whitening) / kind.line
        oddest = "" if projection else _oddest(list(statistics), values, means[0], whitening)
        found.append((ratio, kind.name, oddest, kind.gains_by_views))
    return Foreignness(*min(found))


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


def _oddest(names: Sequence[str], values: np.ndarray, mean: np.ndarray, whitening: np.ndarray) -> str:
    """The statistic that is the most standard deviations away, alone."""
    root = solve_triangular(whitening, np.eye(len(mean)), lower=True)
    return names[int((np.abs(np.nan_to_num(values - mean)) / np.linalg.norm(root, axis=1)).argmax())]


def _row(statistics: Mapping[str, float], projection: DeepProjection | None, deep: np.ndarray | None) -> np.ndarray:
    """What an image is judged by: its statistics, or the few of them that deep features do not tell, and those."""
    if projection is None:
        return np.array(list(statistics.values()), np.float64)
    few = [value for name, value in statistics.items() if name.startswith(BESIDE_DEEP)]
    return np.array([*few, *deep_statistics(projection, deep).values()], np.float64)


def _fit(
    looks: Sequence[Look], names: Sequence[str]
) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], DeepProjection | None]:
    """Means of each kind, that of images as they are first, and the whitening about its nearest mean.

    The covariance of a kind is drawn toward that of all kinds.
    """
    deep = [look.deep for look in looks if look.deep is not None]
    projection = fit_projection(np.stack(deep), [look.kind for look in looks]) if len(deep) == len(looks) else None
    means: dict[str, list[np.ndarray]] = {name: [] for name in names}
    apart: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for kind, copy in sorted({(look.kind, look.copy) for look in looks}):
        own = [look for look in looks if (look.kind, look.copy) == (kind, copy)]
        table = np.stack([_row(look.statistics, projection, look.deep) for look in own])
        known = np.isfinite(table)
        mean = np.where(known, table, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        means[kind].append(mean)
        apart[kind].append(np.nan_to_num(table - mean))
    covariances = {}
    for name, rows in apart.items():
        table = np.concatenate(rows)
        covariances[name] = table.T @ table / len(table)
    pooled = np.mean(list(covariances.values()), axis=0)
    found = {}
    for name, covariance in covariances.items():
        images = len(apart[name][0])
        shared = (images * covariance + POOLED_IMAGES * pooled) / (images + POOLED_IMAGES)
        root = np.linalg.cholesky(shared + FLOOR_SD**2 * np.eye(len(pooled)))
        found[name] = np.stack(means[name]), solve_triangular(root, np.eye(len(root)), lower=True)
    return found, projection


def _distance(values: np.ndarray, means: np.ndarray, whitening: np.ndarray) -> float:
    """Of the nearest mean; what is not a number does not count."""
    return float(np.linalg.norm(np.nan_to_num(values - means) @ whitening.T, axis=1).min())


def _triangle(numbers: Sequence[float]) -> np.ndarray:
    size = round((math.sqrt(8 * len(numbers) + 1) - 1) / 2)
    matrix = np.zeros((size, size))
    matrix[np.tril_indices(size)] = numbers
    return matrix


def _numbers(values: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in values)
