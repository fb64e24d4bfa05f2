"""Padding to a multiple of a network's stride.

Only the lower and right edges grow, so that pixel (0, 0) keeps its place on the pooling grid.
"""

from __future__ import annotations

import torch
from torch.nn import functional


def pad_to_stride(image: torch.Tensor, stride: int) -> torch.Tensor:
    """Grow (N, C, H, W) at its lower and right edges to multiples of ``stride``.

    An axis is mirrored about its last pixel; where it is too short for that, its last pixel is repeated.

    Returns:
        The image itself where nothing is missing.
    """
    height, width = image.shape[-2:]
    image = _pad_axis(image, (0, 0, 0, -height % stride), length=height)
    return _pad_axis(image, (0, -width % stride, 0, 0), length=width)


def _pad_axis(image: torch.Tensor, amounts: tuple[int, int, int, int], *, length: int) -> torch.Tensor:
    """Pad one axis of ``length`` pixels; ``amounts`` are (left, right, top, bottom)."""
    amount = sum(amounts)
    if not amount:
        return image
    return functional.pad(image, amounts, mode="reflect" if amount < length else "replicate")
