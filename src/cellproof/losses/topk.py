"""Only the K worst pixels teach: online hard example mining, pixel by pixel.

A small K from the first step on starves a network that knows nothing yet: its worst pixels are noise, whose gradients
contradict each other from step to step. With ``descent``, all pixels teach at first and ever fewer of them later.

References:
    Shrivastava, Gupta, Girshick (2016). Training region-based object detectors with online hard example mining. CVPR.
    doi:10.1109/CVPR.2016.89
    Wu, Shen, van den Hengel (2016). High-performance semantic segmentation using very deep fully convolutional
    networks. arXiv:1604.04339 (of pixels, section 3.2)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..checks import InputError
from ._average import ratio_or_zero
from ._pixel_losses import pixel_losses


def fraction_at(progress: float, *, fraction: float, descent: float) -> float:
    """Fraction of the pixels that teach at a moment of the training.

    Args:
        progress: Fraction of the training that is done, in [0, 1].
        fraction: That at the end of the descent, in (0, 1].
        descent: Fraction of the training over which it falls linearly from 1; 0 for at once.

    Returns:
        A number in [fraction, 1].

    Examples:
        >>> [fraction_at(p, fraction=0.1, descent=0.5) for p in (0.0, 0.25, 0.5, 1.0)]
        [1.0, 0.55, 0.1, 0.1]
    """
    if progress >= descent:
        return fraction
    return 1.0 - (1.0 - fraction) * progress / descent


def hardest_mean(losses: Tensor, counted: Tensor, *, fraction: float, per_image: bool = True) -> Tensor:
    """Mean of the largest losses.

    Args:
        losses: (N, …) at least 0.
        counted: Same shape, whether a value may be among them at all.
        fraction: Of the counted values of an image, rounded up, in (0, 1].
        per_image: Whether each image gives its own K values, or the batch its largest ones wherever they lie.

    Returns:
        Scalar >= 0: the mean over all values kept; 0 with zero gradient where none is counted.

    Raises:
        InputError: A fraction out of range.

    Examples:
        >>> losses = torch.tensor([[4.0, 1.0, 3.0, 2.0], [8.0, 7.0, 6.0, 5.0]])
        >>> every = torch.ones_like(losses, dtype=torch.bool)
        >>> [hardest_mean(losses, every, fraction=0.5, per_image=each).item() for each in (True, False)]
        [5.5, 6.5]
    """
    if not 0 < fraction <= 1:
        raise InputError(f"fraction is {fraction}, expected a number in (0, 1]")
    rows = len(losses) if per_image else 1
    values, counted = losses.reshape(rows, -1), counted.reshape(rows, -1)
    # What does not count ranks last, behind a loss of 0; how many count is known on the device alone.
    most = _how_many(fraction, values.shape[1])
    largest, places = torch.where(counted, values, -1).topk(most, dim=1)
    kept = torch.ceil(fraction * counted.sum(1, keepdim=True) - 1e-6)
    kept = (torch.arange(most, device=values.device) < kept) & counted.gather(1, places)
    return ratio_or_zero(torch.where(kept, largest, 0).sum(), kept.sum().to(values))


def term(
    outputs: Tensor,
    target: Tensor,
    *,
    class_map: Tensor,
    class_weights: Tensor | None,
    progress: float = 1.0,
    fraction: float = 0.1,
    count: int = 0,
    per_image: bool = True,
    descent: float = 0.0,
) -> Tensor:
    """Cross-entropy of the hardest pixels, as a term of a recipe's loss: of the classes, or of yes-or-no outputs.

    Args:
        outputs: (N, C, H, W) logits.
        target: (N, H, W) classes, or (N, C, H, W) in [0, 1].
        class_map: (N, H, W), 255 where there is no annotation.
        class_weights: (C,) factors by class, also in the ranking; None for all alike.
        progress: Fraction of the training that is done, in [0, 1].
        fraction: K as a fraction of the annotated pixels, in (0, 1]; without a count.
        count: K as a number of pixels: of each image, or of the batch; 0 for the fraction.
        per_image: Whether K pixels are taken of each image, or of the batch as a whole.
        descent: Fraction of the training over which K falls from all pixels to itself, in [0, 1].

    Raises:
        InputError: An option out of range; K larger than the number of pixels.
    """
    losses, annotated = pixel_losses(outputs, target, class_map=class_map, class_weights=class_weights)
    if not 0 <= descent <= 1:
        raise InputError(f"loss term topk: descent is {descent}, expected a number in [0, 1]")
    if count:
        pixels = losses[0].numel() if per_image else losses.numel()
        if not 0 < count <= pixels:
            where = "image" if per_image else "batch"
            raise InputError(
                f"loss term topk: count is {count}, expected 1 to {pixels}, the values of one {where}; "
                "lower it, or give a fraction"
            )
        fraction = count / pixels
    fraction = fraction_at(progress, fraction=fraction, descent=descent)
    return hardest_mean(losses, annotated, fraction=fraction, per_image=per_image)


def _how_many(fraction: float, values: int) -> int:
    """Values in a fraction, rounded up; a fraction that was made of a whole number gives it back."""
    return max(1, math.ceil(fraction * values - 1e-6))
