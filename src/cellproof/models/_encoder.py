"""Weights of a classifier that was trained on color images, copied into the encoder of a network."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..checks import InputError


def copy_encoder(encoder: nn.Module, tensors: Mapping[str, Tensor], *, stem: str, source: str, classifier: str) -> int:
    """Copy what the encoder has of a classifier's state dict; nothing is changed where anything does not fit.

    The first convolution of the file reads red, green and blue. An encoder that reads another number of channels gets
    its sum over the colors, divided by that number: an image whose channels are all alike is seen as the classifier
    sees it in gray colors, and no channel counts for more than another.

    Args:
        encoder: Changed in place; its names are those of the classifier.
        tensors: The classifier's state dict; what the encoder lacks is left.
        stem: Name of the weight of the first convolution.
        source: What to call the file in messages.
        classifier: What the file should hold, in messages.

    Returns:
        Number of tensors copied.

    Raises:
        InputError: A tensor is missing or has another shape, by name.

    Examples:
        >>> gray = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False))
        >>> color = {"0.weight": torch.tensor([0.2, 0.3, 0.5]).reshape(1, 3, 1, 1)}
        >>> copy_encoder(gray, color, stem="0.weight", source="a file", classifier="a network")
        1
        >>> gray[0].weight.item()
        1.0
    """
    own = encoder.state_dict()
    channels = own[stem].shape[1]
    for name, value in own.items():
        # Files of old versions of torch do not count batches.
        if name.endswith("num_batches_tracked") and name not in tensors:
            continue
        shape = tuple(value.shape) if name != stem else (value.shape[0], 3, *value.shape[2:])
        given = tensors.get(name)
        if given is None or tuple(given.shape) != shape:
            came = "missing" if given is None else f"of shape {tuple(given.shape)}"
            raise InputError(f"{source}: {name} is {came}, expected shape {shape}; give the weights of {classifier}")
    copied = 0
    with torch.no_grad():
        for name, value in own.items():
            if name in tensors:
                value.copy_(_for_channels(tensors[name], channels) if name == stem else tensors[name])
                copied += 1
    return copied


def _for_channels(weight: Tensor, channels: int) -> Tensor:
    """A first convolution (K, 3, h, w) for another number of channels."""
    if channels == 3:
        return weight
    return (weight.sum(1, keepdim=True) / channels).expand(-1, channels, -1, -1)
