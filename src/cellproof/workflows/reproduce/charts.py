"""Validation scores of all entries of a study over their trainings, in one figure a set."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...checks import InputError
from ...io import read_csv
from ...report.curves import compared_curves
from ...report.study_page import StudyChart
from .fold import Fold
from .page import HISTORY_FILE

Curve = tuple[list[float], list[float]]


def study_charts(folds: Sequence[Fold]) -> list[StudyChart]:
    """The figure of the first of some folds of one set; none where no training left its history.

    Args:
        folds: Of one set.
    """
    for fold in folds:
        histories = {name: _history(fold, name) for name in fold.study.plan.entries if name in fold.study.plan.recipes}
        scores = {name: _curve(columns, "score") for name, columns in histories.items() if columns}
        if scores:
            where = f"{fold.found.title}, {fold.split.name}"
            svg = compared_curves(scores, label="validation score")
            return [StudyChart(f"{where}: validation score over the training", svg)] if svg else []
    return []


def _history(fold: Fold, name: str) -> dict[str, list[str]]:
    """Columns of a training's history; empty where it is not there."""
    path = fold.run(name) / HISTORY_FILE
    if not path.is_file():
        return {}
    try:
        return dict(read_csv(path))
    except InputError:
        return {}


def _curve(columns: dict[str, list[str]], key: str) -> Curve:
    return [float(step) for step in columns["step"]], [_number(value) for value in columns[key]]


def _number(text: str) -> float:
    return float(text) if text else math.nan
