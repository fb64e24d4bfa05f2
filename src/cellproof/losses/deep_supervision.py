"""Auxiliary outputs of a network in training, which any loss looks at too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from torch import Tensor


def deep_supervision(
    loss: Callable[[Tensor], Tensor], outputs: Tensor | Sequence[Tensor], *, weight: float | Literal["sum"] = 0.5
) -> Tensor:
    """``loss(outputs) + weight × mean of loss(auxiliary)``.

    Args:
        loss: (N, K, H, W) logits → scalar.
        outputs: Logits, or ``(logits, *auxiliary)`` as a model may return them in training mode; all of one shape.
        weight: What the auxiliary outputs count together, at least 0; 0 leaves them out. "sum": each as much as the
            logits.

    Returns:
        Scalar; the loss of the logits alone where there are no auxiliary ones.

    References:
        Lee, Xie, Gallagher, Zhang, Tu (2015). Deeply-supervised nets. AISTATS, eq. 3.

    Examples:
        >>> import torch
        >>> main, first, second = (torch.full((1, 2, 4, 4), value) for value in (1.0, 2.0, 4.0))
        >>> deep_supervision(lambda logits: logits.mean(), (main, first, second), weight=0.5).item()
        2.5
    """
    if isinstance(outputs, Tensor):
        return loss(outputs)
    main, *auxiliary = outputs
    together = len(auxiliary) if weight == "sum" else weight
    total = loss(main)
    if auxiliary and together:
        total = total + together / len(auxiliary) * sum(
            (loss(output) for output in auxiliary), start=total.new_zeros(())
        )
    return total
