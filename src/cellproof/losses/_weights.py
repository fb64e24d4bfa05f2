"""What a pixel counts in terms that compare numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from ..types import IGNORE


def pixel_weights(outputs: Tensor, class_map: Tensor, *, background: float) -> Tensor:
    """1 in objects, ``background`` outside, 0 where there is no annotation; shaped like the outputs.

    Args:
        outputs: (N, C, H, W).
        class_map: (N, H, W).
        background: At least 0.
    """
    weights = (class_map != IGNORE) * torch.where(class_map > 0, 1.0, background)
    return weights[:, None].expand_as(outputs)
