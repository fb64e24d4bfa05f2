"""What U-Net and its relatives are built of: double convolutions, their start values, and how far they see."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from ._options import normalization

Norm = Literal["none", "batch", "batch_renorm", "group"]


class DoubleConvolution(nn.Module):
    """Twice 3 × 3 convolution, normalization, ReLU; with a residual connection before the last ReLU if wanted.

    ``dropout`` drops channels of what comes out, ``unit_dropout`` single values after each of the two convolutions.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        norm: Norm,
        residual: bool = False,
        dropout: float = 0.0,
        unit_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        activation: nn.Module = nn.ReLU(inplace=True)
        if unit_dropout:
            # One module in the place of the other, so that weights keep their names.
            activation = nn.Sequential(activation, nn.Dropout(unit_dropout))
        self.body = nn.Sequential(
            *convolution(in_channels, out_channels, 3, norm),
            activation,
            *convolution(out_channels, out_channels, 3, norm),
        )
        self.shortcut: nn.Module | None = None
        if residual:
            same = in_channels == out_channels
            self.shortcut = nn.Identity() if same else nn.Sequential(*convolution(in_channels, out_channels, 1, norm))
        self.activation = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(unit_dropout) if unit_dropout else nn.Dropout2d(dropout)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        convolved = self.body(features)
        if self.shortcut is not None:
            convolved = convolved + self.shortcut(features)
        return self.dropout(self.activation(convolved))


def convolution(in_channels: int, out_channels: int, kernel: int, norm: Norm) -> list[nn.Module]:
    """A padded convolution and its normalization, whose shift makes a bias superfluous."""
    convolution = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=norm == "none")
    if norm == "group":
        # 8 groups where they fit; Wu & He (2018) find 2 to 32 equally good.
        return [convolution, nn.GroupNorm(next(n for n in (8, 4, 2, 1) if out_channels % n == 0), out_channels)]
    return [convolution, *normalization(norm, out_channels)]


def initialize(network: nn.Module) -> None:
    """He's normal initialization before a ReLU, variance-preserving elsewhere; biases 0."""
    for module in network.modules():
        # On the meta device there are no values, and torch would load its compiler to draw none.
        if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d) or module.weight.is_meta:
            continue
        if isinstance(module, nn.ConvTranspose2d) or module.kernel_size == (1, 1):
            # With stride = kernel, each output pixel of a transposed convolution is one tap of each input channel.
            nn.init.normal_(module.weight, std=module.in_channels**-0.5)
        else:
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def reach_px(depth: int, *, up_px: int) -> int:
    """Radius of the receptive field of a U-shaped network, the largest over the places on its pooling grid.

    An interval of needed pixels is followed from one output pixel down to the coarsest level and up to the image;
    every skip connection needs less than that path.

    Args:
        depth: Number of resolution levels.
        up_px: Pixels that a level on the way up reads on either side of what it gives, before it asks the coarser
            level: 2 for two 3 × 3 convolutions, one more for bilinear interpolation or for a third convolution.
    """
    radius = 0
    for pixel in range(2 ** (depth - 1)):
        first = last = pixel
        for _ in range(depth - 1):
            first, last = (first - up_px) // 2, (last + up_px) // 2
        first, last = first - 2, last + 2
        for _ in range(depth - 1):
            first, last = 2 * first - 2, 2 * last + 1 + 2
        radius = max(radius, pixel - first, last - pixel)
    return radius
