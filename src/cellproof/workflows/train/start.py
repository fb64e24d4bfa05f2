"""What a network's weights start from: a model of ours, or weights that were learned on other images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from ...checks import InputError
from ...detectors._published import holds_published, load_published
from ...io import read_model
from ...models._pretrained import ARCHITECTURES, find_pretrained
from ...models._vgg16 import holds_vgg16, load_vgg16
from ...models._weights_file import holds_weights, read_weights
from ..predict import find_model


def find_start(init: str) -> Path:
    """The file that ``model.init`` names: a pretrained encoder, a model of the package, or a file.

    Raises:
        InputError: There is none, or it cannot be downloaded.

    Example:
        >>> find_start("nuclei").name
        'nuclei.safetensors'
    """
    return find_pretrained(init) if init in ARCHITECTURES else find_model(init)


def is_model(init: str) -> bool:
    """Whether what ``model.init`` names is a model of ours, whose architecture can be taken over."""
    return init not in ARCHITECTURES and not holds_weights(find_model(init))


def start_from(module: nn.Module, init: str) -> tuple[int, int]:
    """Copy the weights of a model file whose names and shapes fit; of an ensemble, those of its first member.

    Weights that were learned on other images start the network, or the encoder of one, that has the same layers:
    torchvision's VGG-16 an fcn8s, its ResNets a resnet_unet, its Mask R-CNN a mask_rcnn, and EfficientNet-Lite0 an
    effnet_unet.

    Args:
        module: The network, changed in place.
        init: As `find_start` takes it.

    Returns:
        Numbers of tensors copied and of tensors in the module.

    Raises:
        InputError: No such file, one that cannot be read, an ensemble of models, or weights of another encoder.
    """
    path = find_start(init)
    if holds_vgg16(path):
        return load_vgg16(module, path)
    if holds_published(path):
        return load_published(module, path)
    own = module.state_dict()
    if holds_weights(path):
        load_encoder = getattr(module, "load_encoder", None)
        if load_encoder is None:
            there = ", ".join(dict.fromkeys(ARCHITECTURES.values()))
            raise InputError(
                f"{path}: weights of a classifier, which start the encoder of {there} only, not a "
                f"{type(module).__name__}; choose one of them as model.architecture"
            )
        return load_encoder(read_weights(path), source=str(path)), len(own)
    header, tensors = read_model(path)
    if header.parts:
        raise InputError(f"{path}: is an ensemble of {len(header.parts)} models; start from one of them")
    copied = 0
    for name, value in own.items():
        given = tensors.get(f"member0.{name}")
        if given is not None and tuple(given.shape) == tuple(value.shape):
            value.copy_(torch.from_numpy(np.asarray(given)).to(value.dtype))
            copied += 1
    return copied, len(own)
