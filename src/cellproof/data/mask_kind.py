"""Whether masks hold object ids or classes: decided from all masks, references and predictions together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from skimage.measure import label as label_equal

from ..checks import check_labels, check_ndim
from ..types import IGNORE

MOST_CLASSES = 16
"""Masks without a description that share more values than this hold object ids."""

BROKEN = 1.5
"""More pieces a value than this, and values are classes: object ids come in one piece each, broken ones are rare."""

_FEWEST_AGREEING = 0.5

Kind = Literal["semantic", "instances"]

UNDECIDED = (
    "every value is one piece in each of the masks, and all masks hold the same values: they may be object ids or "
    "classes"
)


@dataclass(frozen=True)
class MaskFacts:
    """What a mask tells of its kind.

    Attributes:
        pixels: Value → number of its pixels, 0 and `IGNORE` included.
        pieces: Connected pieces (8-neighborhood) of equal value, of all values but 0 and `IGNORE`.
        touching: Whether two different values other than 0 and `IGNORE` lie side by side.
        color: Whether the values are colors, 0xRRGGBB.
    """

    pixels: Mapping[int, int]
    pieces: int
    touching: bool
    color: bool = False

    @property
    def values(self) -> frozenset[int]:
        """Values other than 0; `IGNORE` counts where it is the only one."""
        found = frozenset(self.pixels) - {0}
        return found - {IGNORE} if len(found) > 1 and not self.color else found


def mask_facts(mask: np.ndarray, *, color: bool = False) -> MaskFacts:
    """Look at one mask.

    Args:
        mask: (H, W) whole numbers.
        color: Whether they are colors, 0xRRGGBB.

    Examples:
        >>> facts = mask_facts(np.array([[1, 0, 2], [1, 0, 1]]))
        >>> sorted(facts.values), facts.pieces, facts.touching
        ([1, 2], 3, True)
    """
    check_ndim(2, mask=mask)
    check_labels(mask=mask)
    values, positions, counts = np.unique(mask, return_inverse=True, return_counts=True)
    small = positions.reshape(mask.shape).astype(np.int32) + 1
    left_out = [0] if color or set(values.tolist()) <= {0, IGNORE} else [0, IGNORE]
    small[np.isin(mask, left_out)] = 0
    pieces = int(label_equal(small, background=0, connectivity=2).max(initial=0))
    touching = any(
        bool(((first != second) & (first > 0) & (second > 0)).any())
        for first, second in ((small[1:], small[:-1]), (small[:, 1:], small[:, :-1]))
    )
    return MaskFacts(dict(zip(values.tolist(), counts.tolist(), strict=True)), pieces, touching, color)


def is_scattered(facts: Sequence[MaskFacts]) -> bool:
    """Whether values come in more pieces than object ids do."""
    pieces, values = sum(one.pieces for one in facts), sum(len(one.values) for one in facts)
    return pieces > BROKEN * max(1, values)


def is_foreground(facts: Sequence[MaskFacts]) -> bool:
    """Whether masks hold nothing but background and one value that means foreground: 1, 255, or one color."""
    seen = frozenset[int]().union(*(one.values for one in facts))
    if any(one.color for one in facts):
        return len(seen) == 1
    return seen in ({1}, {IGNORE})


def decide_kind(
    facts: Sequence[MaskFacts], predicted: Sequence[MaskFacts] = (), *, agreement: float | None = None
) -> Kind | None:
    """What masks hold, as far as they tell; None where both readings are possible.

    Args:
        facts: Of the masks; of references where there are predictions. At least one has an annotated pixel.
        predicted: Of the predictions.
        agreement: Fraction of the pixels annotated in both that have the same value in both; None if unknown.

    Examples:
        >>> three = mask_facts(np.array([[1, 0, 2, 0, 3]]))
        >>> two = mask_facts(np.array([[1, 0, 2, 0, 0]]))
        >>> decide_kind([three, two])
        'instances'
        >>> decide_kind([three, three]) is None
        True
        >>> decide_kind([three, three], [three, three], agreement=0.0)
        'instances'
    """
    facts = [one for one in facts if one.values]
    predicted = [one for one in predicted if one.values]
    if is_foreground(facts):
        return _of_foreground(facts, predicted)
    values = [one.values for one in facts]
    if len(frozenset().union(*values)) > MOST_CLASSES:
        return "instances"
    if is_scattered(facts):
        return "semantic"
    # From here on each value is one piece.
    if len(facts) == 1 or len(set(values)) > 1:
        return "instances"
    if predicted and not is_foreground(predicted):
        predicted_values = [one.values for one in predicted]
        if len(frozenset().union(*predicted_values)) > MOST_CLASSES:
            return "instances"
        if is_scattered(predicted):
            return "semantic"
        if agreement is not None and agreement < _FEWEST_AGREEING:
            return "instances"
    if any(one.touching for one in facts):
        return "semantic"
    return None


def _of_foreground(facts: Sequence[MaskFacts], predicted: Sequence[MaskFacts]) -> Kind:
    """References of one value: foreground, unless predictions are ids and each reference is one piece."""
    if not predicted or is_foreground(predicted) or is_scattered(facts) or is_scattered(predicted):
        return "semantic"
    return "instances"


def color_name(value: int) -> str:
    """``#rrggbb`` of a color.

    Examples:
        >>> color_name(0xFF0000)
        '#ff0000'
    """
    return f"#{value:06x}"
