"""Cross-entropy of one yes-or-no question a pixel."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..checks import InputError
from ..types import IGNORE
from ._average import at_least_float32, weighted_mean


def binary_cross_entropy(
    logits: Tensor, target: Tensor, *, positive_weight: float = 1.0, valid: Tensor | None = None
) -> Tensor:
    """Mean of ``−t log σ(logit) − (1−t) log σ(−logit)`` over the valid pixels.

    Args:
        logits: (N, H, W) or (N, 1, H, W).
        target: Same shape, probability of "yes" in [0, 1].
        positive_weight: Factor on the first term; above 1 where "yes" is rare.
        valid: Same shape, True where a pixel counts; None for all.

    Returns:
        Scalar >= 0; 0 with zero gradient where no pixel is valid.
    """
    logits = at_least_float32(logits)
    losses = functional.binary_cross_entropy_with_logits(
        logits, target.to(logits), pos_weight=logits.new_tensor(positive_weight), reduction="none"
    )
    return weighted_mean(losses, torch.ones_like(losses) if valid is None else valid.to(losses))


def term(
    outputs: Tensor,
    target: Tensor,
    *,
    class_map: Tensor,
    class_weights: Tensor | None,
    positive_weight: float | str = 1.0,
) -> Tensor:
    """Binary cross-entropy as a term of a recipe's loss: of an output whose targets lie in [0, 1], or of two classes.

    The logit of the second of two classes is the difference of both: a softmax of two is a sigmoid.

    Args:
        outputs: (N, C, H, W) logits.
        target: (N, C, H, W) in [0, 1], or (N, H, W) class of each pixel, of which there are two.
        class_map: (N, H, W).
        class_weights: Of two classes, with ``[loss] balance_classes``.
        positive_weight: Factor on "yes"; "data" for the ratio of the class weights, which with ``balance_classes = 1``
            is that of negative to positive pixels.

    Raises:
        InputError: Other than two classes, or "data" without class weights.
    """
    if positive_weight == "data":
        if class_weights is None:
            raise InputError('positive_weight is "data", which needs [loss] balance_classes = 1; set it, or a number')
        positive_weight = float(class_weights[1] / class_weights[0])
    elif isinstance(positive_weight, str):
        raise InputError(f'positive_weight is {positive_weight!r}, expected a number or "data"')
    valid = class_map != IGNORE
    if target.ndim == 3:
        if outputs.shape[1] != 2:
            raise InputError(
                f"the loss term binary_cross_entropy compares two classes, there are {outputs.shape[1]}; "
                "use cross_entropy"
            )
        logits = outputs[:, 1] - outputs[:, 0]
        is_second = (target == 1).to(logits)
        return binary_cross_entropy(logits, is_second, positive_weight=positive_weight, valid=valid)
    valid = valid[:, None].expand_as(outputs)
    return binary_cross_entropy(outputs, target, positive_weight=positive_weight, valid=valid)
