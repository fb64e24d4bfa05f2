"""Detections, which may overlap, become maps in which every pixel has one owner."""

from __future__ import annotations

import numpy as np

from .detections import Detections, by_score, overlaps

MASK = 0.5
"""A pixel belongs to a detection from this probability of its mask on."""

LEAST_OWN = 0.5
"""A detection of whose pixels better ones own more than the rest is none: it claims what they have."""

SCORE, OVERLAP, FAINT = 0.4, 0.5, 0.3
"""Of `summed_masks`: least score, largest IoU of boxes, and the probability below which a pixel counts as 0."""

CERTAIN = 0.01
"""No probability comes nearer to 0 or 1: where nothing was detected something may still be missed."""


def claims(detections: Detections, shape: tuple[int, int]) -> np.ndarray:
    """Which detection owns each pixel: the best one that claims it.

    Detections are laid down from the best to the worst, each on what is still free; one that finds less than half of
    its pixels free is left out. So what owns a pixel does not depend on worse detections, and those below any score
    may be taken away afterwards.

    Args:
        detections: In any order.
        shape: Height and width.

    Returns:
        (3, H, W) float32: number 1…n of the owner by falling score, its score, and its mask's probability; 0 where
        there is none.

    References:
        Kirillov, He, Girshick, Rother, Dollár (2019). Panoptic segmentation. CVPR. doi:10.1109/CVPR.2019.00963,
        section 7 (no pixel is claimed twice; what lies hidden is left out).
    """
    maps = np.zeros((3, *shape), np.float32)
    ordered = by_score(detections)
    number = 0
    for score, (rows, columns, mask) in zip(ordered.scores, ordered.patches(shape), strict=True):
        own = maps[:, rows, columns]
        claimed = mask >= MASK
        free = claimed & (own[0] == 0)
        if not free.any() or free.sum() < LEAST_OWN * claimed.sum():
            continue
        number += 1
        own[0][free], own[1][free], own[2][free] = number, score, mask[free]
    return maps


def summed_masks(detections: Detections, shape: tuple[int, int]) -> np.ndarray:
    """Sum of the masks, of which a threshold makes one mask of the image.

    Boxes of a score below `SCORE` are left out, then those that overlap a better one; of the masks, faint pixels count
    as 0. A pixel whose sum reaches 0.9 is foreground in the paper.

    Args:
        detections: In any order.
        shape: Height and width.

    Returns:
        (H, W) float32, at least 0.

    References:
        Sawicki, Ulbæk, Huijben. Pixel-wise segmentation of microscopy images with deep learning. DTU.
    """
    total = np.zeros(shape, np.float32)
    kept = _without_overlapping(by_score(detections, least=SCORE))
    for rows, columns, mask in kept.patches(shape):
        total[rows, columns] += np.where(mask >= FAINT, mask, 0)
    return total


def _without_overlapping(ordered: Detections) -> Detections:
    kept: list[int] = []
    for place in range(len(ordered)):
        if not kept or overlaps(ordered.boxes[place], ordered.boxes[kept]).max() <= OVERLAP:
            kept.append(place)
    return ordered.take(np.array(kept, int))


def class_probabilities(detections: Detections, shape: tuple[int, int], *, classes: int) -> np.ndarray:
    """Probability of each class in each pixel, as if detections erred independently.

    A pixel is background unless one of the detections is an object and the pixel lies in it:
    P(background) = Π (1 - score × mask). The rest is divided among classes in proportion to the same for each of them.

    Args:
        detections: In any order.
        shape: Height and width.
        classes: Their number, with the background.

    Returns:
        (classes, H, W) float32, summing to 1; background everywhere without detections.
    """
    free = np.ones((classes, *shape), np.float32)
    for number, score, (rows, columns, mask) in zip(
        detections.classes, detections.scores, detections.patches(shape), strict=True
    ):
        if 0 < number < classes:
            free[number, rows, columns] *= 1 - score * mask
    background = np.clip(free[1:].prod(axis=0), CERTAIN, 1 - CERTAIN)
    of_class = np.maximum(1 - free[1:], 1e-6)
    shares = of_class / of_class.sum(axis=0) * (1 - background)
    return np.concatenate([background[None], shares])
