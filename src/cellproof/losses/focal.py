"""Focal loss: pixels that are known already count ever less.

References:
    Lin, Goyal, Girshick, He, Dollár (2017). Focal loss for dense object detection. ICCV, eq. 4.
    doi:10.1109/ICCV.2017.324
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..checks import InputError
from ._average import weighted_mean
from ._pixel_losses import pixel_losses


def term(
    outputs: Tensor, target: Tensor, *, class_map: Tensor, class_weights: Tensor | None, gamma: float = 2.0
) -> Tensor:
    """Mean of ``(1 − P)^gamma · −log P`` as a term of a recipe's loss: of the classes, or of yes-or-no outputs.

    P is the probability given to what the reference says. Of outputs whose target lies between 0 and 1, ``−log P`` is
    the cross-entropy, and P what follows from it.

    Args:
        outputs: (N, C, H, W) logits.
        target: (N, H, W) classes, or (N, C, H, W) in [0, 1].
        class_map: (N, H, W), 255 where there is no annotation.
        class_weights: (C,) factors by class; None for all alike.
        gamma: How fast known pixels lose weight, at least 0; 0 is the cross-entropy.

    Returns:
        Scalar >= 0; 0 with zero gradient where no pixel is annotated.

    Raises:
        InputError: A negative gamma.

    Examples:
        >>> sure = torch.tensor([0.0, 4.0])[None, :, None, None]
        >>> class_map = torch.ones(1, 1, 1, dtype=torch.uint8)
        >>> told = {"class_map": class_map, "class_weights": None}
        >>> [round(term(sure, class_map, gamma=gamma, **told).item(), 6) for gamma in (0.0, 2.0)]
        [0.01815, 6e-06]
    """
    if gamma < 0:
        raise InputError(f"loss term focal: gamma is {gamma}, expected a number from 0")
    losses, annotated = pixel_losses(outputs, target, class_map=class_map, class_weights=None)
    # 1 - exp(-loss) keeps the digits of small losses; the least one keeps the gradient of a power below 1 finite.
    unknown = (-torch.expm1(-losses)).clamp_min(torch.finfo(losses.dtype).tiny)
    values = unknown**gamma * losses
    weights = annotated.to(values)
    if class_weights is not None and target.ndim == 3:
        weights = weights * class_weights.to(values)[target.long().where(annotated[:, 0], 0)][:, None]
    return weighted_mean(values, weights)
