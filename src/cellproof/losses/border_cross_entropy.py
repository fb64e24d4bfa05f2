"""Cross-entropy in which the narrow background between objects counts more.

The weight map of the original U-Net falls off with the distance to the two nearest objects, which takes the objects'
ids. Here a background pixel counts more where a square of a given side that lies in background cannot cover it, which
the class map tells alone: gaps narrower than the square, and bays. Objects that touch have no gap; their common edge
is learned by the output "boundary".

References:
    Ronneberger, Fischer, Brox (2015). U-Net. MICCAI, equation 2. doi:10.1007/978-3-319-24574-4_28
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..checks import InputError
from ..types import IGNORE
from .cross_entropy import cross_entropy


def gap_weights(class_map: Tensor, *, gap_px: int = 9, border_weight: float = 5.0) -> Tensor:
    """What each pixel counts: ``border_weight`` in narrow background, else 1.

    Args:
        class_map: (N, H, W), 0 background; pixels without annotation, and those beyond the image, close no gap.
        gap_px: Side of the square, odd: background narrower than this counts more.
        border_weight: At least 1.

    Returns:
        (N, H, W) float32.

    Raises:
        InputError: A side that is even or below 3, or a weight below 1.

    Example:
        >>> gap_weights(torch.tensor([[[1, 0, 0, 1, 0, 0, 0]]]), gap_px=3, border_weight=4.0).tolist()
        [[[1.0, 4.0, 4.0, 1.0, 1.0, 1.0, 1.0]]]
    """
    if gap_px < 3 or gap_px % 2 == 0 or border_weight < 1:
        raise InputError(f"gap_px is {gap_px} and border_weight {border_weight}; expected an odd side from 3 and 1 up")
    radius = gap_px // 2
    annotated = class_map != IGNORE
    objects = ((class_map > 0) & annotated).float()[:, None]
    # Closing: grown and then shrunk. The frame is background, so that nothing is closed against the image's edge.
    framed = functional.pad(objects, (gap_px,) * 4)
    grown = functional.max_pool2d(framed, gap_px, stride=1, padding=radius)
    closed = -functional.max_pool2d(-grown, gap_px, stride=1, padding=radius)
    height, width = class_map.shape[1:]
    closed = closed[:, 0, gap_px : gap_px + height, gap_px : gap_px + width]
    narrow = (closed > 0) & (class_map == 0)
    return torch.where(narrow, torch.tensor(border_weight, device=class_map.device), 1.0).to(torch.float32)


def term(
    outputs: Tensor,
    target: Tensor,
    *,
    class_map: Tensor,
    class_weights: Tensor | None,
    gap_px: int = 9,
    border_weight: float = 5.0,
) -> Tensor:
    """The cross-entropy as a term of a recipe's loss; of the classes only.

    Raises:
        InputError: The output is none of class logits.
    """
    if target.ndim != 3:
        raise InputError("the loss term border_cross_entropy compares classes; use it on classes")
    weights = gap_weights(class_map, gap_px=gap_px, border_weight=border_weight)
    return cross_entropy(outputs, target, class_weights=class_weights, pixel_weights=weights)
