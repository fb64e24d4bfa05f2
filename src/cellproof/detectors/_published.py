"""Published weights of torchvision's Mask R-CNN, from a file in its layout.

Only safetensors files are read, since a pickle can run code. Who trusts torchvision's file converts it once::

    import torch
    from safetensors.torch import save_file
    url = "https://download.pytorch.org/models/maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth"
    save_file(torch.hub.load_state_dict_from_url(url), "mask_rcnn_coco.safetensors")

and likewise ``maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth`` for version 2, whose norm is "batch".
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ..checks import InputError
from .mask_rcnn import MaskRCNN

_RENAMED = (
    ("rpn.head.conv.weight", "rpn.head.conv.0.0.weight"),
    ("rpn.head.conv.bias", "rpn.head.conv.0.0.bias"),
    *(
        (f"backbone.fpn.{kind}_blocks.{place}.{part}", f"backbone.fpn.{kind}_blocks.{place}.0.{part}")
        for kind in ("inner", "layer")
        for place in range(4)
        for part in ("weight", "bias")
    ),
    *(
        (f"roi_heads.mask_head.mask_fcn{place + 1}.{part}", f"roi_heads.mask_head.{place}.0.{part}")
        for place in range(4)
        for part in ("weight", "bias")
    ),
)
"""Names in files of torchvision's first releases, and what they are called now."""

_CLASS_LAYERS = ("roi_heads.box_predictor.", "roi_heads.mask_predictor.mask_fcn_logits.", "rpn.head.")
"""Their shapes follow the classes and the ratios of anchors: where they differ, these layers start afresh."""

_FIRST = "backbone.body.conv1.weight"


def holds_published(path: str | Path) -> bool:
    """Whether a file is a safetensors file that names its tensors as torchvision's Mask R-CNN does."""
    try:
        with safe_open(str(path), framework="pt") as file:
            return {_FIRST, "roi_heads.box_predictor.cls_score.weight"} <= set(file.keys())
    except (SafetensorError, OSError):
        return False


def load_published(network: nn.Module, path: str | Path) -> tuple[int, int]:
    """Copy all weights but those of layers that the classes decide, which start afresh unless they are as many.

    The first convolution of a network that does not read three channels is the mean over colors.

    Args:
        network: A `MaskRCNN`, changed in place.
        path: For which `holds_published` is true.

    Returns:
        Numbers of tensors filled and of tensors in the network.

    Raises:
        InputError: Another network, or a tensor that is missing or has another shape, by name.
    """
    if not isinstance(network, MaskRCNN):
        raise InputError(f"{path}: weights of Mask R-CNN, which start a mask_rcnn only, not a {type(network).__name__}")
    with safe_open(str(path), framework="pt") as file:
        given = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    given |= {new: given.pop(old) for old, new in _RENAMED if old in given}
    own = network.state_dict()
    filled = 0
    for name, value in own.items():
        came = _fitting(given.get(name), value) if name == _FIRST else given.get(name)
        if came is None or came.shape != value.shape:
            if name.startswith(_CLASS_LAYERS) or name.endswith("num_batches_tracked"):
                continue
            found = "missing" if came is None else f"of shape {tuple(came.shape)}"
            raise InputError(
                f"{path}: {name} is {found}, expected shape {tuple(value.shape)}; backbone, version, norm and channels "
                "must be those of the file: resnet50 with 256, 1024 and 256, version 1 'frozen' or 2 'batch'"
            )
        with torch.no_grad():
            value.copy_(came)
        filled += 1
    return filled, len(own)


def _fitting(colors: Tensor | None, own: Tensor) -> Tensor | None:
    """Weights of the first convolution for another number of channels: each gets its part of what a gray image gets."""
    if colors is None or colors.shape[1] == own.shape[1]:
        return colors
    return colors.sum(dim=1, keepdim=True).expand(-1, own.shape[1], -1, -1) / own.shape[1]
