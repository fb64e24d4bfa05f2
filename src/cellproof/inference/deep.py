"""What a network saw on its coarsest grid, as a few numbers of the whole image, out of the forward pass made anyhow."""

from __future__ import annotations

import torch
from torch import nn


class WithDeepFeatures(nn.Module):
    """A network that also gives the mean and the standard deviation of each channel of its coarsest features.

    Args:
        module: In evaluation mode. Its attribute ``deepest`` names the part of it that gives these features.

    Example:
        >>> from cellproof.models import load
        >>> network = load("unet", in_channels=1, out_channels=2, width=4, depth=3).eval()
        >>> logits, deep = WithDeepFeatures(network)(torch.zeros(1, 1, 8, 8))
        >>> tuple(logits.shape), tuple(deep.shape)
        ((1, 2, 8, 8), (1, 32))
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Outputs (N, K, H, W) of images (N, C, H, W), and (N, 2 F): means, then standard deviations."""
        kept: list[torch.Tensor] = []
        # A hook for the time of one call: the network may be in training, and must be left as it was.
        handle = self.module.get_submodule(str(self.module.deepest)).register_forward_hook(
            lambda part, given, features: kept.append(features)
        )
        try:
            outputs = self.module(images)
        finally:
            handle.remove()
        features = kept[0].float()
        mean = features.mean(dim=(2, 3), keepdim=True)
        sd = ((features - mean) ** 2).mean(dim=(2, 3)).sqrt()
        return outputs, torch.cat([mean[:, :, 0, 0], sd], dim=1)


def gives_deep_features(module: nn.Module) -> bool:
    """Whether a network names its coarsest features."""
    return bool(getattr(module, "deepest", ""))
