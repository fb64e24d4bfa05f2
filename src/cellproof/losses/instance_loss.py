"""The loss of networks that tell classes and objects apart: one part for each head."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..checks import InputError
from ..types import IGNORE, Heads
from .binary_cross_entropy import binary_cross_entropy
from .cross_entropy import cross_entropy
from .dice import soft_dice
from .regression import flow_loss, smooth_l1


@dataclass(frozen=True)
class InstanceWeights:
    """How much each part counts; the weights of heads that a network lacks do not matter, 0 leaves a part out.

    Attributes:
        cross_entropy: Of the classes.
        dice: Soft Dice of the classes.
        boundary: Binary cross-entropy of the boundary.
        boundary_dice: Soft Dice of the boundary, which is thin: most pixels are none.
        distance: Smooth L1 of the distance.
        distance_background: What a background pixel counts in it, where one in an object counts 1.
        distance_beta: Difference at which the smooth L1 turns from a parabola into a line; distances lie in [0, 1].
        flow: Mean squared difference of the flow in objects; Cellpose multiplies its vectors by 5 instead.
        boundary_positive: What a boundary pixel counts in the binary cross-entropy, where any other counts 1.
    """

    cross_entropy: float = 1.0
    dice: float = 1.0
    boundary: float = 1.0
    boundary_dice: float = 0.5
    distance: float = 2.0
    distance_background: float = 0.3
    distance_beta: float = 0.1
    flow: float = 5.0
    boundary_positive: float = 1.0


def instance_loss(
    outputs: Tensor,
    class_map: Tensor,
    fields: Tensor,
    *,
    heads: Heads,
    weights: InstanceWeights | None = None,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Weighted sum of the losses of all heads; of the classes alone where the heads have no instances.

    Args:
        outputs: (N, K, H, W) of the network, channels as in ``heads``.
        class_map: (N, H, W) class of each pixel, uint8 or long; 255 pixels are left out of every part.
        fields: (N, F, H, W) targets of the heads after the classes: boundary, distance, flow row, flow column,
            those that are asked for; F = 0 without any.
        heads: What the channels mean; at least two classes.
        weights: How much each part counts; None for the defaults.
        class_weights: (classes,) weights of the cross-entropy, for rare classes; None for all alike.

    Returns:
        Scalar >= 0; 0 with zero gradient where no pixel is annotated.

    Raises:
        InputError: Channels that do not fit the heads.

    References:
        Flow in objects: Stringer, Wang, Michaelos, Pachitariu (2021). Cellpose. Nature Methods 18, 100-106.
        doi:10.1038/s41592-020-01018-x
    """
    _check_channels(outputs, fields, heads)
    weights = InstanceWeights() if weights is None else weights
    logits = outputs[:, heads.class_slice]
    total = logits.new_zeros((), dtype=torch.promote_types(outputs.dtype, torch.float32))
    if weights.cross_entropy:
        total = total + weights.cross_entropy * cross_entropy(logits, class_map, class_weights=class_weights)
    if weights.dice:
        total = total + weights.dice * soft_dice(logits, class_map)
    valid = class_map != IGNORE
    if heads.boundary:
        logit, target = outputs[:, heads.boundary_slice], _of(fields, heads.boundary_slice, heads)
        total = total + _boundary_loss(logit, target, valid=valid, weights=weights)
    if heads.distance:
        distance, target = outputs[:, heads.distance_slice], _of(fields, heads.distance_slice, heads)
        pixels = valid * torch.where(class_map > 0, 1.0, weights.distance_background)
        total = total + weights.distance * smooth_l1(distance, target, pixels[:, None], beta=weights.distance_beta)
    if heads.flows:
        flow, target = outputs[:, heads.flow_slice], _of(fields, heads.flow_slice, heads)
        total = total + weights.flow * flow_loss(flow, target, valid & (class_map > 0))
    return total


def _boundary_loss(logit: Tensor, target: Tensor, *, valid: Tensor, weights: InstanceWeights) -> Tensor:
    """Binary cross-entropy and soft Dice of the boundary, weighted."""
    entropy = binary_cross_entropy(logit, target, positive_weight=weights.boundary_positive, valid=valid[:, None])
    # A softmax over (0, logit) is the sigmoid of the logit.
    both = torch.cat([torch.zeros_like(logit), logit], dim=1)
    reference = (target[:, 0] >= 0.5).long().where(valid, IGNORE)
    dice = soft_dice(both, reference, include_background=False)
    return weights.boundary * entropy + weights.boundary_dice * dice


def _of(fields: Tensor, channels: slice, heads: Heads) -> Tensor:
    """The fields that belong to these output channels."""
    return fields[:, channels.start - heads.classes : channels.stop - heads.classes]


def _check_channels(outputs: Tensor, fields: Tensor, heads: Heads) -> None:
    if heads.classes < 2:
        raise InputError(
            f"heads have {heads.classes} class; a softmax needs at least 2, of which one may be background"
        )
    if outputs.shape[1] != heads.channels or fields.shape[1] != heads.channels - heads.classes:
        raise InputError(
            f"outputs have {outputs.shape[1]} channels and fields {fields.shape[1]}; "
            f"{heads} wants {heads.channels} and {heads.channels - heads.classes}"
        )
