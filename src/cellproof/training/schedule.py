"""Learning rate as a function of how much of the training is done."""

from __future__ import annotations

import math
from typing import Literal

Schedule = Literal["constant", "cosine", "step"]


def learning_rate_factor(
    progress: float, *, schedule: Schedule, warmup: float = 0.0, drop_every: float = 0.2, drop: float = 0.5
) -> float:
    """Factor on the base learning rate at ``progress``.

    Args:
        progress: Share of the training that is done, in [0, 1].
        schedule: "cosine" falls to 0 along half a cosine (Loshchilov and Hutter 2017, arXiv
            1608.03983, without restarts); "step" multiplies by ``drop`` after every ``drop_every``;
            "constant" stays.
        warmup: Share of the training in which the factor first rises linearly from 0.
        drop_every: Length of a step, as a fraction of the training.
        drop: Factor of each step.

    Returns:
        A value in [0, 1].
    """
    if progress < warmup:
        return progress / warmup
    if schedule == "constant":
        return 1.0
    if schedule == "step":
        # The small nudge keeps 0.6 / 0.2 = 2.999… from being counted as two drops.
        return drop ** math.floor(progress / drop_every + 1e-9)
    falling = (min(progress, 1.0) - warmup) / (1.0 - warmup)
    return 0.5 * (1.0 + math.cos(math.pi * falling))
