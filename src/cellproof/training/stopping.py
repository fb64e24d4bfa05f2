"""Remember the best score and say when there is no point in going on."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Stopping:
    """Early stopping on a score that should grow.

    Attributes:
        patience: Validations in a row without a better score after which to stop, at least 1; None never stops.
        best: Best score so far.
        best_step: Step that reached it.
        worse: Validations since.
    """

    patience: int | None = None
    best: float = -math.inf
    best_step: int = 0
    worse: int = 0

    def update(self, score: float, step: int) -> Stopping:
        """The rule after one more validation; NaN counts as no better."""
        if score > self.best:
            return replace(self, best=score, best_step=step, worse=0)
        return replace(self, worse=self.worse + 1)

    @property
    def is_best(self) -> bool:
        """Whether the last validation was the best one so far."""
        return self.worse == 0 and self.best > -math.inf

    @property
    def is_over(self) -> bool:
        """Whether patience has run out."""
        return self.patience is not None and self.worse >= self.patience
