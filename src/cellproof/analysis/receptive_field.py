"""Effective receptive field: how strongly each input pixel acts on one output pixel.

A pixel inside the theoretical receptive field may still have next to no influence, as few paths lead through it.

References:
    Luo, Li, Urtasun, Zemel (2016). Understanding the effective receptive field in deep convolutional neural networks.
    NeurIPS. arXiv:1701.04128
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from ..checks import InputError, check_finite, check_ndim


def effective_receptive_field(
    module: nn.Module,
    *,
    in_channels: int,
    size_px: tuple[int, int],
    position: tuple[int, int],
    rng: np.random.Generator,
    images: int = 20,
) -> np.ndarray:
    """Mean influence map over normally distributed random images.

    Args:
        module: A network (N, C, H, W) → (N, K, H, W); evaluated in evaluation mode, left as it was.
        in_channels: C.
        size_px: Height and width of the images.
        position: Row and column of the output pixel.
        rng: Source of the images.
        images: How many, at least 1.

    Returns:
        (H, W) float64, non-negative; see `influence_map`.
    """
    if images < 1:
        raise InputError(f"images is {images}, expected at least 1")
    total = np.zeros(size_px)
    for _ in range(images):
        total += influence_map(module, rng.standard_normal((in_channels, *size_px)), position=position)
    return total / images


def influence_map(module: nn.Module, image: np.ndarray, *, position: tuple[int, int]) -> np.ndarray:
    """Absolute gradient of one output pixel with respect to each input pixel.

    It is summed over the channels of the input and of the output, so that opposite classes do not cancel.

    Args:
        module: A network (N, C, H, W) → (N, K, H, W); evaluated in evaluation mode, left as it was.
        image: (C, H, W).
        position: Row and column of the output pixel.

    Returns:
        (H, W) float64, non-negative; zeros where the network does not look.

    Raises:
        InputError: the image has not three axes, is not finite, or the position lies outside it.
    """
    check_ndim(3, image=image)
    check_finite(image=image)
    row, column = position
    height, width = image.shape[1:]
    if not (0 <= row < height and 0 <= column < width):
        raise InputError(f"position {position} lies outside the image of {height} × {width} pixels")
    like = next(module.parameters(), torch.empty(0))
    pixels = torch.as_tensor(image[None], device=like.device, dtype=like.dtype).requires_grad_()
    was_training = module.training
    module.eval()
    try:
        with torch.enable_grad():
            logits = module(pixels)[0, :, row, column]
            gradients = [torch.autograd.grad(logit, pixels, retain_graph=True)[0] for logit in logits]
    finally:
        module.train(was_training)
    influence: np.ndarray = torch.stack(gradients).abs().sum((0, 1, 2)).double().cpu().numpy()
    return influence


def radius_px(influence: np.ndarray, *, position: tuple[int, int], share: float = 0.95) -> float:
    """Radius of the smallest disc around ``position`` that contains a fraction of all influence.

    Args:
        influence: (H, W) non-negative.
        position: Row and column of the disc's center.
        share: In (0, 1].

    Returns:
        Distance from the center to the outermost pixel center needed, ≥ 0. NaN where nothing has influence.
    """
    if not 0 < share <= 1:
        raise InputError(f"share is {share}, expected a number in (0, 1]")
    check_ndim(2, influence=influence)
    rows, columns = np.nonzero(influence)
    if not rows.size:
        return math.nan
    distances = np.hypot(rows - position[0], columns - position[1])
    order = np.argsort(distances, kind="stable")
    gathered = np.cumsum(influence[rows, columns][order])
    # The last sum is the total itself, so that share = 1 finds the outermost pixel in spite of rounding.
    return float(distances[order][np.searchsorted(gathered, share * gathered[-1])])


def reach_px(influence: np.ndarray, *, position: tuple[int, int]) -> int:
    """Largest row or column distance of a pixel that has any influence; 0 where none has.

    At most the theoretical receptive field, which it underestimates where pooling or a ReLU blocks the last path.
    """
    check_ndim(2, influence=influence)
    rows, columns = np.nonzero(influence)
    return int(max(np.abs(rows - position[0]).max(initial=0), np.abs(columns - position[1]).max(initial=0)))
