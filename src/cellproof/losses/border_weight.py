"""Cross-entropy that counts the narrow background between two objects more, as the original U-Net did.

References:
    Ronneberger, Fischer, Brox (2015). U-Net: convolutional networks for biomedical image segmentation. MICCAI, eq. 2.
    doi:10.1007/978-3-319-24574-4_28
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..checks import InputError
from ._average import weighted_mean
from ._pixel_losses import pixel_losses

MAPS = ("border_gap",)
"""What the term is given of each pixel besides its target; see `data.targets.border_gap`."""


def term(
    outputs: Tensor,
    target: Tensor,
    *,
    class_map: Tensor,
    class_weights: Tensor | None,
    border_gap: Tensor,
    strength: float = 10.0,
    sigma_px: float = 5.0,
) -> Tensor:
    """Mean cross-entropy, each pixel weighted by ``w_c + strength · exp(−gap² / (2 sigma_px²))``.

    Args:
        outputs: (N, C, H, W) logits.
        target: (N, H, W) classes, or (N, C, H, W) in [0, 1].
        class_map: (N, H, W), 255 where there is no annotation.
        class_weights: (C,) the w_c of the paper, which balances the classes; None for 1.
        border_gap: (N, H, W) distance to the nearest object plus that to the second nearest, in pixels; infinite
            inside of objects and where there is no second one.
        strength: Weight of background in a gap of no width, at least 0; the paper's w0.
        sigma_px: Width of gaps that count, above 0.

    Returns:
        Scalar >= 0, the weighted mean; 0 with zero gradient where no pixel is annotated.

    Raises:
        InputError: An option out of range.

    Examples:
        >>> class_map = torch.zeros(1, 1, 2, dtype=torch.uint8)
        >>> outputs = torch.tensor([[[0.0, 0.0]], [[-60.0, 0.0]]])[None]
        >>> gap = torch.tensor([[[float("inf"), 0.0]]])
        >>> loss = term(outputs, class_map, class_map=class_map, class_weights=None, border_gap=gap, strength=3.0)
        >>> round(loss.item() / 0.6931, 3)  # the second pixel, of loss log 2, weighs 4 of 5
        0.8
    """
    if strength < 0 or sigma_px <= 0:
        raise InputError(
            f"loss term border_weight: strength is {strength} and sigma_px {sigma_px}, expected at least 0 and above 0"
        )
    losses, annotated = pixel_losses(outputs, target, class_map=class_map, class_weights=None)
    own = torch.ones_like(losses)
    if class_weights is not None and target.ndim == 3:
        own = own * class_weights.to(losses)[target.long().where(annotated[:, 0], 0)][:, None]
    narrow = torch.exp(-(border_gap.to(losses)[:, None] ** 2) / (2 * sigma_px**2))
    return weighted_mean(losses, (own + strength * narrow) * annotated)
