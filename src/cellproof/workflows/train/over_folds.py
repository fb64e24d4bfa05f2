"""Scores of a cross-validation: each network on the images that it has not seen, then mean and deviation over folds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from ...io import write_csv
from ...report.curves import WATCHED
from ...training.history import HistoryRow, best_row

FOLDS_CSV = "folds.csv"


@dataclass(frozen=True)
class OverFolds:
    """One metric over the folds of a training.

    Attributes:
        metric: Its name.
        values: Of each fold, at its best validation; NaN where undefined.
        mean: Of those that are defined; NaN without any.
        sd: Sample standard deviation of the same; NaN for fewer than two.
    """

    metric: str
    values: tuple[float, ...]
    mean: float
    sd: float

    @property
    def text(self) -> str:
        """Mean ± standard deviation with three decimals; a dash where it is undefined."""
        if math.isnan(self.mean):
            return "–"
        return f"{self.mean:.3f}" + ("" if math.isnan(self.sd) else f" ± {self.sd:.3f}")


def over_folds(history: Mapping[int, Sequence[HistoryRow]]) -> list[OverFolds]:
    """Every metric over folds, in the order in which validations give them; empty for fewer than two folds.

    Args:
        history: Rows of each fold, by its number from 0.

    Examples:
        >>> rows = {k: [HistoryRow(1, 1.0, 0.1, 0.5, iou, {"mean_iou": iou})] for k, iou in enumerate((0.5, 0.7))}
        >>> one = over_folds(rows)[0]
        >>> one.metric, one.values, round(one.mean, 3), round(one.sd, 3)
        ('mean_iou', (0.5, 0.7), 0.6, 0.141)
    """
    best = [row.metrics for _, rows in sorted(history.items()) if (row := best_row(rows)) is not None]
    if len(best) < 2:
        return []
    names = dict.fromkeys(name for metrics in best for name in metrics if not name.startswith(WATCHED))
    found = []
    for name in names:
        values = tuple(float(metrics.get(name, math.nan)) for metrics in best)
        defined = [value for value in values if not math.isnan(value)]
        mean = fmean(defined) if defined else math.nan
        found.append(OverFolds(name, values, mean, stdev(defined) if len(defined) > 1 else math.nan))
    return found


def write_over_folds(path: Path, rows: Sequence[OverFolds]) -> None:
    """Write ``folds.csv``: metric, mean ± sd as text, mean, sd, and the value of each fold.

    Raises:
        InputError: The file cannot be written.
    """
    folds = len(rows[0].values)
    columns: dict[str, list[object]] = {
        "metric": [row.metric for row in rows],
        "mean ± sd": [row.text for row in rows],
        "mean": [row.mean for row in rows],
        "sd": [row.sd for row in rows],
    }
    write_csv(path, columns | {f"fold{k + 1}": [row.values[k] for row in rows] for k in range(folds)})
