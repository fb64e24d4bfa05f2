"""Attention U-Net: a U-Net whose skip connections are weighted, pixel by pixel, by what the coarser level knows.

As in the widespread two-dimensional implementation, the gate works at the resolution of the skip connection, after
the coarser features were enlarged (nearest neighbor, then a 3 × 3 convolution); the paper, which is
three-dimensional, gates on the coarser grid.

References:
    Oktay et al. (2018). Attention U-Net: learning where to look for the pancreas. MIDL. arXiv 1804.03999
    github.com/LeeJunHyun/Image_Segmentation, ``AttU_Net``: 34.88 M parameters with 3 channels in and 1 out
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ._any_size import AnySize
from ._double_convolution import initialize, reach_px
from ._options import Norm, check_counts, check_norm, normalization
from ._padding import pad_to_stride


def build(
    *,
    in_channels: int,
    out_channels: int,
    width: int = 64,
    depth: int = 5,
    max_width: int = 1024,
    norm: Norm = "batch",
) -> AttentionUNet:
    """Make an Attention U-Net.

    Args:
        in_channels: Channels of the image.
        out_channels: Channels of the logits.
        width: Channels at full resolution; each level below has twice as many, up to ``max_width``.
        depth: Number of resolution levels, at least 2.
        max_width: Most channels that a level may have.
        norm: What follows each convolution.

    Raises:
        InputError: A number out of range or an unknown word.

    Examples:
        >>> network = build(in_channels=1, out_channels=2, width=4)
        >>> sorted(network.explain(torch.zeros(1, 1, 32, 32)))
        ['attention at 1/1', 'attention at 1/2', 'attention at 1/4', 'attention at 1/8']
    """
    check_counts(in_channels=in_channels, out_channels=out_channels, width=width, depth=depth, max_width=max_width)
    check_norm(norm)
    widths = tuple(min(width * 2**level, max_width) for level in range(depth))
    network = AttentionUNet(in_channels, out_channels, widths, norm=norm)
    initialize(network)
    return network


class AttentionUNet(AnySize):
    """The network; `build` describes its options."""

    def __init__(self, in_channels: int, out_channels: int, widths: tuple[int, ...], *, norm: Norm) -> None:
        depth = len(widths)
        super().__init__(in_channels, stride=2 ** (depth - 1), receptive_field_px=reach_px(depth, up_px=3))
        self.down = nn.ModuleList(_block(before, after, norm) for before, after in pairwise((in_channels, *widths)))
        self.enlarge = nn.ModuleList(
            nn.Sequential(nn.Upsample(scale_factor=2), *_convolution(coarse, fine, 3, norm), nn.ReLU(inplace=True))
            for fine, coarse in pairwise(widths)
        )
        self.gates = nn.ModuleList(_Gate(fine, norm) for fine in widths[:-1])
        self.up = nn.ModuleList(_block(2 * fine, fine, norm) for fine in widths[:-1])
        self.shrink = nn.MaxPool2d(2)
        self.head = nn.Conv2d(widths[0], out_channels, 1)

    def forward_aligned(self, image: torch.Tensor) -> torch.Tensor:
        """Logits of images whose height and width are multiples of ``stride``, without any check."""
        return self._run(image)[0]

    @torch.no_grad()
    def explain(self, image: torch.Tensor) -> dict[str, np.ndarray]:
        """How much each level lets through of its skip connection.

        Args:
            image: (1, in_channels, H, W) of any size.

        Returns:
            For each level above the coarsest an (H, W) map in (0, 1), named after its resolution.
        """
        height, width = image.shape[-2:]
        _, attention = self._run(pad_to_stride(image, self.stride))
        enlarged = {level: functional.interpolate(map_, scale_factor=2**level) for level, map_ in attention.items()}
        return {
            f"attention at 1/{2**level}": map_[0, 0, :height, :width].cpu().numpy() for level, map_ in enlarged.items()
        }

    def _run(self, image: torch.Tensor) -> tuple[torch.Tensor, dict[int, torch.Tensor]]:
        features = self.down[0](image)
        skips, attention = [], {}
        for block in self.down[1:]:
            skips.append(features)
            features = block(self.shrink(features))
        for level in reversed(range(len(skips))):
            enlarged = self.enlarge[level](features)
            attention[level] = self.gates[level](enlarged, skips[level])
            features = self.up[level](torch.cat([skips[level] * attention[level], enlarged], dim=1))
        return self.head(features), attention


class _Gate(nn.Module):
    """Additive attention (Oktay et al., eq. 1): sigmoid(psi(relu(W_g g + W_x x))), one value per pixel."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        between = max(1, channels // 2)
        self.of_gate = nn.Sequential(*_convolution(channels, between, 1, norm))
        self.of_skip = nn.Sequential(*_convolution(channels, between, 1, norm))
        self.psi = nn.Sequential(*_convolution(between, 1, 1, norm))

    def forward(self, gate: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.psi(torch.relu(self.of_gate(gate) + self.of_skip(skip))))


def _convolution(in_channels: int, out_channels: int, kernel: int, norm: Norm) -> list[nn.Module]:
    # The reference keeps the bias in front of the normalization; it is what makes the parameter counts equal.
    return [
        nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2),
        *normalization(norm, out_channels),
    ]


def _block(in_channels: int, out_channels: int, norm: Norm) -> nn.Sequential:
    return nn.Sequential(
        *_convolution(in_channels, out_channels, 3, norm),
        nn.ReLU(inplace=True),
        *_convolution(out_channels, out_channels, 3, norm),
        nn.ReLU(inplace=True),
    )
