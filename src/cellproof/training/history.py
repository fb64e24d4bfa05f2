"""The course of a training, row by row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class HistoryRow:
    """State of a training at one validation.

    Attributes:
        step: Optimizer steps taken.
        seconds: Training time so far, over all resumptions.
        learning_rate: At this step.
        loss: Mean training loss since the last row.
        score: The metric that is watched; grows with quality.
        metrics: All validation metrics, name → value.
    """

    step: int
    seconds: float
    learning_rate: float
    loss: float
    score: float
    metrics: Mapping[str, float]


def best_row(rows: Sequence[HistoryRow]) -> HistoryRow | None:
    """The first row of the best score; the last row where no score is a number, None without rows."""
    scored = [row for row in rows if not math.isnan(row.score)]
    return max(scored, key=lambda row: row.score) if scored else (rows[-1] if rows else None)


def columns(rows: Sequence[HistoryRow]) -> dict[str, list[float]]:
    """Column name → values, ready for a CSV; metrics that some rows lack are NaN there."""
    names = sorted({name for row in rows for name in row.metrics})
    table: dict[str, list[float]] = {
        "step": [row.step for row in rows],
        "seconds": [row.seconds for row in rows],
        "learning_rate": [row.learning_rate for row in rows],
        "loss": [row.loss for row in rows],
        "score": [row.score for row in rows],
    }
    for name in names:
        table[name] = [row.metrics.get(name, float("nan")) for row in rows]
    return table
