"""A small U-Net with random weights, since a room's tests build no real model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional


class SmallNet(nn.Module):
    """Three levels, two poolings (stride 4), every pixel outside a radius of 22 without influence."""

    stride_px = 4
    halo_px = 22

    def __init__(self, *, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.top = _block(in_channels, 8)
        self.middle = _block(8, 16)
        self.bottom = _block(16, 16)
        self.rise = _block(32, 8)
        self.finish = _block(16, 8)
        self.head = nn.Conv2d(8, out_channels, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        top = self.top(images)
        middle = self.middle(functional.max_pool2d(top, 2))
        bottom = self.bottom(functional.max_pool2d(middle, 2))
        middle = self.rise(torch.cat([functional.interpolate(bottom, scale_factor=2.0), middle], 1))
        return self.head(self.finish(torch.cat([functional.interpolate(middle, scale_factor=2.0), top], 1)))


def _block(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.BatchNorm2d(out_channels), nn.ReLU())


@pytest.fixture(scope="session")
def make_net() -> Callable[..., SmallNet]:
    """Build the same network for the same seed."""

    def make(*, seed: int = 0, in_channels: int = 2, out_channels: int = 7) -> SmallNet:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = SmallNet(in_channels=in_channels, out_channels=out_channels).eval()
            for tensor in net.buffers():
                if tensor.is_floating_point():
                    tensor.uniform_(0.5, 1.5)
            nn.init.normal_(net.head.weight, std=3.0)  # outputs as far apart as those of a trained network
        return net

    return make


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240607)
