"""Distance between predicted and expected vectors in objects."""

from __future__ import annotations

from torch import Tensor

from ..types import IGNORE
from .squared_error import masked_mse


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


def term(outputs: Tensor, target: Tensor, *, class_map: Tensor, class_weights: Tensor | None) -> Tensor:
    """Mean squared difference of vectors in objects as a term of a recipe's loss.

    Cellpose multiplies its vectors by 5 instead of giving this term a weight.
    """
    return flow_loss(outputs, target, (class_map != IGNORE) & (class_map > 0))
