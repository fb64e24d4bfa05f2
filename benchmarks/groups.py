"""Rows of the pages that tell images of `dsb2018` apart by kind and size, and how they write accuracy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cellproof.metrics import objects


@dataclass(frozen=True)
class Group:
    """Images of a kind whose nuclei have a diameter from ``low_px`` to less than ``high_px``."""

    title: str
    kind: str
    low_px: float = 0.0
    high_px: float = math.inf

    def holds(self, kind: str, diameter_px: float) -> bool:
        """Whether an image belongs to it."""
        return kind == self.kind and self.low_px <= diameter_px < self.high_px


GROUPS = (
    Group("fluorescence", "fluorescence"),
    Group("… nuclei of up to 14 px", "fluorescence", 0, 14),
    Group("… 14 to 18 px", "fluorescence", 14, 18),
    Group("… 18 to 26 px", "fluorescence", 18, 26),
    Group("… larger", "fluorescence", 26),
    Group("histology", "histology"),
    Group("bright field", "brightfield"),
)


def pooled_ap(every: Sequence[Sequence[objects.ObjectCounts]]) -> str:
    """AP of the counts of all images together, threshold by threshold; a dash without any image."""
    pooled = [sum(counts[1:], start=counts[0]) for counts in zip(*every, strict=True)]
    return " / ".join(f"{objects.average_precision(one):.3f}" for one in pooled) or "–"
