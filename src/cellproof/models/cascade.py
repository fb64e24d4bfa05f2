"""Two networks in a row: the second sees the image and what the first takes each pixel for.

References:
    Tu (2008). Auto-context and its application to high-level vision tasks. CVPR. doi:10.1109/CVPR.2008.4587436
"""

from __future__ import annotations

from math import lcm

import torch

from ._any_size import AnySize
from ._joined import main_output, make_network


def build(
    *,
    in_channels: int,
    out_channels: int,
    first: str = "unet",
    second: str = "unet",
    first_options: str = "",
    second_options: str = "",
) -> Cascade:
    """Make the two networks.

    Args:
        in_channels: Channels of the image.
        out_channels: Classes.
        first: Architecture that sees the image.
        second: Architecture that sees the image and the first one's class probabilities, as further channels.
        first_options: Options of the first besides the channels, as ``key=value;key=value``.
        second_options: Those of the second.

    Raises:
        InputError: Options that an architecture does not take.

    Examples:
        >>> network = build(in_channels=1, out_channels=3, first_options="width=4", second_options="width=4")
        >>> [tuple(output.shape) for output in network.train()(torch.zeros(2, 1, 32, 32))]
        [(2, 3, 32, 32), (2, 3, 32, 32)]
    """
    return Cascade(
        make_network(first, first_options, in_channels=in_channels, out_channels=out_channels),
        make_network(second, second_options, in_channels=in_channels + out_channels, out_channels=out_channels),
        in_channels=in_channels,
    )


class Cascade(AnySize):
    """The network; `build` describes its options."""

    def __init__(self, first: AnySize, second: AnySize, *, in_channels: int) -> None:
        super().__init__(
            in_channels,
            stride=lcm(first.stride, second.stride),
            receptive_field_px=first.receptive_field_px + second.receptive_field_px,
        )
        self.first, self.second = first, second

    def forward_aligned(self, image: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Logits of images whose height and width are multiples of ``stride``, without any check.

        In training mode: the second network's, then the first one's.
        """
        own = main_output(self.first.forward_aligned(image))
        logits = main_output(self.second.forward_aligned(torch.cat([image, own.softmax(dim=1)], dim=1)))
        return (logits, own) if self.training else logits
