"""Lovász-softmax: a surrogate of the intersection over union itself.

References:
    Berman, Rannen Triki, Blaschko (2018). The Lovász-softmax loss: a tractable surrogate for the optimization of the
    intersection-over-union measure in neural networks. CVPR. doi:10.1109/CVPR.2018.00464 (algorithm 1, eq. 11)
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..types import IGNORE
from ._average import at_least_float32, ratio_or_zero


def lovasz_softmax(logits: Tensor, class_map: Tensor, *, per_image: bool = False) -> Tensor:
    """Mean over the classes that the reference contains of the Lovász extension of ``1 − IoU``.

    Args:
        logits: (N, C, H, W).
        class_map: (N, H, W) class of each pixel, 255 where there is no annotation.
        per_image: Whether each image has its own IoU, whose mean is taken, or the batch has one.

    Returns:
        Scalar in [0, 1]; 0 with zero gradient where nothing is annotated. Where all probabilities are 0 or 1 it is
        one less the mean IoU.
    """
    probabilities = at_least_float32(logits).softmax(1)
    classes = class_map.long()
    images = [(probabilities[n], classes[n]) for n in range(len(classes))]
    if not per_image:
        images = [(probabilities.movedim(1, 0), classes)]
    each = [_of_class(p[c], known, c) for p, known in images for c in range(logits.shape[1])]
    losses, there = torch.stack([loss for loss, _ in each]), torch.stack([is_there for _, is_there in each])
    return ratio_or_zero(torch.where(there, losses, 0).sum(), there.sum().to(losses))


def _of_class(probability: Tensor, class_map: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Loss of a class, and whether the reference contains it."""
    valid = class_map.flatten() != IGNORE
    is_class = (class_map.flatten() == number).to(probability)
    errors = (is_class - probability.flatten()).abs()
    # Pixels that are left out err by nothing, so they come last and add nothing.
    errors, order = torch.where(valid, errors, 0).sort(descending=True)
    return (errors * _gradient(is_class[order], valid[order])).sum(), is_class.sum() > 0


def _gradient(is_class: Tensor, valid: Tensor) -> Tensor:
    """How much ``1 − IoU`` grows with each pixel that is wrong, from the largest error down."""
    total = is_class.sum()
    intersection = total - is_class.cumsum(0)
    union = total + ((1 - is_class) * valid).cumsum(0)
    jaccard = 1 - intersection / union.clamp_min(1)
    return torch.diff(jaccard, prepend=jaccard.new_zeros(1))


def term(
    outputs: Tensor, target: Tensor, *, class_map: Tensor, class_weights: Tensor | None, per_image: bool = False
) -> Tensor:
    """Lovász-softmax as a term of a recipe's loss: of the classes, or of an output of one channel that says yes or no.

    Examples:
        >>> said = torch.tensor([[60.0, -60.0, -60.0]])[None]
        >>> class_map = torch.tensor([[[1, 1, 0]]], dtype=torch.uint8)
        >>> fields = (class_map == 1)[:, None].float()
        >>> round(term(said[:, None], fields, class_map=class_map, class_weights=None).item(), 4)
        0.5
    """
    if target.ndim == 3:
        return lovasz_softmax(outputs, target, per_image=per_image)
    # A softmax over (0, logit) is the sigmoid of the logit.
    both = torch.cat([torch.zeros_like(outputs), outputs], dim=1)
    reference = (target[:, 0] >= 0.5).long().where(class_map != IGNORE, IGNORE)
    return lovasz_softmax(both, reference, per_image=per_image)
