"""EfficientNet-Lite0's first blocks as encoder, and a light decoder that ends at half resolution.

Made for processors: depth-wise convolutions at full width are few and coarse, no convolution runs at full resolution,
and the logits of each 2 × 2 pixels come out of one place (pixel shuffle). A second entrance, a 6 × 6 convolution of
stride 2, brings the fine structure that the narrow stem loses: it equals a 3 × 3 convolution of the pixel-unshuffled
image.

The encoder has the layers and names of the EfficientNet-Lite0 that was trained on ImageNet, up to stride 16, so that
`EffNetUNet.load_encoder` can start it from those weights. Strided convolutions are padded alike on all sides, where
TensorFlow pads below and to the right: the same features, a pixel further up and left.

References:
    Tan, Le (2019). EfficientNet: rethinking model scaling for convolutional neural networks. ICML. arXiv:1905.11946
    (Lite: no squeeze-and-excitation, ReLU6; Liu 2020, TensorFlow blog.)
    Ronneberger, Fischer, Brox (2015). U-Net. MICCAI. doi:10.1007/978-3-319-24574-4_28
    Shi et al. (2016). Real-time single image and video super-resolution using an efficient sub-pixel convolutional
    neural network. CVPR. doi:10.1109/CVPR.2016.207
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from ..checks import InputError
from ._any_size import AnySize
from ._double_convolution import initialize
from ._encoder import copy_encoder
from ._options import check_counts

BN_EPS = 1e-3
"""That of the published network."""


@dataclass(frozen=True)
class _Inverted:
    """One inverted residual block: channels in and out, expansion, kernel and stride."""

    before: int
    after: int
    expansion: int
    kernel: int
    stride: int


_LITE0 = (
    _Inverted(32, 16, 1, 3, 1),
    _Inverted(16, 24, 6, 3, 2),
    _Inverted(24, 24, 6, 3, 1),
    _Inverted(24, 40, 6, 5, 2),
    _Inverted(40, 40, 6, 5, 1),
    _Inverted(40, 80, 6, 3, 2),
    _Inverted(80, 80, 6, 3, 1),
    _Inverted(80, 80, 6, 3, 1),
    _Inverted(80, 112, 6, 5, 1),
    _Inverted(112, 112, 6, 5, 1),
    _Inverted(112, 112, 6, 5, 1),
)
"""The published blocks up to stride 16; those of stride 32 would see 400 px around each pixel."""

_SKIPPED_AFTER = (0, 2, 4)
"""Blocks whose outputs, at strides 2, 4 and 8, go to the decoder."""

_FEWEST_BLOCKS = 6
"""From here on the encoder reaches stride 16."""


def build(*, in_channels: int, out_channels: int, width: int = 48, fine_width: int = 32, blocks: int = 8) -> EffNetUNet:
    """Make a network with random weights.

    Args:
        in_channels: Channels of the image; see `copy_encoder` for ImageNet weights.
        out_channels: Channels of the logits.
        width: Channels of the decoder at stride 2; 4/3 as many at stride 4, twice as many at stride 8.
        fine_width: Channels of the second entrance.
        blocks: Blocks of EfficientNet-Lite0, 6 to 11; the last three widen the receptive field from 116 to 212 px.

    Raises:
        InputError: A number out of range.
    """
    check_counts(in_channels=in_channels, out_channels=out_channels, width=width, fine_width=fine_width, blocks=blocks)
    if not _FEWEST_BLOCKS <= blocks <= len(_LITE0):
        raise InputError(f"blocks is {blocks}, expected {_FEWEST_BLOCKS} to {len(_LITE0)}")
    network = EffNetUNet(in_channels, out_channels, width=width, fine_width=fine_width, blocks=_LITE0[:blocks])
    initialize(network)
    return network


class EffNetUNet(AnySize):
    """The network; `build` describes its options."""

    def __init__(
        self, in_channels: int, out_channels: int, *, width: int, fine_width: int, blocks: tuple[_Inverted, ...]
    ) -> None:
        super().__init__(in_channels, stride=16, receptive_field_px=_receptive_field_px(blocks))
        self.encoder = _Encoder(in_channels, blocks)
        self.deepest = f"encoder._blocks.{len(blocks) - 1}"
        self.fine = nn.Sequential(
            nn.Conv2d(in_channels, fine_width, 6, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(fine_width),
            nn.ReLU(inplace=True),
        )
        skips = tuple(blocks[number].after for number in _SKIPPED_AFTER)
        widths = (width, 4 * width // 3, 2 * width)
        coarser = (widths[1], widths[2], blocks[-1].after)
        self.enlarge = nn.ModuleList(
            nn.ConvTranspose2d(coarse, own, 2, stride=2) for coarse, own in zip(coarser, widths, strict=True)
        )
        extra = (fine_width, 0, 0)
        self.up = nn.ModuleList(
            _double_convolution(own + skip + more, own) for own, skip, more in zip(widths, skips, extra, strict=True)
        )
        self.head = nn.Conv2d(width, 4 * out_channels, 1)
        self.shuffle = nn.PixelShuffle(2)

    def forward_aligned(self, image: torch.Tensor) -> torch.Tensor:
        """Logits of images whose height and width are multiples of ``stride``, without any check."""
        # Images lie mostly in [0, 1]; the published network was trained on [-1, 1].
        centered = 2 * image - 1
        skips = self.encoder(centered)
        features = skips.pop()
        skips[0] = torch.cat([skips[0], self.fine(centered)], dim=1)
        for level in (2, 1, 0):
            features = self.up[level](torch.cat([skips[level], self.enlarge[level](features)], dim=1))
        logits: torch.Tensor = self.shuffle(self.head(features))
        return logits

    def load_encoder(self, tensors: Mapping[str, torch.Tensor], *, source: str) -> int:
        """Copy the weights of an EfficientNet-Lite0 classifier into the encoder.

        Args:
            tensors: The classifier's state dict, with the names of ``efficientnet_lite_pytorch``.
            source: What to call it in messages.

        Returns:
            Number of tensors copied; see `copy_encoder` for images that are not red, green and blue.

        Raises:
            InputError: A tensor of the encoder is missing, or has another shape.
        """
        return copy_encoder(
            self.encoder, tensors, stem="_conv_stem.weight", source=source, classifier="an EfficientNet-Lite0"
        )


class _Encoder(nn.Module):
    """Stem and blocks; gives the features at strides 2, 4, 8 and 16."""

    def __init__(self, in_channels: int, blocks: tuple[_Inverted, ...]) -> None:
        super().__init__()
        self._conv_stem = nn.Conv2d(in_channels, 32, 3, stride=2, padding=1, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=BN_EPS)
        self._blocks = nn.ModuleList(_InvertedBlock(block) for block in blocks)

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        features = functional.relu6(self._bn0(self._conv_stem(image)))
        kept = []
        for number, block in enumerate(self._blocks):
            features = block(features)
            if number in _SKIPPED_AFTER:
                kept.append(features)
        return [*kept, features]


class _InvertedBlock(nn.Module):
    """Widen by 1 × 1, convolve each channel on its own, narrow by 1 × 1; add the input where it fits."""

    def __init__(self, block: _Inverted) -> None:
        super().__init__()
        wide = block.before * block.expansion
        self.is_expanding = block.expansion > 1
        self.is_residual = block.stride == 1 and block.before == block.after
        if self.is_expanding:
            self._expand_conv = nn.Conv2d(block.before, wide, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(wide, eps=BN_EPS)
        self._depthwise_conv = nn.Conv2d(
            wide, wide, block.kernel, stride=block.stride, padding=block.kernel // 2, groups=wide, bias=False
        )
        self._bn1 = nn.BatchNorm2d(wide, eps=BN_EPS)
        self._project_conv = nn.Conv2d(wide, block.after, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(block.after, eps=BN_EPS)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        wide = features
        if self.is_expanding:
            wide = functional.relu6(self._bn0(self._expand_conv(wide)))
        wide = functional.relu6(self._bn1(self._depthwise_conv(wide)))
        narrow: torch.Tensor = self._bn2(self._project_conv(wide))
        return narrow + features if self.is_residual else narrow


def _double_convolution(before: int, after: int) -> nn.Sequential:
    """Twice 3 × 3 convolution, batch normalization, ReLU."""
    layers: list[nn.Module] = []
    for channels in (before, after):
        layers += [
            nn.Conv2d(channels, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


def _receptive_field_px(blocks: tuple[_Inverted, ...]) -> int:
    """Largest reach, over the places that a pixel can have on the grid of stride 16.

    An interval of needed pixels is followed from an output pixel down the decoder and up the encoder; every skip
    connection needs less than that path.
    """
    kernels = [(3, 2), *((block.kernel, block.stride) for block in blocks)]
    radius = 0
    for pixel in range(16):
        first = last = pixel // 2
        for _ in range(3):
            # Two 3 × 3 convolutions, then the coarser pixel that covers each end.
            first, last = (first - 2) // 2, (last + 2) // 2
        for kernel, stride in reversed(kernels):
            first, last = stride * first - kernel // 2, stride * last + kernel // 2
        radius = max(radius, pixel - first, last - pixel)
    return radius
