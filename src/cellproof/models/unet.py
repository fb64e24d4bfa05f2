"""U-Net: a contracting and an expanding path of double convolutions, joined level by level.

Differences from the paper: convolutions are padded, so the logits have the image's size; each convolution may be
followed by a normalization; a block may have a residual connection.

References:
    Ronneberger, Fischer, Brox (2015). U-Net: convolutional networks for biomedical image segmentation. MICCAI.
    doi:10.1007/978-3-319-24574-4_28
    He, Zhang, Ren, Sun (2015). Delving deep into rectifiers. ICCV. doi:10.1109/ICCV.2015.123 (initialization)
    He, Zhang, Ren, Sun (2016). Deep residual learning for image recognition. CVPR. doi:10.1109/CVPR.2016.90
    Perez et al. (2018). FiLM: visual reasoning with a general conditioning layer. AAAI. doi:10.1609/aaai.v32i1.11671
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import nn

from ..checks import InputError
from ._any_size import AnySize
from ._double_convolution import DoubleConvolution, Norm, initialize, reach_px
from ._film import Film, told_of
from ._options import check_counts, check_dropout

Upsample = Literal["interpolate", "transposed"]
Conditioning = Literal["channels", "film"]

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
    unit_dropout: float = 0.0,
    upsample: Upsample = "interpolate",
    residual: bool = False,
    conditioning: Conditioning = "channels",
    conditions: int = 0,
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
        unit_dropout: Probability of dropping a single value after each 3 × 3 convolution of every block, in [0, 1).
        upsample: "interpolate" narrows by a 1 × 1 convolution and enlarges bilinearly; "transposed" is
            the paper's 2 × 2 transposed convolution.
        residual: Whether each block's input, widened by a 1 × 1 convolution where needed, is added to its output.
        conditioning: What is done with constant channels that tell of the whole image: "channels" convolves them like
            the others; "film" takes them out, and they scale and shift what each block gives. Such a network should
            see whole tiles of one image, whose constants are the same.
        conditions: How many of the last channels these are; needed for "film" only.

    Raises:
        InputError: a number out of range or an unknown word.
    """
    check_counts(in_channels=in_channels, out_channels=out_channels, width=width, depth=depth, max_width=max_width)
    if depth > DEEPEST:
        raise InputError(f"depth is {depth}, expected at most {DEEPEST}")
    check_dropout(dropout)
    check_dropout(unit_dropout)
    words = (("norm", norm, get_args(Norm)), ("upsample", upsample, get_args(Upsample)))
    for name, word, known in (*words, ("conditioning", conditioning, get_args(Conditioning))):
        if word not in known:
            raise InputError(f"{name} is {word!r}, expected one of {', '.join(known)}")
    if conditioning == "film" and not 0 < conditions < in_channels:
        raise InputError(
            f"conditions is {conditions}, expected 1 to {in_channels - 1} for film and {in_channels} channels; "
            'name data.condition in the recipe, or use conditioning = "channels"'
        )
    widths = tuple(min(width * 2**level, max_width) for level in range(depth))
    network = UNet(
        in_channels,
        out_channels,
        widths,
        norm=norm,
        dropout=dropout,
        unit_dropout=unit_dropout,
        upsample=upsample,
        residual=residual,
        told=conditions if conditioning == "film" else 0,
    )
    initialize(network)
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
        unit_dropout: float,
        upsample: Upsample,
        residual: bool,
        told: int,
    ) -> None:
        depth = len(widths)
        super().__init__(
            in_channels,
            stride=2 ** (depth - 1),
            receptive_field_px=reach_px(depth, up_px=3 if upsample == "interpolate" else 2),
        )
        self.told = told
        self.deepest = f"down.{depth - 1}"
        self.down = nn.ModuleList(
            DoubleConvolution(
                before,
                after,
                norm=norm,
                residual=residual,
                dropout=dropout if level >= depth - 2 else 0.0,
                unit_dropout=unit_dropout,
            )
            for level, (before, after) in enumerate(zip((in_channels - told, *widths), widths, strict=False))
        )
        self.enlarge = nn.ModuleList(_enlarge(coarse, fine, upsample) for fine, coarse in pairwise(widths))
        self.up = nn.ModuleList(
            DoubleConvolution(2 * fine, fine, norm=norm, residual=residual, unit_dropout=unit_dropout)
            for fine in widths[:-1]
        )
        # Of every block, on the way down and then up from the finest; none without what is told.
        self.films = nn.ModuleList(Film(told, width) for width in (*widths, *widths[:-1]) if told)
        self.shrink = nn.MaxPool2d(2)
        self.head = nn.Conv2d(widths[0], out_channels, 1)

    def forward_aligned(self, image: torch.Tensor) -> torch.Tensor:
        """Logits of images whose height and width are multiples of ``stride``, without any check."""
        seen, told = image, None
        if self.told:
            seen, told = image[:, : -self.told], told_of(image, self.told)
        features = self._modulated(self.down[0](seen), 0, told)
        skips = []
        for level, block in enumerate(self.down[1:], start=1):
            skips.append(features)
            features = self._modulated(block(self.shrink(features)), level, told)
        for level in reversed(range(len(skips))):
            joined = torch.cat([skips[level], self.enlarge[level](features)], dim=1)
            features = self._modulated(self.up[level](joined), len(self.down) + level, told)
        return self.head(features)

    def _modulated(self, features: torch.Tensor, place: int, told: torch.Tensor | None) -> torch.Tensor:
        return features if told is None else self.films[place](features, told)


def _enlarge(in_channels: int, out_channels: int, upsample: Upsample) -> nn.Module:
    """Double the height and width and change the number of channels."""
    if upsample == "transposed":
        return nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2)
    # A 1 × 1 convolution and an interpolation commute; before it, there are four times fewer pixels.
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1),
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
    )
