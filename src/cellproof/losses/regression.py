"""Distances between predicted and wanted numbers, pixel by pixel."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from ._average import at_least_float32, weighted_mean


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


def flow_loss(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean squared difference of the components of vectors, inside objects only.

    Outside there is no way uphill, and what a network says there is never followed.

    Args:
        prediction: (N, 2, H, W) row and column components.
        target: The same shape, unit vectors.
        mask: (N, H, W), True in objects.

    Returns:
        Scalar >= 0, 0.5 for a prediction of zeros; 0 with zero gradient where there is no object.

    References:
        Stringer, Wang, Michaelos, Pachitariu (2021). Cellpose. Nature Methods 18, 100-106.
        doi:10.1038/s41592-020-01018-x
    """
    return masked_mse(prediction, target, mask[:, None].expand_as(prediction))
