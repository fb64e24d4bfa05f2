"""FC-DenseNet: a U-shaped network of dense blocks, in which every layer reads the maps of all before it.

With its default options it is FC-DenseNet103 of the paper. On the way up only the maps that a block has added are
enlarged. Difference from the paper: a convolution has no bias where a norm follows sooner or later.

References:
    Jégou, Drozdzal, Vazquez, Romero, Bengio (2017). The one hundred layers tiramisu: fully convolutional DenseNets
    for semantic segmentation. CVPR Workshops. doi:10.1109/CVPRW.2017.156
    He, Zhang, Ren, Sun (2015). Delving deep into rectifiers. ICCV. doi:10.1109/ICCV.2015.123 (initialization)
"""

from __future__ import annotations

import torch
from torch import nn

from ..checks import InputError
from ._any_size import AnySize
from ._options import Norm, check_counts, check_dropout, check_norm, normalization

MOST_BLOCKS = 11
"""On the way down; the coarsest pixel then covers 2048 of the image's, more than any tile has."""

MOST_LAYERS = 100
"""Of one block."""


def build(
    *,
    in_channels: int,
    out_channels: int,
    growth: int = 16,
    first_width: int = 48,
    down_layers: str = "4,5,7,10,12",
    bottleneck_layers: int = 15,
    dropout: float = 0.2,
    norm: Norm = "batch",
) -> FCDenseNet:
    """Make an FC-DenseNet.

    Args:
        in_channels: Channels of the image.
        out_channels: Channels of the logits.
        growth: Channels that each layer adds.
        first_width: Channels of the first convolution.
        down_layers: Layers of each block on the way down, with commas between; the way up has the same, reversed.
        bottleneck_layers: Layers of the block between.
        dropout: Probability of dropping a value after the convolution of each layer and of each transition down,
            in [0, 1).
        norm: What comes before each of these convolutions.

    Raises:
        InputError: a number out of range, an unknown word or a list of layers that is none.
    """
    check_counts(in_channels=in_channels, out_channels=out_channels, growth=growth, first_width=first_width)
    check_dropout(dropout)
    check_norm(norm)
    network = FCDenseNet(
        in_channels,
        out_channels,
        growth=growth,
        first_width=first_width,
        down_layers=_layer_counts(down_layers),
        bottleneck_layers=_checked_layers("bottleneck_layers", bottleneck_layers),
        dropout=dropout,
        norm=norm,
    )
    _initialize(network)
    return network


class FCDenseNet(AnySize):
    """The network; `build` describes its options."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        growth: int,
        first_width: int,
        down_layers: tuple[int, ...],
        bottleneck_layers: int,
        dropout: float,
        norm: Norm,
    ) -> None:
        reach = _receptive_field_px(down_layers, bottleneck_layers)
        super().__init__(in_channels, stride=2 ** len(down_layers), receptive_field_px=reach)
        self.first = nn.Conv2d(in_channels, first_width, 3, padding=1, bias=norm == "none")
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        skips, channels = [], first_width
        for layers in down_layers:
            self.down.append(_DenseBlock(channels, growth, layers=layers, dropout=dropout, norm=norm))
            channels += layers * growth
            self.shrink.append(_transition_down(channels, dropout=dropout, norm=norm))
            skips.append(channels)
        self.bottleneck = _DenseBlock(channels, growth, layers=bottleneck_layers, dropout=dropout, norm=norm)
        self.enlarge, self.up = nn.ModuleList(), nn.ModuleList()
        added = bottleneck_layers * growth
        for layers, skip in zip(reversed(down_layers), reversed(skips), strict=True):
            self.enlarge.append(_transition_up(added, norm=norm))
            channels = added + skip
            self.up.append(_DenseBlock(channels, growth, layers=layers, dropout=dropout, norm=norm))
            added = layers * growth
        self.head = nn.Conv2d(channels + added, out_channels, 1)

    def forward_aligned(self, image: torch.Tensor) -> torch.Tensor:
        """Logits of images whose height and width are multiples of ``stride``, without any check."""
        stack = self.first(image)
        skips = []
        for block, shrink in zip(self.down, self.shrink, strict=True):
            skips.append(torch.cat([stack, block(stack)], dim=1))
            stack = shrink(skips[-1])
        added = self.bottleneck(stack)
        for enlarge, block in zip(self.enlarge, self.up, strict=True):
            stack = torch.cat([enlarge(added), skips.pop()], dim=1)
            added = block(stack)
        return self.head(torch.cat([stack, added], dim=1))


class _DenseBlock(nn.Module):
    """Layers of which each reads the block's input and the maps of all layers before it; gives the added maps."""

    def __init__(self, in_channels: int, growth: int, *, layers: int, dropout: float, norm: Norm) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            _layer(in_channels + number * growth, growth, kernel=3, dropout=dropout, norm=norm)
            for number in range(layers)
        )

    def forward(self, stack: torch.Tensor) -> torch.Tensor:
        added: list[torch.Tensor] = []
        for layer in self.layers:
            # Joined before a layer, not after: what the last one adds would be copied for nothing.
            if added:
                stack = torch.cat([stack, added[-1]], dim=1)
            added.append(layer(stack))
        return torch.cat(added, dim=1)


def _layer(in_channels: int, out_channels: int, *, kernel: int, dropout: float, norm: Norm) -> nn.Sequential:
    """Norm, ReLU, convolution, dropout."""
    return nn.Sequential(
        *normalization(norm, in_channels),
        nn.ReLU(inplace=norm != "none"),  # without a norm it would change maps that others read
        nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=norm == "none"),
        nn.Dropout(dropout, inplace=True),
    )


def _transition_down(channels: int, *, dropout: float, norm: Norm) -> nn.Sequential:
    """Halve the height and width."""
    return nn.Sequential(_layer(channels, channels, kernel=1, dropout=dropout, norm=norm), nn.MaxPool2d(2))


def _transition_up(channels: int, *, norm: Norm) -> nn.ConvTranspose2d:
    """Double the height and width."""
    return nn.ConvTranspose2d(channels, channels, 3, stride=2, padding=1, output_padding=1, bias=norm == "none")


def _initialize(network: nn.Module) -> None:
    """He's uniform initialization, the paper's; biases 0."""
    for module in network.modules():
        # On the meta device there are no values, and torch would load its compiler to draw none.
        if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d) or module.weight.is_meta:
            continue
        nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _layer_counts(text: str) -> tuple[int, ...]:
    """Numbers of layers, read from "4,5,7"."""
    parts = [part.strip() for part in text.split(",")] if isinstance(text, str) else []
    if not parts or not all(part.isdecimal() and part.isascii() for part in parts):
        raise InputError(f"down_layers is {text!r}, expected whole numbers with commas between, such as '4,5,7,10,12'")
    if len(parts) > MOST_BLOCKS:
        raise InputError(f"down_layers has {len(parts)} blocks, expected at most {MOST_BLOCKS}")
    return tuple(_checked_layers("down_layers", int(part)) for part in parts)


def _checked_layers(name: str, layers: int) -> int:
    """A block's number of layers, refused where it has none or too many."""
    check_counts(**{name: layers})
    if layers > MOST_LAYERS:
        raise InputError(f"{name} has a block of {layers} layers, expected at most {MOST_LAYERS}")
    return layers


def _receptive_field_px(down_layers: tuple[int, ...], bottleneck_layers: int) -> int:
    """Largest reach, over the places that a pixel can have on the pooling grid.

    An interval of needed pixels is followed from one output pixel down to the bottleneck and up to the image; every
    skip connection needs less than that path.
    """
    radius = 0
    for pixel in range(2 ** len(down_layers)):
        first = last = pixel
        for layers in down_layers:
            # Of the transposed convolution's kernel, an even pixel 2i reads i only, an odd one i and i + 1.
            first, last = (first - layers) // 2, (last + layers + 1) // 2
        first, last = first - bottleneck_layers, last + bottleneck_layers
        for layers in reversed(down_layers):
            first, last = 2 * first - layers, 2 * last + 1 + layers
        first, last = first - 1, last + 1
        radius = max(radius, pixel - first, last - pixel)
    return radius
