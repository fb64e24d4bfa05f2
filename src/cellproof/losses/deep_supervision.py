"""Auxiliary outputs of a network in training: logits, which any loss looks at too, and views, which need no labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from ..types import LossTerm
from . import VIEWS, load


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


def part_views(outputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor | tuple[Tensor, ...], Tensor | None]:
    """A network's outputs in training mode: those that labels teach, and the pair of views; None without any.

    Examples:
        >>> logits, pair = torch.zeros(1, 2, 4, 4), torch.zeros(2, 1, 2, 4, 4)
        >>> part_views((logits, pair))[1].shape
        torch.Size([2, 1, 2, 4, 4])
        >>> part_views(logits)[1] is None
        True
    """
    if isinstance(outputs, Tensor) or outputs[-1].ndim != 5:
        return outputs, None
    labeled = outputs[:-1]
    return (labeled if len(labeled) > 1 else labeled[0]), outputs[-1]


def views_loss(views: Tensor | None, terms: Sequence[LossTerm]) -> Tensor | float:
    """``Σ weight × term(first view, second view)`` over the terms on views; 0 without views.

    Args:
        views: (2, N, K, h, w): two views of the same images, pixel by pixel.
        terms: Of the whole loss; those on other outputs are left out.

    Returns:
        Scalar.

    Examples:
        >>> pair = torch.stack([torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 3.0)])
        >>> views_loss(pair, [LossTerm("squared_error", 0.5, "views")]).item()
        4.5
    """
    if views is None:
        return 0.0
    first, second = views
    everywhere = torch.zeros((len(first), *first.shape[-2:]), dtype=torch.uint8, device=first.device)
    values = [
        term.weight * load(term.name)(first, second, class_map=everywhere, class_weights=None, **term.options)
        for term in terms
        if term.on == VIEWS and term.weight
    ]
    return sum(values, start=first.new_zeros(()))
