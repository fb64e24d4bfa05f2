"""Soft Dice: overlap of probabilities with the reference, class by class."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..types import IGNORE
from ._average import at_least_float32, ratio_or_zero


def soft_dice(
    logits: Tensor,
    class_map: Tensor,
    *,
    ignore: int = IGNORE,
    per_image: bool = False,
    include_background: bool = True,
) -> Tensor:
    """One less the mean of ``2 Σ p r / (Σ p + Σ r)`` over the classes that the reference contains.

    A class that the reference lacks would score 0 whatever the prediction, without any gradient, so it is
    left out of the mean; probability wrongly given to it is missed by the classes that are there.

    Args:
        logits: (N, C, H, W).
        class_map: (N, H, W) class of each pixel, uint8 or long.
        ignore: Value in the class map of pixels that are left out.
        per_image: Mean over the classes of each image (True), or sums over the batch first (False), which is
            steadier where classes are rare.
        include_background: Whether class 0 counts like the others.

    Returns:
        Scalar in [0, 1]; 0 with zero gradient where the reference contains no class that counts.

    References:
        Milletari, Navab, Ahmadi (2016). V-Net. 3DV, section 3, there with squares in the denominator.
        doi:10.1109/3DV.2016.79
    """
    probabilities = at_least_float32(logits).softmax(1)
    target = class_map.long()
    valid = target != ignore
    classes = logits.shape[1]
    reference = functional.one_hot(target.where(valid, 0), classes).movedim(-1, 1).to(probabilities)
    reference = reference * valid[:, None]
    probabilities = torch.where(valid[:, None], probabilities, 0)

    summed = (2, 3) if per_image else (0, 2, 3)
    overlap = (probabilities * reference).sum(summed)
    size = reference.sum(summed)
    dice = ratio_or_zero(2 * overlap, probabilities.sum(summed) + size)
    counts = size > 0
    if not include_background:
        counts = counts & (torch.arange(classes, device=counts.device) > 0)
    return ratio_or_zero(((1 - dice) * counts).sum(), counts.sum().to(dice))


def term(
    outputs: Tensor,
    target: Tensor,
    *,
    class_map: Tensor,
    class_weights: Tensor | None,
    per_image: bool = False,
    include_background: bool = True,
) -> Tensor:
    """Soft Dice as a term of a recipe's loss: of the classes, or of an output of one channel that says yes or no."""
    if target.ndim == 3:
        return soft_dice(outputs, target, per_image=per_image, include_background=include_background)
    # A softmax over (0, logit) is the sigmoid of the logit.
    both = torch.cat([torch.zeros_like(outputs), outputs], dim=1)
    reference = (target[:, 0] >= 0.5).long().where(class_map != IGNORE, IGNORE)
    return soft_dice(both, reference, per_image=per_image, include_background=False)
