"""Detections of one image by several runs, of views or of networks, become one set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .detections import Detections, by_score, overlaps, sample_mask, together

SAME_OBJECT = 0.55
"""Boxes of one class that overlap by this IoU are one object; the paper's."""


def merge(runs: Sequence[Detections]) -> Detections:
    """The mean of what several runs found.

    Detections of one class, the best first, join the object whose mean box so far they overlap most, if by more than
    `SAME_OBJECT` and if their run has no part in it yet, else found one. An object's box is the mean of theirs,
    weighted by score; its mask the mean of theirs on that box; its score the sum of theirs over the number of runs, so
    that what one of eight runs finds counts an eighth.

    Args:
        runs: What each run found, at least one.

    Returns:
        The best first; the run itself where there is one.

    References:
        Solovyev, Wang, Gabruseva (2021). Weighted boxes fusion: ensembling boxes from different object detection
        models. Image and Vision Computing 107. doi:10.1016/j.imavis.2021.104117

    Example:
        >>> def one(left, score):
        ...     return Detections(np.array([[left, 0, left + 8, 8]]), np.array([score]), np.ones(1), np.ones((1, 2, 2)))
        >>> merged = merge([one(0, 0.9), one(1, 0.3)])
        >>> merged.boxes.tolist(), round(float(merged.scores[0]), 3)
        ([[0.25, 0.0, 8.25, 8.0]], 0.6)
    """
    if len(runs) == 1:
        return by_score(runs[0])
    every = together(runs)
    owner = np.concatenate([np.full(len(run), number) for number, run in enumerate(runs)])
    groups: list[list[int]] = []
    means = np.zeros((0, 4))
    for place in np.argsort(-every.scores, kind="stable").tolist():
        group = _home(place, every, owner, groups, means)
        if group is None:
            groups.append([place])
            means = np.concatenate([means, every.boxes[place : place + 1]])
        else:
            groups[group].append(place)
            means[group] = _mean_box(every.take(np.array(groups[group])))
    boxes = [_mean_box(every.take(np.array(group))) for group in groups]
    masks = [_mean_mask(every.take(np.array(group)), box) for group, box in zip(groups, boxes, strict=True)]
    side = every.masks.shape[-1]
    return by_score(
        Detections(
            boxes=np.array(boxes, np.float32).reshape(-1, 4),
            scores=np.array([every.scores[group].sum() / len(runs) for group in groups], np.float32),
            classes=np.array([every.classes[group[0]] for group in groups], np.int32),
            masks=np.array(masks, np.float32).reshape(-1, side, side),
        )
    )


def _home(
    place: int, every: Detections, owner: np.ndarray, groups: Sequence[Sequence[int]], means: np.ndarray
) -> int | None:
    """Number of the group that a detection joins; None for a new one."""
    found = overlaps(every.boxes[place], means)
    order: list[int] = np.argsort(-found, kind="stable").tolist()
    for group in order:
        if found[group] <= SAME_OBJECT:
            return None
        members = groups[group]
        if every.classes[members[0]] == every.classes[place] and owner[place] not in owner[members]:
            return group
    return None


def _mean_box(group: Detections) -> np.ndarray:
    weights = np.maximum(group.scores, 1e-6)
    return np.asarray(weights @ group.boxes / weights.sum())


def _mean_mask(group: Detections, box: np.ndarray) -> np.ndarray:
    """Mean of the group's masks, each laid on cells of a box; 0 where a cell's center is outside of its own box."""
    side = group.masks.shape[-1]
    scale = side / np.maximum(box[2:] - box[:2], 1e-6)
    # In units of cells of the mean box, its cells are pixels, whose centers the masks are sampled at.
    inside = np.concatenate([(group.boxes[:, :2] - box[:2]) * scale, (group.boxes[:, 2:] - box[:2]) * scale], axis=1)
    whole = slice(0, side)
    centers = np.arange(side) + 0.5
    total = np.zeros((side, side), np.float32)
    for own, mask in zip(inside, group.masks, strict=True):
        rows, columns = ((centers >= own[axis]) & (centers <= own[axis + 2]) for axis in (1, 0))
        total += sample_mask(mask, own, whole, whole) * rows[:, None] * columns
    return total / len(group)


def distinct(found: Detections) -> Detections:
    """Without those that overlap a better one of their class, as neighboring windows see one object twice.

    Example:
        >>> boxes = np.array([[0, 0, 8, 8], [1, 0, 9, 8], [20, 0, 28, 8]])
        >>> twice = Detections(boxes, np.array([0.8, 0.9, 0.7]), np.ones(3), np.ones((3, 2, 2)))
        >>> distinct(twice).boxes[:, 0].tolist()
        [1, 20]
    """
    ordered = by_score(found)
    kept: list[int] = []
    for place in range(len(ordered)):
        same = [other for other in kept if ordered.classes[other] == ordered.classes[place]]
        if not same or overlaps(ordered.boxes[place], ordered.boxes[same]).max() <= SAME_OBJECT:
            kept.append(place)
    return ordered.take(np.array(kept, int))
