"""Whether an image's objects are of another size than those that a model was trained on."""

from __future__ import annotations

import numpy as np

from ..types import IntensityStatistics

FOREIGN_SIZE = 1.5
"""How far beyond nine in ten training objects an image's median diameter may lie, as a factor."""


def drift_notes(statistics: IntensityStatistics, *, diameters_px: np.ndarray | None = None) -> tuple[str, ...]:
    """Say whether an image's objects lie outside the sizes of the training objects.

    Args:
        statistics: Of the training images; what it leaves empty is not compared.
        diameters_px: (n,) equivalent diameters of the objects found, at the model's working scale;
            their median should lie within `FOREIGN_SIZE` of the 5th and 95th percentile of training.
            None or empty: not compared.

    Returns:
        One sentence, or none.

    Example:
        >>> known = IntensityStatistics(object_diameter_px=(10.0, 20.0, 30.0))
        >>> [len(drift_notes(known, diameters_px=np.array([size]))) for size in (25.0, 90.0)]
        [0, 1]
    """
    if not (statistics.object_diameter_px and diameters_px is not None and diameters_px.size):
        return ()
    low, _, high = statistics.object_diameter_px
    median = float(np.median(diameters_px))
    if low / FOREIGN_SIZE <= median <= high * FOREIGN_SIZE:
        return ()
    return (
        f"median object diameter is {median:.1f} px at the model's scale, "
        f"nine in ten training objects have {low:.1f} to {high:.1f} px",
    )
