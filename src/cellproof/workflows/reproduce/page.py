"""The page of a study, drawn from its score files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar

import msgspec

from ...checks import InputError
from ...io import read_csv, read_json, write_json
from ...recipe import StudyConfig
from ...report.curves import training_curves
from ...report.pictures import Figure
from ...report.study_page import StudyChart, StudyPictures, StudyReport, StudyTable, study_report
from ..evaluate import load_protocol
from .cells import Cell
from .tables import Columns, Line, tables

_T = TypeVar("_T")

HISTORY_FILE = "history.csv"
"""What a training run says of its course."""


class StoredFigures(msgspec.Struct, frozen=True):
    """Figures of one image by one entry, as they are kept beside its scores."""

    fingerprint: str
    title: str
    figures: tuple[Figure, ...]


def figures_file(number: int) -> str:
    """File of the figures of an entry's example, counted from 0.

    Examples:
        >>> figures_file(0), figures_file(1)
        ('figures.json', 'figures-2.json')
    """
    return "figures.json" if number == 0 else f"figures-{number + 1}.json"


def evenly(records: Sequence[_T], count: int) -> list[_T]:
    """So many of a sequence, the first and then evenly spaced; all where it has no more.

    Examples:
        >>> evenly("abcdefghij", 5)
        ['a', 'c', 'e', 'g', 'i']
    """
    wanted = min(count, len(records))
    return [records[place * len(records) // wanted] for place in range(wanted)]


def curves_of(run: Path) -> str:
    """Loss and validation of a training run as SVG, the best epoch marked; empty where there is no history."""
    path = run / HISTORY_FILE
    try:
        stat = path.stat()
    except OSError:
        return ""
    return _drawn(path, stat.st_mtime_ns, stat.st_size)


@cache
def _drawn(path: Path, changed_ns: int, size: int) -> str:
    """Curves of a history, drawn again when it has changed: the page is written after every entry."""
    try:
        table = read_csv(path)
        history = {name: [float(value or "nan") for value in column] for name, column in table.items()}
        steps, scores = history["step"], history["score"]
    except (InputError, KeyError, ValueError):
        return ""
    known = [(score, -step) for step, score in zip(steps, scores, strict=True) if not math.isnan(score)]
    best = int(-max(known)[1]) if known else None
    history.pop("fold", None)
    return training_curves(history, best_step=best)


def keep_figures(path: Path, stored: StoredFigures) -> None:
    """Write figures.

    Raises:
        InputError: The file cannot be written.
    """
    write_json(path, stored)


def kept_figures(path: Path, fingerprint: str) -> StudyPictures | None:
    """Figures that belong to a score; None where there are none."""
    if not path.is_file():
        return None
    try:
        stored = msgspec.convert(read_json(path), StoredFigures)
    except (InputError, msgspec.ValidationError):
        return None
    return StudyPictures(stored.title, stored.figures) if stored.fingerprint == fingerprint else None


def page(
    name: str,
    study: StudyConfig,
    *,
    note: str,
    cells: Sequence[Cell],
    lines: Sequence[Line],
    columns: Columns,
    pictures: Sequence[StudyPictures],
    charts: Sequence[StudyChart],
    costs: Sequence[StudyTable],
    curves: Mapping[str, str],
    parameters: Sequence[tuple[str, str]],
) -> str:
    """The report as HTML."""
    chosen = [
        f"{cell.set}, {cell.entry}, {cell.fold}: {choice}"
        for cell in cells
        for choice in dict.fromkeys(score.choice for score in cell.scores if score.choice)
    ]
    said = [sentence for protocol in study.protocols for sentence in load_protocol(protocol).notes]
    if chosen:
        said.append(f"Chosen on validation images. {'; '.join(chosen)}.")
    return study_report(
        StudyReport(
            title=f"{name}, reproduced",
            status=f"{study.reference}. Size: {note}.",
            notes=said,
            tables=[*tables(cells, lines, columns), *costs],
            pictures=pictures,
            charts=charts,
            curves=curves,
            parameters=parameters,
        )
    )
