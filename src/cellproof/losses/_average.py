"""The precision and the weighted mean that every loss shares."""

from __future__ import annotations

import torch
from torch import Tensor


def at_least_float32(values: Tensor) -> Tensor:
    """The same values in float32, or in their own type where that is finer."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """``Σ weights × values / Σ weights``; 0 with zero gradient where all weights are 0.

    Args:
        values: Any shape.
        weights: The same shape, not negative. Values of weight 0 are left out even if they are not finite.
    """
    kept = torch.where(weights > 0, values, 0)
    return ratio_or_zero((kept * weights).sum(), weights.sum())


def ratio_or_zero(numerator: Tensor, denominator: Tensor) -> Tensor:
    """``numerator / denominator`` where the denominator is above 0, else 0 with zero gradient."""
    there = denominator > 0
    return torch.where(there, numerator, 0) / torch.where(there, denominator, 1)
