"""What networks with a stride share: they take images of any size, and are traced without padding."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn

from ..checks import InputError
from ._padding import pad_to_stride


class AnySize(nn.Module, ABC):
    """A network that pads its image to multiples of its stride and crops its logits.

    Args:
        in_channels: Channels of the image.
        stride: Edge in pixels of the image patch under one pixel of the coarsest level.
        receptive_field_px: Largest row or column distance at which an input pixel can change an output pixel.

    Attributes:
        deepest: Name of the part that gives the coarsest features (N, F, h, w), by which images unlike those of the
            training are noticed; empty where the network names none.
    """

    deepest = ""

    def __init__(self, in_channels: int, *, stride: int, receptive_field_px: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.stride = stride
        self.receptive_field_px = receptive_field_px

    @abstractmethod
    def forward_aligned(self, image: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Logits of images whose height and width are multiples of ``stride``, without any check.

        In training mode it may return ``(logits, *auxiliary)``, all alike in shape, for losses on each.
        """

    def forward(self, image: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Logits (N, out_channels, H, W) of images (N, in_channels, H, W) of any size from 1 × 1.

        In training mode a network may return a tuple, its logits first; see `forward_aligned`.

        While being traced it neither pads nor crops: the graph takes sizes that are multiples of ``stride``.

        Raises:
            InputError: the image has another number of axes or channels, or no pixels.
        """
        if torch.jit.is_tracing():  # type: ignore[attr-defined]  # public, but missing from the module's __all__
            return self.forward_aligned(image)
        if image.ndim != 4 or image.shape[1] != self.in_channels or image.numel() == 0:
            raise InputError(
                f"image has shape {tuple(image.shape)}, expected (N, {self.in_channels}, H, W) with at least one pixel"
            )
        height, width = image.shape[-2:]
        outputs = self.forward_aligned(pad_to_stride(image, self.stride))
        if isinstance(outputs, tuple):
            return tuple(output[..., :height, :width] for output in outputs)
        return outputs[..., :height, :width]
