"""One self-contained HTML page about a paper's recipe, carried out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from markupsafe import Markup

from .page import render
from .pictures import Figure


@dataclass(frozen=True)
class StudyTable:
    """A table of means ± standard deviations.

    Attributes:
        title: What it shows.
        note: What a reader must know.
        columns: Headings; the first ones are words, the others numbers.
        words: How many columns are words.
        rows: A cell for each heading.
    """

    title: str
    note: str
    columns: tuple[str, ...]
    words: int
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class StudyPictures:
    """One image in all its aspects, side by side."""

    title: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class StudyChart:
    """Curves, as SVG."""

    title: str
    svg: str


@dataclass(frozen=True)
class StudyReport:
    """A reproduction.

    Attributes:
        title: Of the page.
        status: One sentence on where it stands.
        notes: A sentence each.
        tables: In their order.
        pictures: In their order.
        curves: Name of a training → its course as SVG.
        parameters: Name and value.
        charts: In their order.
    """

    title: str
    status: str
    notes: Sequence[str]
    tables: Sequence[StudyTable]
    pictures: Sequence[StudyPictures]
    parameters: Sequence[tuple[str, str]]
    charts: Sequence[StudyChart] = ()
    curves: Mapping[str, str] = field(default_factory=dict)


def study_report(report: StudyReport) -> str:
    """HTML of a reproduction."""
    curves = {title: Markup(svg) for title, svg in report.curves.items()}
    charts = [(one.title, Markup(one.svg)) for one in report.charts]
    return render("study.html.j2", report=replace(report, curves=curves), charts=charts)
