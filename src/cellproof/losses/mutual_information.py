"""Invariant information clustering: what the clusters of one view of a pixel tell of those of another.

References:
    Ji, Henriques, Vedaldi (2019). Invariant information clustering for unsupervised image classification and
    segmentation. ICCV. arXiv 1807.06653 (eq. 3; eq. 5 with displacement 0)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..checks import InputError
from ..types import IGNORE
from ._average import at_least_float32, ratio_or_zero


def missing_information(first: Tensor, second: Tensor, weights: Tensor) -> Tensor:
    """``ln K − I(a; b)`` of the clusters a and b of two views, in nats.

    The joint distribution is the mean of the outer product of both softmaxes over pixels, made symmetric.

    Args:
        first: (N, K, H, W) logits of K clusters.
        second: The same of the other view, pixel on pixel.
        weights: (N, H, W) how much each pixel counts, not negative.

    Returns:
        Scalar in [0, ln K]: 0 where both views name the same of K equally frequent clusters without doubt, ln K where
        they tell nothing of each other, as when all pixels are in one cluster; 0 with zero gradient where all weights
        are 0.

    Examples:
        >>> sure = 50 * torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).view(1, 2, 1, 2)
        >>> alike = missing_information(sure, sure, torch.ones(1, 1, 2))
        >>> alone = missing_information(sure[..., :1], sure[..., :1], torch.ones(1, 1, 1))
        >>> round(abs(alike.item()), 4), round(alone.item(), 4)
        (0.0, 0.6931)
    """
    clusters = first.shape[1]
    a = at_least_float32(first).softmax(dim=1)
    b, weights = second.to(a).softmax(dim=1), weights.to(a)
    joint = ratio_or_zero(torch.einsum("nihw,njhw,nhw->ij", a, b, weights), weights.sum())
    # The logarithm of 0 is infinite, and its gradient no number.
    joint = ((joint + joint.T) / 2).clamp(min=torch.finfo(joint.dtype).tiny)
    rows, columns = joint.sum(dim=1, keepdim=True), joint.sum(dim=0, keepdim=True)
    information = (joint * (joint.log() - rows.log() - columns.log())).sum()
    return (math.log(clusters) - information).clamp(min=0) * (weights.sum() > 0)


def term(outputs: Tensor, target: Tensor, *, class_map: Tensor, class_weights: Tensor | None) -> Tensor:
    """Information that two views lack of each other, as a term of a recipe's loss.

    Raises:
        InputError: The target is no second view.
    """
    if target.shape != outputs.shape:
        raise InputError("the loss term mutual_information compares two views of an image; use it on views")
    return missing_information(outputs, target, class_map != IGNORE)
