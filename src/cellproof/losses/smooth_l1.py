"""Smooth L1 distance between predicted and expected numbers, pixel by pixel."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from ._average import at_least_float32, weighted_mean
from ._weights import pixel_weights


def smooth_l1(prediction: Tensor, target: Tensor, weights: Tensor, *, beta: float = 1.0) -> Tensor:
    """Weighted mean of differences ``d``: ``d² / 2 beta`` below ``beta``, ``|d| − beta / 2`` above.

    Args:
        prediction: Any shape.
        target: The same shape.
        weights: The same shape, not negative; 0 or False leaves a pixel out.
        beta: Difference at which the parabola becomes a line, above 0.

    Returns:
        Scalar >= 0; 0 with zero gradient where all weights are 0.

    References:
        Girshick (2015). Fast R-CNN. ICCV, eq. 3. doi:10.1109/ICCV.2015.169
    """
    prediction = at_least_float32(prediction)
    losses = functional.smooth_l1_loss(prediction, target.to(prediction), beta=beta, reduction="none")
    return weighted_mean(losses, weights.to(prediction))


def term(
    outputs: Tensor,
    target: Tensor,
    *,
    class_map: Tensor,
    class_weights: Tensor | None,
    background: float = 0.3,
    beta: float = 0.1,
) -> Tensor:
    """Smooth L1 as a term of a recipe's loss.

    Args:
        outputs: (N, C, H, W).
        target: The same shape.
        class_map: (N, H, W), which tells objects from background.
        class_weights: Not used.
        background: What a background pixel counts, where one in an object counts 1.
        beta: Difference at which the parabola becomes a line.
    """
    return smooth_l1(outputs, target, pixel_weights(outputs, class_map, background=background), beta=beta)
