"""Curves of a study's trainings: validation scores of all entries, and numbers that networks give of themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...checks import InputError
from ...io import read_csv
from ...report.curves import WATCHED, compared_curves
from ...report.study_page import StudyChart
from .fold import Fold

HISTORY = "history.csv"

Curve = tuple[list[float], list[float]]


def study_charts(folds: Sequence[Fold]) -> list[StudyChart]:
    """Figures of the first of some folds of one set; none where no training left its history.

    Args:
        folds: Of one set.
    """
    for fold in folds:
        histories = {name: _history(fold, name) for name in fold.study.plan.entries if name in fold.study.plan.recipes}
        scores = {name: _curve(columns, "score") for name, columns in histories.items() if columns}
        if scores:
            where = f"{fold.found.title}, {fold.split.name}"
            figures = [
                (f"{where}: validation score over the training", compared_curves(scores, label="validation score"))
            ]
            for name, columns in histories.items():
                own = {key.removeprefix(WATCHED): _curve(columns, key) for key in columns if key.startswith(WATCHED)}
                figures.append((f"{where}, {name}: numbers of the network", compared_curves(own, label="value")))
            return [StudyChart(title, svg) for title, svg in figures if svg]
    return []


def _history(fold: Fold, name: str) -> dict[str, list[str]]:
    """Columns of a training's history; empty where it is not there."""
    path = fold.run(name) / HISTORY
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
