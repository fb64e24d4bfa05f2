"""Squared distance between predicted and expected numbers, pixel by pixel."""

from __future__ import annotations

from torch import Tensor

from ._average import at_least_float32, weighted_mean
from ._weights import pixel_weights


def masked_mse(prediction: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of squared differences.

    Args:
        prediction: Any shape.
        target: The same shape.
        weights: The same shape, not negative; 0 or False leaves a pixel out.

    Returns:
        Scalar >= 0; 0 with zero gradient where all weights are 0.
    """
    prediction = at_least_float32(prediction)
    return weighted_mean((prediction - target.to(prediction)) ** 2, weights.to(prediction))


def term(
    outputs: Tensor, target: Tensor, *, class_map: Tensor, class_weights: Tensor | None, background: float = 1.0
) -> Tensor:
    """Mean squared error as a term of a recipe's loss; a background pixel counts ``background``, any other 1."""
    return masked_mse(outputs, target, pixel_weights(outputs, class_map, background=background))
