"""Object ids → what a detector of torchvision learns from."""

from __future__ import annotations

import torch
from torch import Tensor

SMALLEST_PX = 4
"""An object of fewer pixels, as patches cut them off at their edges, is not learned from."""


def object_targets(class_map: Tensor, ids: Tensor) -> list[dict[str, Tensor]]:
    """Boxes, classes and masks of the objects of each image.

    Args:
        class_map: (N, H, W) class of each pixel.
        ids: (N, H, W) object ids as whole numbers of any type, 0 outside objects.

    Returns:
        For each image ``boxes`` (n, 4) float32 left, top, right, bottom, where the last pixel's far edge counts;
        ``labels`` (n,) int64, the class at an object's first pixel; ``masks`` (n, H, W) uint8. n is 0 without objects.

    Example:
        >>> ids = torch.zeros(1, 6, 8)
        >>> ids[0, 2:5, 1:4] = 7
        >>> object_targets((ids > 0).byte(), ids)[0]["boxes"].tolist()
        [[1.0, 2.0, 4.0, 5.0]]
    """
    return [_of_one(classes, own) for classes, own in zip(class_map, ids, strict=True)]


def _of_one(classes: Tensor, ids: Tensor) -> dict[str, Tensor]:
    numbers, areas = ids.unique(return_counts=True)  # type: ignore[no-untyped-call]
    numbers = numbers[(numbers > 0) & (areas >= SMALLEST_PX)]
    masks = ids[None] == numbers[:, None, None]
    rows, columns = _extent(masks.any(dim=2)), _extent(masks.any(dim=1))
    first = masks.flatten(1).long().argmax(dim=1) if len(numbers) else numbers.long()
    return {
        "boxes": torch.stack([columns[0], rows[0], columns[1], rows[1]], dim=1).float(),
        "labels": classes.flatten()[first].long().clamp(min=1),
        "masks": masks.byte(),
    }


def _extent(present: Tensor) -> tuple[Tensor, Tensor]:
    """First place and place after the last, of each row of (n, L) bool."""
    length = present.shape[1]
    if not len(present):
        nothing = torch.zeros(0, dtype=torch.long, device=present.device)
        return nothing, nothing
    places = present.int()
    return places.argmax(dim=1), length - places.flip(1).argmax(dim=1)
