"""Cross-entropy of one yes-or-no question a pixel."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..types import IGNORE
from ._average import at_least_float32, weighted_mean


def binary_cross_entropy(
    logits: Tensor, target: Tensor, *, positive_weight: float = 1.0, valid: Tensor | None = None
) -> Tensor:
    """Mean of ``−t log σ(logit) − (1−t) log σ(−logit)`` over the valid pixels.

    Args:
        logits: (N, H, W) or (N, 1, H, W).
        target: Same shape, probability of "yes" in [0, 1].
        positive_weight: Factor on the first term; above 1 where "yes" is rare.
        valid: Same shape, True where a pixel counts; None for all.

    Returns:
        Scalar >= 0; 0 with zero gradient where no pixel is valid.
    """
    logits = at_least_float32(logits)
    losses = functional.binary_cross_entropy_with_logits(
        logits, target.to(logits), pos_weight=logits.new_tensor(positive_weight), reduction="none"
    )
    return weighted_mean(losses, torch.ones_like(losses) if valid is None else valid.to(losses))


def term(
    outputs: Tensor,
    target: Tensor,
    *,
    class_map: Tensor,
    class_weights: Tensor | None,
    positive_weight: float = 1.0,
) -> Tensor:
    """Binary cross-entropy as a term of a recipe's loss: of an output whose targets lie in [0, 1]."""
    valid = (class_map != IGNORE)[:, None].expand_as(outputs)
    return binary_cross_entropy(outputs, target, positive_weight=positive_weight, valid=valid)
