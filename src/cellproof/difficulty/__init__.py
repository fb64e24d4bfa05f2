"""How far a prediction can be trusted; a measure of pixels is a file with a ``TITLE`` and ``measure``.

``measure(probabilities) -> (H, W)`` gives each pixel of (C, H, W) a value in [0, 1], 1 hardest. Confidence, entropy,
margin and disagreement, which need more than that or are needed elsewhere, have functions of their own.
"""

from __future__ import annotations

import numpy as np

from ..checks import InputError
from ..parts import find_part, part_names


def names() -> list[str]:
    """Measures in this folder."""
    return part_names(__name__, needs="TITLE")


def title(name: str) -> str:
    """What a measure is called on a page; the name itself where no file has it."""
    return str(find_part(__name__, name, needs="TITLE", what="measure").TITLE) if name in names() else name


def measure(name: str, probabilities: np.ndarray) -> np.ndarray:
    """(H, W) values in [0, 1] of a measure, 1 hardest.

    Args:
        name: A file in this folder.
        probabilities: (C, H, W), summing to 1 over classes.

    Raises:
        InputError: There is no such file, or it gives another shape or values beyond [0, 1].
    """
    values: np.ndarray = find_part(__name__, name, needs="TITLE", what="measure").measure(probabilities)
    inside = values.shape == probabilities.shape[1:] and bool(((values >= 0) & (values <= 1)).all())
    if not inside:
        raise InputError(
            f"difficulty/{name}.py gave values of shape {values.shape} or beyond [0, 1]; "
            f"expected {probabilities.shape[1:]} in [0, 1]"
        )
    return values
