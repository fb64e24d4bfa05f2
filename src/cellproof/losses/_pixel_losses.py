"""The cross-entropy of every pixel, of classes or of yes-or-no questions, before any mean is taken."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..types import IGNORE
from ._average import at_least_float32


def pixel_losses(
    outputs: Tensor, target: Tensor, *, class_map: Tensor, class_weights: Tensor | None
) -> tuple[Tensor, Tensor]:
    """``−log P(what the reference says)`` of each pixel, and which pixels count.

    Args:
        outputs: (N, C, H, W) logits.
        target: (N, H, W) class map where the outputs are classes, else (N, C, H, W) probabilities of "yes" in [0, 1].
        class_map: (N, H, W), 255 where there is no annotation.
        class_weights: (C,) factors by class, where the outputs are classes; None for all alike.

    Returns:
        Losses (N, C', H, W), at least 0, in nats, 0 where nothing is annotated, with C' = 1 for classes; and whether
        each counts, of the same shape.
    """
    outputs = at_least_float32(outputs)
    annotated = (class_map != IGNORE)[:, None]
    if target.ndim == 4:
        losses = functional.binary_cross_entropy_with_logits(outputs, target.to(outputs), reduction="none")
        annotated = annotated.expand_as(losses)
        return torch.where(annotated, losses, 0), annotated
    classes = target.long()
    losses = functional.cross_entropy(outputs, classes, ignore_index=IGNORE, reduction="none")[:, None]
    if class_weights is not None:
        losses = losses * class_weights.to(losses)[classes.where(classes != IGNORE, 0)][:, None]
    return losses, annotated
