"""Features that are scaled and shifted by what a network is told of the whole image.

References:
    Perez, Strub, de Vries, Dumoulin, Courville (2018). FiLM: visual reasoning with a general conditioning layer. AAAI.
    doi:10.1609/aaai.v32i1.11671
"""

from __future__ import annotations

import torch
from torch import nn


class Film(nn.Module):
    """``(1 + γ(told)) × features + β(told)``, one γ and β per channel; the identity before training.

    Args:
        told: How many numbers are told of an image.
        channels: Of the features.

    Examples:
        >>> film = Film(2, 3)
        >>> features = torch.ones(1, 3, 1, 1)
        >>> film(features, torch.tensor([[0.0, 1.0]])).equal(features)
        True
    """

    def __init__(self, told: int, channels: int) -> None:
        super().__init__()
        self.numbers = nn.Linear(told, 2 * channels)
        if not self.numbers.weight.is_meta:
            nn.init.zeros_(self.numbers.weight)
            nn.init.zeros_(self.numbers.bias)

    def forward(self, features: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        """Features (N, C, H, W), modulated by what is told (N, K)."""
        gamma, beta = self.numbers(told)[:, :, None, None].chunk(2, dim=1)
        return features * (1 + gamma) + beta


def told_of(image: torch.Tensor, conditions: int) -> torch.Tensor:
    """What the last channels of an image (N, C, H, W), each constant, tell of it: (N, conditions).

    The largest value, for padding may have added zeros.
    """
    return image[:, -conditions:].amax(dim=(2, 3))
