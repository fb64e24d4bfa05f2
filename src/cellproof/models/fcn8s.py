"""FCN-8s: a VGG-16 encoder whose scores at three depths are summed and enlarged.

Differences from the paper: convolutions are padded by what they need to keep the size, instead of the image by 100
pixels; the last enlargement, eightfold, is learned like the two before it, and all three repeat the border instead of
fading to zero there; all depths are trained at once. Scoring layers start near 0, not at 0, so that a gradient
reaches every weight from the first step.

ImageNet weights are copied into the encoder by ``_vgg16.load_vgg16``.

References:
    Long, Shelhamer, Darrell (2015). Fully convolutional networks for semantic segmentation. CVPR.
    doi:10.1109/CVPR.2015.7298965
    Simonyan, Zisserman (2015). Very deep convolutional networks for large-scale image recognition. ICLR.
    arXiv:1409.1556 (the encoder)
    He, Zhang, Ren, Sun (2015). Delving deep into rectifiers. ICCV. doi:10.1109/ICCV.2015.123 (initialization)
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from ._any_size import AnySize
from ._options import Norm, check_counts, check_dropout, check_norm, normalization

CONVOLUTIONS = (2, 2, 3, 3, 3)
"""Of VGG-16, before each of its five poolings; its configuration D."""

WIDENING = (1, 2, 4, 8, 8)
"""Channels of these convolutions, in multiples of the first ones'."""

STRIDE = 2 ** len(CONVOLUTIONS)
FC6 = 7
"""Edge of the kernel that stands for VGG-16's first fully connected layer."""


def build(
    *,
    in_channels: int,
    out_channels: int,
    width: int = 64,
    fc_width: int = 4096,
    dropout: float = 0.5,
    norm: Norm = "none",
) -> FCN8s:
    """Make an FCN-8s.

    Args:
        in_channels: Channels of the image.
        out_channels: Channels of the logits.
        width: Channels of the first convolutions; 64 is VGG-16.
        fc_width: Channels of fc6 and fc7; 4096 is VGG-16.
        dropout: Probability of dropping a value after fc6 and after fc7, in [0, 1).
        norm: What follows each convolution of the encoder: "none" is VGG-16, "batch" is VGG-16-BN.

    Raises:
        InputError: a number out of range or an unknown word.
    """
    check_counts(in_channels=in_channels, out_channels=out_channels, width=width, fc_width=fc_width)
    check_dropout(dropout)
    check_norm(norm)
    network = FCN8s(in_channels, out_channels, width=width, fc_width=fc_width, dropout=dropout, norm=norm)
    _initialize(network)
    return network


class FCN8s(AnySize):
    """The network; `build` describes its options."""

    def __init__(
        self, in_channels: int, out_channels: int, *, width: int, fc_width: int, dropout: float, norm: Norm
    ) -> None:
        super().__init__(in_channels, stride=STRIDE, receptive_field_px=_receptive_field_px())
        widths = [width * factor for factor in WIDENING]
        self.encoder = nn.ModuleList(
            _stage(before, after, convolutions=convolutions, norm=norm)
            for before, after, convolutions in zip((in_channels, *widths), widths, CONVOLUTIONS, strict=False)
        )
        self.shrink = nn.MaxPool2d(2)
        self.fc6 = nn.Conv2d(widths[-1], fc_width, FC6, padding=FC6 // 2)
        self.fc7 = nn.Conv2d(fc_width, fc_width, 1)
        self.dropout = nn.Dropout(dropout)
        self.score_fc7 = nn.Conv2d(fc_width, out_channels, 1)
        self.score_pool4 = nn.Conv2d(widths[3], out_channels, 1)
        self.score_pool3 = nn.Conv2d(widths[2], out_channels, 1)
        self.enlarge_fc7 = _Enlarge(out_channels, 2)
        self.enlarge_pool4 = _Enlarge(out_channels, 2)
        self.enlarge_pool3 = _Enlarge(out_channels, 8)

    def forward_aligned(self, image: torch.Tensor) -> torch.Tensor:
        """Logits of images whose height and width are multiples of ``stride``, without any check."""
        pooled = [image]
        for stage in self.encoder:
            pooled.append(self.shrink(stage(pooled[-1])))
        *_, pool3, pool4, pool5 = pooled
        fc6 = self.dropout(functional.relu(self.fc6(pool5)))
        fc7 = self.dropout(functional.relu(self.fc7(fc6)))
        scores = self.enlarge_fc7(self.score_fc7(fc7)) + self.score_pool4(pool4)
        scores = self.enlarge_pool4(scores) + self.score_pool3(pool3)
        return self.enlarge_pool3(scores)


class _Enlarge(nn.Module):
    """Transposed convolution that starts as bilinear interpolation, each channel for itself."""

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__()
        # With the border repeated once, half a kernel more is cut off on either side.
        self.convolution = nn.ConvTranspose2d(
            channels, channels, 2 * factor, stride=factor, padding=factor + factor // 2, bias=False
        )

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        # Not torch's replicating pad: its gradient is not deterministic on graphics cards, and its ONNX graph warns.
        scores = torch.cat([scores[:, :, :1], scores, scores[:, :, -1:]], dim=2)
        return self.convolution(torch.cat([scores[..., :1], scores, scores[..., -1:]], dim=3))


def _stage(in_channels: int, out_channels: int, *, convolutions: int, norm: Norm) -> nn.Sequential:
    """The convolutions before one pooling; a norm's shift makes their bias superfluous."""
    layers: list[nn.Module] = []
    for before in (in_channels, *[out_channels] * (convolutions - 1)):
        layers.append(nn.Conv2d(before, out_channels, 3, padding=1, bias=norm == "none"))
        layers += [*normalization(norm, out_channels), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def _initialize(network: FCN8s) -> None:
    """He's normal initialization before a ReLU, scores near 0, bilinear enlargement; biases 0."""
    scoring = (network.score_fc7, network.score_pool4, network.score_pool3)
    for module in network.modules():
        # On the meta device there are no values, and torch would load its compiler to draw none.
        if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d) or module.weight.is_meta:
            continue
        if isinstance(module, nn.ConvTranspose2d):
            _set_bilinear(module.weight)
        elif module in scoring:
            nn.init.normal_(module.weight, std=1e-3)
        else:
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


@torch.no_grad()
def _set_bilinear(weight: torch.Tensor) -> None:
    """Fill (C, C, 2f, 2f) so that a transposed convolution of stride f interpolates each channel bilinearly."""
    factor = weight.shape[-1] // 2
    tent = 1 - (torch.arange(2 * factor) + 0.5 - factor).abs() / factor
    weight.zero_()
    weight.diagonal().copy_((tent[:, None] * tent)[..., None])


def _receptive_field_px() -> int:
    """Largest reach, over the places that a pixel can have on the pooling grid.

    An interval of needed pixels is followed from one output pixel through the three enlargements up to fc7 and
    back to the image; the paths through pool3 and pool4 need less than that.
    """
    radius = 0
    for pixel in range(STRIDE):
        first = last = pixel
        for factor in (8, 2, 2):
            # A bilinear kernel of 2f pixels reads the two pixels whose centers are nearest.
            first, last = (first - factor // 2) // factor, (last + factor // 2) // factor
        first, last = first - FC6 // 2, last + FC6 // 2
        for convolutions in reversed(CONVOLUTIONS):
            first, last = 2 * first - convolutions, 2 * last + 1 + convolutions
        radius = max(radius, pixel - first, last - pixel)
    return radius
