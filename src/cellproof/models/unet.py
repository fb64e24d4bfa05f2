"""U-Net: a contracting and an expanding path of double convolutions, joined level by level.

Differences from the paper: convolutions are padded, so the logits have the image's size; each convolution may be
followed by a normalization; a block may have a residual connection.

References:
    Ronneberger, Fischer, Brox (2015). U-Net: convolutional networks for biomedical image segmentation. MICCAI.
    doi:10.1007/978-3-319-24574-4_28
    He, Zhang, Ren, Sun (2015). Delving deep into rectifiers. ICCV. doi:10.1109/ICCV.2015.123 (initialization)
    He, Zhang, Ren, Sun (2016). Deep residual learning for image recognition. CVPR. doi:10.1109/CVPR.2016.90
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import nn

from ..checks import InputError
from ._any_size import AnySize
from ._options import check_counts, check_dropout, normalization

Norm = Literal["none", "batch", "batch_renorm", "group"]
Upsample = Literal["interpolate", "transposed"]

DEEPEST = 12
"""Levels; the coarsest pixel then covers 2048 of the image's, more than any tile has."""


def build(
    *,
    in_channels: int,
    out_channels: int,
    width: int = 32,
    depth: int = 5,
    max_width: int = 512,
    norm: Norm = "batch",
    dropout: float = 0.0,
    upsample: Upsample = "interpolate",
    residual: bool = False,
) -> UNet:
    """Make a U-Net.

    Args:
        in_channels: Channels of the image.
        out_channels: Channels of the logits.
        width: Channels at full resolution; each level below has twice as many, up to ``max_width``.
        depth: Number of resolution levels; 5 is the paper's.
        max_width: Most channels that a level may have.
        norm: What follows each convolution. "group" takes its mean over the whole image, so that
            its receptive field has no bound: such a network should not be run tile by tile.
        dropout: Probability of dropping a channel after each of the two deepest blocks on the way down, in [0, 1).
        upsample: "interpolate" narrows by a 1 × 1 convolution and enlarges bilinearly; "transposed" is
            the paper's 2 × 2 transposed convolution.
        residual: Whether each block's input, widened by a 1 × 1 convolution where needed, is added to its output.

    Raises:
        InputError: a number out of range or an unknown word.
    """
    check_counts(in_channels=in_channels, out_channels=out_channels, width=width, depth=depth, max_width=max_width)
    if depth > DEEPEST:
        raise InputError(f"depth is {depth}, wanted at most {DEEPEST}")
    check_dropout(dropout)
    for name, word, known in (("norm", norm, get_args(Norm)), ("upsample", upsample, get_args(Upsample))):
        if word not in known:
            raise InputError(f"{name} is {word!r}, wanted one of {', '.join(known)}")
    widths = tuple(min(width * 2**level, max_width) for level in range(depth))
    network = UNet(in_channels, out_channels, widths, norm=norm, dropout=dropout, upsample=upsample, residual=residual)
    _initialize(network)
    return network


class UNet(AnySize):
    """The network; `build` describes its options."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        widths: tuple[int, ...],
        *,
        norm: Norm,
        dropout: float,
        upsample: Upsample,
        residual: bool,
    ) -> None:
        depth = len(widths)
        super().__init__(in_channels, stride=2 ** (depth - 1), receptive_field_px=_receptive_field_px(depth, upsample))
        self.down = nn.ModuleList(
            _Block(before, after, norm=norm, residual=residual, dropout=dropout if level >= depth - 2 else 0.0)
            for level, (before, after) in enumerate(zip((in_channels, *widths), widths, strict=False))
        )
        self.enlarge = nn.ModuleList(_enlarge(coarse, fine, upsample) for fine, coarse in pairwise(widths))
        self.up = nn.ModuleList(_Block(2 * fine, fine, norm=norm, residual=residual) for fine in widths[:-1])
        self.shrink = nn.MaxPool2d(2)
        self.head = nn.Conv2d(widths[0], out_channels, 1)

    def forward_aligned(self, image: torch.Tensor) -> torch.Tensor:
        """Logits of images whose height and width are multiples of ``stride``, without any check."""
        features = self.down[0](image)
        skips = []
        for block in self.down[1:]:
            skips.append(features)
            features = block(self.shrink(features))
        for enlarge, block, skip in zip(reversed(self.enlarge), reversed(self.up), reversed(skips), strict=True):
            features = block(torch.cat([skip, enlarge(features)], dim=1))
        return self.head(features)


class _Block(nn.Module):
    """Twice 3 × 3 convolution, normalization, ReLU; with a residual connection before the last ReLU if wanted."""

    def __init__(
        self, in_channels: int, out_channels: int, *, norm: Norm, residual: bool, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_convolution(in_channels, out_channels, 3, norm),
            nn.ReLU(inplace=True),
            *_convolution(out_channels, out_channels, 3, norm),
        )
        self.shortcut: nn.Module | None = None
        if residual:
            same = in_channels == out_channels
            self.shortcut = nn.Identity() if same else nn.Sequential(*_convolution(in_channels, out_channels, 1, norm))
        self.activation = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        convolved = self.body(features)
        if self.shortcut is not None:
            convolved = convolved + self.shortcut(features)
        return self.dropout(self.activation(convolved))


def _convolution(in_channels: int, out_channels: int, kernel: int, norm: Norm) -> list[nn.Module]:
    """A padded convolution and its normalization, whose shift makes a bias superfluous."""
    convolution = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=norm == "none")
    if norm == "group":
        # 8 groups where they fit; Wu & He (2018) find 2 to 32 equally good.
        return [convolution, nn.GroupNorm(next(n for n in (8, 4, 2, 1) if out_channels % n == 0), out_channels)]
    return [convolution, *normalization(norm, out_channels)]


def _enlarge(in_channels: int, out_channels: int, upsample: Upsample) -> nn.Module:
    """Double the height and width and change the number of channels."""
    if upsample == "transposed":
        return nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2)
    # A 1 × 1 convolution and an interpolation commute; before it, there are four times fewer pixels.
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1),
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
    )


def _initialize(network: nn.Module) -> None:
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


def _receptive_field_px(depth: int, upsample: Upsample) -> int:
    """Largest reach, over the places that a pixel can have on the pooling grid.

    An interval of needed pixels is followed from one output pixel down to the coarsest level and up to the image;
    every skip connection needs less than that path.
    """
    reach = 1 if upsample == "interpolate" else 0
    radius = 0
    for pixel in range(2 ** (depth - 1)):
        first = last = pixel
        for _ in range(depth - 1):
            # Two 3 × 3 convolutions; bilinear pixels 2i and 2i + 1 read i - 1…i and i…i + 1.
            first, last = (first - 2 - reach) // 2, (last + 2 + reach) // 2
        first, last = first - 2, last + 2
        for _ in range(depth - 1):
            first, last = 2 * first - 2, 2 * last + 1 + 2
        radius = max(radius, pixel - first, last - pixel)
    return radius
