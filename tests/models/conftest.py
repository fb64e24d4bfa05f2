"""A short training that every architecture must profit from."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn


@pytest.fixture
def learn() -> Callable[[nn.Module, torch.Tensor], list[float]]:
    """Losses of 25 steps in mixed precision and channels-last memory; the classes are thresholds of two channels."""

    def run(network: nn.Module, image: torch.Tensor) -> list[float]:
        network, image = (part.to(memory_format=torch.channels_last) for part in (network, image))
        optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
        classes = (image[:, 0] > 0).long() + (image[:, 1] > 1).long()
        losses = []
        for _ in range(25):
            with torch.autocast("cpu", torch.bfloat16):
                loss = nn.functional.cross_entropy(network(image).float(), classes)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    return run


@pytest.fixture
def drop() -> Callable[[nn.Module, torch.Tensor], list[torch.Tensor]]:
    """Logits in training after the seeds 1, 1 and 2."""

    @torch.no_grad()
    def run(network: nn.Module, image: torch.Tensor) -> list[torch.Tensor]:
        drawn = []
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            drawn.append(network.train()(image))
        return drawn

    return run
