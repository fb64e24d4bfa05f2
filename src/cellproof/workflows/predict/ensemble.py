"""What an ensemble of different models predicts: the mean over its parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...inference.activate import Maps
from ...types import Heads

if TYPE_CHECKING:
    from .predictor import Predictor


def mean_of_parts(
    parts: Sequence[Predictor],
    image: np.ndarray,
    *,
    scales: Sequence[float],
    heads: Heads,
    progress: Callable[[int, int], None] | None = None,
    each: Callable[[int, Maps], None] | None = None,
    **options: Any,
) -> Maps:
    """Mean over the parts of the class probabilities, and of each further output over the parts that have it.

    Args:
        parts: The models, at least one; each counts alike, whatever its number of members.
        image: (C, H, W), prepared.
        scales: Scale at which each sees it.
        heads: Of the ensemble; other outputs of a part are left out.
        progress: See `Predictor.predict`; as if all parts had as many passes.
        each: See `Predictor.predict`; members are counted on from part to part, with all maps of their part.
        options: The others of `Predictor.predict`.

    Returns:
        Maps on the grid of the image.
    """
    total = np.zeros((heads.classes, *image.shape[1:]), np.float32)
    fields: dict[str, list[np.ndarray]] = {name: [] for name in heads.names}
    before = 0
    for number, (part, scale) in enumerate(zip(parts, scales, strict=True)):
        maps = part.predict(
            image,
            scale=scale,
            progress=_within(progress, number, len(parts)),
            each=None if each is None else _numbered(each, before),
            **options,
        )
        total += maps.probabilities
        for name in fields.keys() & maps.fields.keys():
            fields[name].append(maps.fields[name])
        before += len(part.engines)
    means = {name: np.mean(found, axis=0) if len(found) > 1 else found[0] for name, found in fields.items()}
    return Maps(total / len(parts), means)


def _within(progress: Callable[[int, int], None] | None, part: int, parts: int) -> Callable[[int, int], None] | None:
    """Progress of a part as that of the whole, as if all parts had as many passes."""
    return None if progress is None else lambda done, passes: progress(part * passes + done, parts * passes)


def _numbered(each: Callable[[int, Maps], None], before: int) -> Callable[[int, Maps], None]:
    """Members of a part counted on from those of the parts before it."""
    return lambda member, maps: each(before + member, maps)
