"""One self-contained HTML page about a segmentation or a training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import quote

import numpy as np
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from ..types import Quality
from .curves import training_curves
from .histogram import histogram
from .pictures import Figure, Picture, end_of_scale

VERDICTS = ("reject", "review", "accept")
_PICTURES_OF_ALL_UP_TO = 200
_PICTURES_OTHERWISE = 100


@dataclass(frozen=True)
class ImageRow:
    """One segmented image of the table.

    Attributes:
        name: File name.
        shape: (H, W).
        quality: Count, confidence, expected Dice, verdict and its reason.
        overlay: Thumbnail with outlines.
        difficulty: Thumbnail of the difficulty.
        difficult: Thumbnail with the difficult pixels in white.
        link: Path of the full overlay, relative to the page; empty without.
        notes: What was guessed while reading.
    """

    name: str
    shape: tuple[int, int]
    quality: Quality
    overlay: Picture | None = None
    difficulty: Picture | None = None
    difficult: Picture | None = None
    link: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FailedInput:
    """An input that gave no result, and the one line that says why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Provenance:
    """What the results were made with.

    Attributes:
        model: Its name.
        model_hash: First digits of its file's SHA-256.
        engine: What computed it, on which device, in which precision.
        engine_reason: Why that one.
        version: Of this package.
        finished: Date and time, as text.
        parameters: Name and value of every option that matters.
    """

    model: str
    model_hash: str
    engine: str
    engine_reason: str
    version: str
    finished: str = ""
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class SegmentReport:
    """All that the page of a segmentation says.

    Attributes:
        title: Headline.
        images: One row an image, in any order; the page shows the most doubtful first.
        failures: Inputs without result.
        provenance: Model, engine, parameters.
        seconds: Time for all images of this run.
        megapixels: Pixels segmented in that time, in millions; 0 hides the speed.
        areas: (n,) area of every object.
        area_unit: ``px²`` or ``µm²``.
        confidences: (n,) confidence of every object, in [0, 1].
        classes: Name and ``#rrggbb`` of each class in semantic results; empty where objects are outlined.
        scores: Name and value of measurements against known truth, where there is one.
        notes: Sentences for the reader.
    """

    title: str
    images: Sequence[ImageRow]
    provenance: Provenance
    failures: Sequence[FailedInput] = ()
    seconds: float = 0.0
    megapixels: float = 0.0
    areas: np.ndarray = field(default_factory=lambda: np.zeros(0))
    area_unit: str = "px²"
    confidences: np.ndarray = field(default_factory=lambda: np.zeros(0))
    classes: Sequence[tuple[str, str]] = ()
    scores: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Example:
    """A validation image side by side: as it is, with reference, with prediction, the difficulty, and further ones."""

    name: str
    image: Picture
    reference: Picture
    prediction: Picture
    difficulty: Picture
    caption: str = ""
    further: Sequence[Figure] = ()


@dataclass(frozen=True)
class TrainReport:
    """All that the page of a training says.

    Attributes:
        title: Headline.
        running: Whether the page should load itself anew every few seconds.
        status: One sentence on where the training stands.
        plan: What was planned and why, a sentence each.
        history: Columns of the history; see `training_curves`.
        best_step: Where the kept weights come from.
        metrics: Name and value of the final validation.
        examples: Validation images.
        classes: Name and ``#rrggbb`` of each class in semantic results; empty where objects are outlined.
        parameters: Name and value of every option that matters.
        notes: Sentences for the reader.
    """

    title: str
    running: bool
    status: str
    plan: Sequence[str] = ()
    history: Mapping[str, Sequence[float]] = field(default_factory=dict)
    best_step: int | None = None
    metrics: Sequence[tuple[str, str]] = ()
    examples: Sequence[Example] = ()
    classes: Sequence[tuple[str, str]] = ()
    parameters: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()


def segment_report(report: SegmentReport) -> str:
    """HTML of a segmentation: failures first, then images from the most to the least doubtful.

    Up to 200 images all have pictures; of more, the 100 most doubtful, and the page says so. The page loads nothing
    from anywhere; text from files is escaped.
    """
    rows = sorted(report.images, key=doubt)
    pictured = len(rows) if len(rows) <= _PICTURES_OF_ALL_UP_TO else _PICTURES_OTHERWISE
    counts = [(verdict, sum(row.quality.verdict == verdict for row in rows)) for verdict in VERDICTS]
    return render(
        "segment.html.j2",
        report=report,
        rows=rows,
        pictured=pictured,
        verdict_counts=counts,
        failures=[(failure.name, failure.reason) for failure in report.failures],
        objects=sum(row.quality.count for row in rows),
        area_plot=Markup(histogram(report.areas, label=f"Object area ({report.area_unit})")),
        confidence_plot=Markup(histogram(report.confidences, label="Object confidence (0–1)", limits=(0, 1))),
    )


def train_report(report: TrainReport) -> str:
    """HTML of a training; while it runs, the page loads itself anew every 15 seconds."""
    curves = Markup(training_curves(report.history, best_step=report.best_step))
    return render("train.html.j2", report=report, curves=curves)


def doubt(row: ImageRow) -> tuple[int, float, float, str]:
    """Key that sorts the most doubtful first; an expected Dice of NaN comes last within its verdict."""
    quality = row.quality
    expected = math.inf if math.isnan(quality.expected_dice) else quality.expected_dice
    return VERDICTS.index(quality.verdict), expected, quality.mean_confidence, row.name


def render(template: str, **values: Any) -> str:
    """HTML of a template of this room."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["share"] = _share
    environment.filters["path"] = quote
    environment.filters["end_of_scale"] = end_of_scale
    return environment


def _template(name: str) -> str:
    return resources.files(__package__).joinpath("templates", name).read_text("utf-8")


def _share(value: float) -> str:
    """Three decimals, and a dash for NaN."""
    return "–" if math.isnan(value) else f"{value:.3f}"
