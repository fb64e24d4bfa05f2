"""Figures of a study: validation scores over the trainings, and how entries differ from the baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...checks import InputError
from ...io import read_csv
from ...report.curves import compared_curves
from ...report.dots import intervals
from ...report.study_page import StudyChart
from .fold import Fold
from .page import HISTORY_FILE
from .tables import Columns, Line, shown_headings

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


def difference_charts(lines: Sequence[Line], columns: Columns, *, baseline: str) -> list[StudyChart]:
    """A figure a set and protocol: the first number of every entry less the baseline's, image by image, with intervals.

    Args:
        lines: Over folds.
        columns: What tables show; their first column is drawn.
        baseline: Entry that the others were compared with.
    """
    made = []
    for set_, protocol, group in dict.fromkeys((line.set, line.protocol, line.row.group) for line in lines):
        own = [one for one in lines if (one.set, one.protocol, one.row.group) == (set_, protocol, group)]
        heading, named = next(iter(shown_headings(own, columns[set_, protocol]).items()), ("", ("", "")))
        rows = {}
        for line in own:
            if line.paired and line.baseline == baseline and (line.row.metric, line.row.class_or_threshold) == named:
                low, high = line.paired.interval or (math.nan, math.nan)
                rows[line.entry] = (line.paired.difference, low, high)
        svg = intervals(rows, label=f"{heading}, less that of {baseline}")
        title = f"{set_}: {protocol}" + (f", {group}" if group else "")
        made += [StudyChart(f"{title}: {heading} less that of {baseline}, image by image", svg)] if svg else []
    return made


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
