"""Exponential moving average of weights: smoother, and better than the last step's."""

from __future__ import annotations

import copy

import torch
from torch import nn


class WeightAverage:
    """A second copy of a module whose weights trail the first.

    The decay grows from 0 as (1 + n) / (10 + n), so that the random start is forgotten soon
    (Kingma and Ba 2015 debias to the same end; this form is TensorFlow's).

    Attributes:
        module: The averaged copy, in evaluation mode.
        decay: Limit of the decay, in [0, 1).
        updates: Number of updates so far.
    """

    def __init__(self, module: nn.Module, *, decay: float) -> None:
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move the copy toward ``module``; running statistics are averaged, counters copied."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        current = module.state_dict()
        for name, value in self.module.state_dict().items():
            if value.is_floating_point():
                value.lerp_(current[name], 1 - decay)
            else:
                value.copy_(current[name])
