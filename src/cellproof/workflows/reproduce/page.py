"""The page of a study, drawn from its score files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from ...checks import InputError
from ...io import read_json, write_json
from ...recipe import StudyConfig
from ...report.pictures import Figure
from ...report.study_page import StudyChart, StudyPictures, StudyReport, StudyTable, study_report
from ..evaluate import load_protocol
from .cells import Cell
from .tables import Columns, Line, tables

FIGURES_FILE = "figures.json"


class StoredFigures(msgspec.Struct, frozen=True):
    """Figures of one image by one entry, as they are kept beside its scores."""

    fingerprint: str
    title: str
    figures: tuple[Figure, ...]


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
            parameters=parameters,
        )
    )
