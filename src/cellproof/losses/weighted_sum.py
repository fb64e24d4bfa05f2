"""Several losses added up, each of which can still be seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..checks import InputError


@dataclass(frozen=True)
class Term:
    """One loss and how much it counts.

    Attributes:
        weight: Factor, above 0.
        function: (outputs, target) → scalar.
    """

    weight: float
    function: Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Total:
    """A weighted sum and what went into it.

    Attributes:
        value: The sum, a scalar to differentiate.
        terms: (T,) the terms before weighting, detached, in their order.
    """

    value: Tensor
    terms: Tensor


@dataclass(frozen=True)
class WeightedSum:
    """``Σ weight × function(outputs, target)`` over at least one term."""

    terms: tuple[Term, ...]

    def __post_init__(self) -> None:
        if not self.terms:
            raise InputError("a weighted sum without terms; give at least one Term")
        for term in self.terms:
            if not term.weight > 0:
                raise InputError(f"a term has weight {term.weight}, wanted above 0; leave out terms that do not count")

    def __call__(self, outputs: Tensor, target: Tensor) -> Total:
        """Evaluate every term once."""
        values = torch.stack([term.function(outputs, target) for term in self.terms])
        weights = values.new_tensor([term.weight for term in self.terms])
        return Total((weights * values).sum(), values.detach())
