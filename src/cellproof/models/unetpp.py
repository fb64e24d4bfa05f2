"""U-Net++: nested U-Nets of every depth that share one encoder, joined by dense skip connections.

Node (level, place) takes all nodes before it on its level and the enlarged node below; place 0 is the encoder.
Convolutions are padded, so that the logits have the image's size.

References:
    Zhou, Siddiquee, Tajbakhsh, Liang (2018). UNet++: a nested U-Net architecture for medical image segmentation.
    DLMIA. doi:10.1007/978-3-030-00889-5_1 (Table 2: 9.04 M parameters with 32…512 channels and deep supervision)
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from ._any_size import AnySize
from ._double_convolution import DoubleConvolution, Norm, initialize, reach_px
from ._options import check_counts, check_norm


def build(
    *,
    in_channels: int,
    out_channels: int,
    width: int = 32,
    depth: int = 5,
    max_width: int = 512,
    norm: Norm = "batch",
    deep_supervision: bool = False,
) -> UNetPlusPlus:
    """Make a U-Net++.

    Args:
        in_channels: Channels of the image.
        out_channels: Channels of the logits.
        width: Channels at full resolution; each level below has twice as many, up to ``max_width``.
        depth: Number of resolution levels, at least 2; 5 is the paper's.
        max_width: Most channels that a level may have.
        norm: What follows each convolution; the paper has "none".
        deep_supervision: Whether each nested U-Net has logits of its own. Their mean is the output (the paper's
            accurate mode), and in training mode they are returned beside it, the shallowest first.

    Raises:
        InputError: A number out of range or an unknown word.

    Examples:
        >>> network = build(in_channels=1, out_channels=2, width=4, deep_supervision=True).train()
        >>> [tuple(output.shape) for output in network(torch.zeros(2, 1, 32, 32))]
        [(2, 2, 32, 32), (2, 2, 32, 32), (2, 2, 32, 32), (2, 2, 32, 32), (2, 2, 32, 32)]
    """
    check_counts(in_channels=in_channels, out_channels=out_channels, width=width, depth=depth, max_width=max_width)
    if norm != "group":
        check_norm(norm)
    widths = tuple(min(width * 2**level, max_width) for level in range(depth))
    network = UNetPlusPlus(in_channels, out_channels, widths, norm=norm, deep_supervision=deep_supervision)
    initialize(network)
    return network


class UNetPlusPlus(AnySize):
    """The network; `build` describes its options."""

    def __init__(
        self, in_channels: int, out_channels: int, widths: tuple[int, ...], *, norm: Norm, deep_supervision: bool
    ) -> None:
        depth = len(widths)
        super().__init__(in_channels, stride=2 ** (depth - 1), receptive_field_px=reach_px(depth, up_px=2))
        self.down = nn.ModuleList(
            DoubleConvolution(before, after, norm=norm) for before, after in pairwise((in_channels, *widths))
        )
        self.enlarge = nn.ModuleDict()
        self.nodes = nn.ModuleDict()
        for level, (fine, coarse) in enumerate(pairwise(widths)):
            for place in range(1, depth - level):
                name = f"{level}_{place}"
                self.enlarge[name] = nn.ConvTranspose2d(coarse, fine, 2, stride=2)
                self.nodes[name] = DoubleConvolution((place + 1) * fine, fine, norm=norm)
        self.shrink = nn.MaxPool2d(2)
        heads = depth - 1 if deep_supervision and depth > 1 else 1
        self.heads = nn.ModuleList(nn.Conv2d(widths[0], out_channels, 1) for _ in range(heads))

    def forward_aligned(self, image: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Logits of images whose height and width are multiples of ``stride``, without any check."""
        columns: list[list[torch.Tensor]] = []
        features = image
        for level, block in enumerate(self.down):
            features = block(features if level == 0 else self.shrink(features))
            columns.append([features])
        for place in range(1, len(columns)):
            for level in range(len(columns) - place):
                enlarged = self.enlarge[f"{level}_{place}"](columns[level + 1][place - 1])
                columns[level].append(self.nodes[f"{level}_{place}"](torch.cat([*columns[level], enlarged], dim=1)))
        logits = [head(map_) for head, map_ in zip(self.heads, columns[0][-len(self.heads) :], strict=True)]
        if len(logits) == 1:
            return logits[0]
        mean = torch.stack(logits).mean(dim=0)
        return (mean, *logits) if self.training else mean
