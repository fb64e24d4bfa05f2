"""Whether the model that came of a training run can be used, in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from skimage.filters import threshold_otsu

from ...inference.activate import Maps
from ...metrics import pixel
from ...training.history import HistoryRow, best_row
from ...types import IGNORE, Heads, InstanceOptions, Sample
from .validate import limited, measure_objects

RISING_BY = 0.03
"""A score that rises by more in the last quarter of a run was still rising; the falling learning rate alone gives 0.01
or so."""

FEWEST_VALIDATIONS = 3
"""With fewer nobody can tell whether the score still rises."""

MOST_BASELINE_PIXELS = 4_000_000


def judge(
    histories: Sequence[Sequence[HistoryRow]],
    metrics: Mapping[str, float],
    *,
    baseline: tuple[float, str],
    has_instances: bool,
) -> tuple[str, ...]:
    """Sentences on what is wrong with a model; none where nothing is.

    Args:
        histories: Rows of each fold.
        metrics: Of the finished model on held-out images.
        baseline: Score that needs no training, and how it is had, from `trivial_score`.
        has_instances: Whether the model tells objects apart.

    Example:
        >>> scores = {5: 0.2, 10: 0.3, 20: 0.4}
        >>> rows = [HistoryRow(step, 1.0 * step, 1e-3, 1.0, score, {}) for step, score in scores.items()]
        >>> print(*judge([rows], {"mean_iou": 0.4}, baseline=(0.3, "…"), has_instances=False))
        undertrained: the score was still rising at the end (0.300 to 0.400); train again with more time
    """
    name = "ap50" if has_instances else "mean_iou"
    called = "AP at IoU 0.5" if has_instances else "mean IoU"
    found, (trivial, how) = metrics.get(name, float("nan")), baseline
    sentences = []
    if found < trivial or (np.isnan(found) and trivial > 0):
        sentences.append(
            f"the model is worse than {how}: {called} {found:.3f} against {trivial:.3f} on the held-out images; do not "
            "use it; train longer, or look whether the masks fit the images"
        )
    rising = [sentence for rows in histories if (sentence := _still_rising(rows))]
    if rising:
        sentences.append(f"undertrained: {rising[0]}; train again with more time")
    return tuple(sentences)


def trivial_score(samples: Sequence[Sample], *, heads: Heads) -> tuple[float, str]:
    """What is reached on held-out samples without any training, and how.

    With instances, AP at IoU 0.5 of the connected pieces beyond Otsu's threshold, bright or dark, whichever is
    better; without, the mean IoU of the most frequent class everywhere.

    Args:
        samples: At least one.
        heads: Of the network.
    """
    samples = limited(samples, most_pixels=MOST_BASELINE_PIXELS)
    if heads.has_instances:
        options = InstanceOptions(method="components")
        scores = [
            measure_objects(samples, [_beyond_threshold(sample.image, sign) for sample in samples], options)["ap50"]
            for sign in (1, -1)
        ]
        return float(np.nanmax([0.0, *scores])), "a threshold and connected pieces"
    counts = sum(
        np.bincount(sample.class_map[sample.class_map != IGNORE], minlength=heads.classes)[: heads.classes]
        for sample in samples
    )
    most = int(np.argmax(counts))
    confusions = [
        pixel.confusion(np.full_like(sample.class_map, most), sample.class_map, classes=heads.classes)
        for sample in samples
    ]
    iou = pixel.iou(sum(confusions[1:], start=confusions[0]))
    return float(np.nanmean(iou)), "giving every pixel the most frequent class"


def _beyond_threshold(image: np.ndarray, sign: int) -> Maps:
    """Maps (2, H, W) that are sure of foreground above Otsu's threshold of the mean channel, or below it."""
    gray = sign * image.mean(axis=0)
    inside = (gray > threshold_otsu(gray) if np.ptp(gray) else np.zeros(gray.shape, bool)).astype(np.float32)
    return Maps(np.stack([1 - inside, inside]))


def _still_rising(rows: Sequence[HistoryRow]) -> str:
    """In which way the score was still rising at the end; empty where it was not."""
    best = best_row(rows)
    if best is None or np.isnan(best.score):
        return ""
    if len(rows) < FEWEST_VALIDATIONS:
        if rows[-1].step == 1:
            return "a single step is too few to see the score come to rest"
        return f"{rows[-1].step} steps, of which {len(rows)} were validated, are too few to see the score come to rest"
    earlier = best_row([row for row in rows if row.step <= 0.75 * rows[-1].step])
    if earlier is None or not best.score - earlier.score > RISING_BY:
        return ""
    return f"the score was still rising at the end ({earlier.score:.3f} to {best.score:.3f})"
