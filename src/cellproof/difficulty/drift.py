"""How an image differs from those that a model was trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..checks import InputError
from ..types import IntensityStatistics

FOREIGN_SDS = 4.0
"""Standard deviations that a channel's mean may lie from the training images' mean."""

FOREIGN_SIZE = 1.5
"""How far beyond nine in ten training objects an image's median diameter may lie, as a factor."""


def drift_notes(
    image_means: Sequence[float], statistics: IntensityStatistics, *, diameters_px: np.ndarray | None = None
) -> tuple[str, ...]:
    """Say in which respects an image lies outside the training images.

    Args:
        image_means: Mean of each channel of the normalized image.
        statistics: Of the training images; what it leaves empty is not compared.
        diameters_px: (n,) equivalent diameters of the objects found, at the model's working scale;
            their median should lie within `FOREIGN_SIZE` of the 5th and 95th percentile of training.
            None or empty: not compared.

    Returns:
        One sentence for each difference; empty where there is none.

    Raises:
        InputError: the image has another number of channels than the statistics.
    """
    notes = []
    if statistics.mean:
        if len(image_means) != len(statistics.mean):
            raise InputError(
                f"image has {len(image_means)} channels, the model's statistics {len(statistics.mean)}; "
                "give the channels that the network reads"
            )
        for channel, (found, mean, sd) in enumerate(zip(image_means, statistics.mean, statistics.sd, strict=True)):
            if abs(found - mean) > FOREIGN_SDS * sd:
                notes.append(f"channel {channel} has mean {found:.2f}, training images {mean:.2f} ± {sd:.2f}")
    if statistics.object_diameter_px and diameters_px is not None and diameters_px.size:
        low, _, high = statistics.object_diameter_px
        median = float(np.median(diameters_px))
        if not low / FOREIGN_SIZE <= median <= high * FOREIGN_SIZE:
            notes.append(
                f"median object diameter is {median:.1f} px at the model's scale, "
                f"nine in ten training objects have {low:.1f} to {high:.1f} px"
            )
    return tuple(notes)
