"""Cross-entropy of a softmax over classes, pixel by pixel."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from ..checks import InputError
from ..types import IGNORE
from ._average import at_least_float32, weighted_mean


def cross_entropy(
    logits: Tensor,
    class_map: Tensor,
    *,
    class_weights: Tensor | None = None,
    ignore: int = IGNORE,
) -> Tensor:
    """Weighted mean of ``−log P(class)`` over the annotated pixels.

    Args:
        logits: (N, C, H, W).
        class_map: (N, H, W) class of each pixel, uint8 or long.
        class_weights: (C,) how much a pixel of each class counts, not negative; None for all alike.
        ignore: Value in the class map of pixels that are left out.

    Returns:
        Scalar >= 0; 0 with zero gradient where no pixel is annotated.
    """
    target = class_map.long()
    losses = functional.cross_entropy(at_least_float32(logits), target, ignore_index=ignore, reduction="none")
    weights = (target != ignore).to(losses.dtype)
    if class_weights is not None:
        weights = weights * class_weights.to(losses)[target.where(target != ignore, 0)]
    return weighted_mean(losses, weights)


def term(outputs: Tensor, target: Tensor, *, class_map: Tensor, class_weights: Tensor | None) -> Tensor:
    """Cross-entropy as a term of a recipe's loss; of the classes only.

    Raises:
        InputError: The output is none of class logits.
    """
    if target.ndim != 3:
        raise InputError("the loss term cross_entropy compares classes; use it on classes, or binary_cross_entropy")
    return cross_entropy(outputs, target, class_weights=class_weights)
