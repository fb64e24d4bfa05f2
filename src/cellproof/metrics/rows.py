"""A score that says what it is: the row of a result table, and how rows over the same images are made."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Literal

import numpy as np

from .bootstrap import bootstrap_interval

Level = Literal["pixel", "object"]
Averaging = Literal["pooled", "mean over images", "one image"]
Background = Literal["included", "excluded", "no background class"]

_LEFT_OUT = "an image where prediction and reference have none is left out of the mean"


@dataclass(frozen=True)
class Row:
    """One number of a result table, with all that is needed to compare it with another table's.

    Attributes:
        metric: Name, e.g. ``"AP (StarDist)"``.
        value: The number; NaN where it is undefined.
        level: Whether pixels or objects were counted.
        averaging: "pooled": counts summed over images, then one formula. "mean over images": the formula on each
            image, then the mean. "one image": a row about a single image.
        class_or_threshold: Class name, IoU threshold, or which mean over them; empty where neither applies.
        background: Whether background pixels enter as a class of their own.
        empty_case: What was done where the formula has no answer.
        n_images: Images that entered the number.
        n_objects: Reference objects in them; None where there are no objects but class maps.
        group: Value of the attribute by which images were grouped; empty for all images.
        sd: Sample standard deviation over images of a mean over images; None elsewhere, and for one image.
        interval: 95 % bootstrap interval over images; None where not computed, NaN from fewer than five images.
        problem: What is wrong, for a row that reports an image without a usable prediction; empty elsewhere.
    """

    metric: str
    value: float
    level: Level
    averaging: Averaging
    class_or_threshold: str
    background: Background
    empty_case: str
    n_images: int
    n_objects: int | None
    group: str = ""
    sd: float | None = None
    interval: tuple[float, float] | None = None
    problem: str = ""


@dataclass(frozen=True)
class Scope:
    """What all rows over the same images have in common.

    Attributes:
        n_images: Number of images.
        n_objects: Reference objects in them; None for class maps.
        group: Name of the group of images; empty for all.
        seed: Of the bootstrap.
    """

    n_images: int
    n_objects: int | None
    group: str
    seed: int

    def row(
        self,
        metric: str,
        value: float,
        *,
        level: Level,
        empty_case: str,
        of: str = "",
        background: Background = "excluded",
    ) -> Row:
        """A pooled row."""
        return Row(
            metric=metric,
            value=value,
            level=level,
            averaging="pooled",
            class_or_threshold=of,
            background=background,
            empty_case=empty_case,
            n_images=self.n_images,
            n_objects=self.n_objects,
            group=self.group,
        )

    def interval(self, counts: Sequence[np.ndarray], formula: Callable[[np.ndarray], float]) -> tuple[float, float]:
        """Bootstrap interval of a pooled score; every row draws the same images, so that rows compare."""
        return bootstrap_interval(np.stack(counts), formula, rng=np.random.default_rng(self.seed))


def mean_over_images(pooled: Row, values: Sequence[float]) -> Row:
    """The pooled row's metric as a mean over those images where it is defined.

    Example:
        >>> pooled = Scope(2, 7, "", 0).row("F1", 0.7, level="object", empty_case="", of="0.5")
        >>> mean_over_images(pooled, [0.5, 1.0, math.nan]).value
        0.75
    """
    defined = [value for value in values if not math.isnan(value)]
    return replace(
        pooled,
        value=fmean(defined) if defined else math.nan,
        sd=stdev(defined) if len(defined) > 1 else None,
        averaging="mean over images",
        empty_case=_LEFT_OUT,
        n_images=len(defined),
        interval=None,
    )
