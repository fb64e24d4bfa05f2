"""What one step learns from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

Outputs = Tensor | tuple[Tensor, ...] | Mapping[str, Tensor]
"""Of a network in training mode: logits, or ``(logits, *auxiliary)``; of one that takes targets its losses by name."""


@dataclass(frozen=True)
class Batch:
    """Patches and what they show.

    Attributes:
        images: (N, C, H, W) float32.
        class_map: (N, H, W) uint8 with the ignore value.
        fields: (N, F, H, W) float32, in the order of the heads.
        maps: Name → (N, H, W) float32, what loss terms ask for besides.
    """

    images: Tensor
    class_map: Tensor
    fields: Tensor
    maps: Mapping[str, Tensor] = field(default_factory=dict)
