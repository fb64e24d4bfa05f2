"""A U-Net on a ResNet: its encoder, and a decoder of transposed convolutions with concatenating skips.

The encoder has the layers and names of torchvision's ResNet-18, -34 and -50 without their classifier, so that
`ResNetUNet.load_encoder` can start it from those weights. The last skip is the image itself, which alone is as fine as
the logits.

References:
    He, Zhang, Ren, Sun (2016). Deep residual learning for image recognition. CVPR. doi:10.1109/CVPR.2016.90
    Ronneberger, Fischer, Brox (2015). U-Net. MICCAI. doi:10.1007/978-3-319-24574-4_28
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import torch
from torch import nn
from torch.nn import functional

from ..checks import InputError
from ._any_size import AnySize
from ._double_convolution import DoubleConvolution, initialize
from ._encoder import copy_encoder
from ._options import check_counts

Depth = Literal["resnet18", "resnet34", "resnet50"]

_BLOCKS: Mapping[str, tuple[int, ...]] = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
}
"""Residual blocks of each stage; the first stage works at stride 4, each further one at twice the stride."""

_STEM = 64
"""Channels of the first convolution, and of the blocks of the first stage."""

MEAN, SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's red, green and blue in [0, 1], by which torchvision standardizes."""


def build(
    *, in_channels: int, out_channels: int, encoder: Depth = "resnet18", stages: int = 4, width: int = 16
) -> ResNetUNet:
    """Make a network with random weights.

    Args:
        in_channels: Channels of the image.
        out_channels: Channels of the logits.
        encoder: "resnet18", "resnet34" or "resnet50".
        stages: Stages of the ResNet that are used, 2 to 4: the coarsest has stride 8, 16 or 32.
        width: Channels of the decoder at full resolution; twice as many at each coarser level.

    Raises:
        InputError: A number out of range or an unknown word.

    Examples:
        >>> network = build(in_channels=1, out_channels=2, stages=3)
        >>> network.stride, network(torch.zeros(1, 1, 40, 50)).shape
        (16, torch.Size([1, 2, 40, 50]))
    """
    check_counts(in_channels=in_channels, out_channels=out_channels, stages=stages, width=width)
    if encoder not in get_args(Depth):
        raise InputError(f"encoder is {encoder!r}, expected one of {', '.join(get_args(Depth))}")
    if not 2 <= stages <= 4:
        raise InputError(f"stages is {stages}, expected 2 to 4")
    network = ResNetUNet(in_channels, out_channels, encoder=encoder, stages=stages, width=width)
    initialize(network)
    return network


class ResNetUNet(AnySize):
    """The network; `build` describes its options."""

    mean: torch.Tensor
    sd: torch.Tensor

    def __init__(self, in_channels: int, out_channels: int, *, encoder: str, stages: int, width: int) -> None:
        blocks = _BLOCKS[encoder][:stages]
        super().__init__(
            in_channels, stride=2 ** (stages + 1), receptive_field_px=_receptive_field_px(blocks, encoder == "resnet50")
        )
        self.encoder_name = encoder
        self.encoder = _Encoder(in_channels, blocks, bottleneck=encoder == "resnet50")
        self.deepest = f"encoder.layer{len(blocks)}"
        skips = (in_channels, *self.encoder.widths)
        widths = [width * 2**level for level in range(len(skips) - 1)]
        coarser = [*widths[1:], skips[-1]]
        self.enlarge = nn.ModuleList(
            nn.ConvTranspose2d(coarse, own, 2, stride=2) for coarse, own in zip(coarser, widths, strict=True)
        )
        self.up = nn.ModuleList(
            DoubleConvolution(own + skip, own, norm="batch") for own, skip in zip(widths, skips[:-1], strict=True)
        )
        self.head = nn.Conv2d(width, out_channels, 1)
        mean, sd = (torch.tensor(values) for values in (MEAN, SD))
        if in_channels != 3:
            mean, sd = (values.mean().expand(in_channels) for values in (mean, sd))
        # Not kept in model files: they are constants of the architecture.
        self.register_buffer("mean", mean.reshape(1, -1, 1, 1).clone(), persistent=False)
        self.register_buffer("sd", sd.reshape(1, -1, 1, 1).clone(), persistent=False)

    def forward_aligned(self, image: torch.Tensor) -> torch.Tensor:
        """Logits of images whose height and width are multiples of ``stride``, without any check."""
        standardized = (image - self.mean) / self.sd
        skips = [standardized, *self.encoder(standardized)]
        features = skips.pop()
        for level in reversed(range(len(skips))):
            features = self.up[level](torch.cat([skips[level], self.enlarge[level](features)], dim=1))
        logits: torch.Tensor = self.head(features)
        return logits

    def load_encoder(self, tensors: Mapping[str, torch.Tensor], *, source: str) -> int:
        """Copy the weights of a ResNet classifier into the encoder.

        Args:
            tensors: State dict with torchvision's names; stages that the network lacks, and the classifier, are left.
            source: What to call it in messages.

        Returns:
            Number of tensors copied; see `copy_encoder` for images that are not red, green and blue.

        Raises:
            InputError: A tensor is missing or has another shape, by name.
        """
        return copy_encoder(
            self.encoder, tensors, stem="conv1.weight", source=source, classifier=f"torchvision's {self.encoder_name}"
        )


class _Encoder(nn.Module):
    """Stem and stages; gives the features at strides 2, 4, 8, … to the coarsest."""

    def __init__(self, in_channels: int, blocks: tuple[int, ...], *, bottleneck: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, _STEM, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(_STEM)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.widths = [_STEM]
        for number, count in enumerate(blocks):
            inner = _STEM * 2**number
            after = 4 * inner if bottleneck else inner
            layers = []
            for place in range(count):
                before, stride = (self.widths[-1], 2 if number else 1) if place == 0 else (after, 1)
                layers.append((_Bottleneck if bottleneck else _Basic)(before, inner, stride=stride))
            setattr(self, f"layer{number + 1}", nn.Sequential(*layers))
            self.widths.append(after)

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        features = [functional.relu(self.bn1(self.conv1(image)))]
        coarse = self.maxpool(features[0])
        for number in range(1, len(self.widths)):
            coarse = getattr(self, f"layer{number}")(coarse)
            features.append(coarse)
        return features


class _Basic(nn.Module):
    """Two 3 × 3 convolutions beside a shortcut."""

    def __init__(self, before: int, inner: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, inner, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.downsample = _shortcut(before, inner, stride)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        changed = functional.relu(self.bn1(self.conv1(features)))
        return functional.relu(self.bn2(self.conv2(changed)) + self.downsample(features))


class _Bottleneck(nn.Module):
    """Narrow by 1 × 1, convolve 3 × 3, widen by 1 × 1, beside a shortcut; the stride is in the middle (torchvision)."""

    def __init__(self, before: int, inner: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, 4 * inner, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * inner)
        self.downsample = _shortcut(before, 4 * inner, stride)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        changed = functional.relu(self.bn1(self.conv1(features)))
        changed = functional.relu(self.bn2(self.conv2(changed)))
        return functional.relu(self.bn3(self.conv3(changed)) + self.downsample(features))


def _shortcut(before: int, after: int, stride: int) -> nn.Module:
    """Nothing where the shapes fit, else a strided 1 × 1 convolution."""
    if stride == 1 and before == after:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after))


def _receptive_field_px(blocks: tuple[int, ...], bottleneck: bool) -> int:
    """Largest reach, over the places that a pixel can have on the coarsest grid.

    An interval of needed pixels is followed from an output pixel down the decoder and up the encoder; every skip
    connection needs less than that path.
    """
    kernels = [(7, 2), (3, 2)]
    for number, count in enumerate(blocks):
        for place in range(count):
            stride = 2 if number and not place else 1
            kernels += [(3, stride)] if bottleneck else [(3, stride), (3, 1)]
    radius, levels = 0, len(blocks) + 1
    for pixel in range(2**levels):
        first = last = pixel
        for _ in range(levels):
            # Two 3 × 3 convolutions, then the coarser pixel that covers each end.
            first, last = (first - 2) // 2, (last + 2) // 2
        for kernel, stride in reversed(kernels):
            first, last = stride * first - kernel // 2, stride * last + kernel // 2
        radius = max(radius, pixel - first, last - pixel)
    return radius
