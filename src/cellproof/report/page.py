"""One HTML page about a segmentation or a training."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from ..types import Quality
from .curves import compared_curves, training_curves
from .dots import dots
from .histogram import histogram
from .pictures import Figure, Picture, end_of_scale, moved_inside

VERDICTS = ("reject", "review", "accept")

INLINE_BYTES = 2_000_000
"""Letters that the images inside a page of segmentations take at most, so that it opens at once."""


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
        views: Name and path, relative to the page, of each larger image that a click opens.
        fractions: Area fraction of each class in [0, 1], for semantic results; empty where unknown.
        notes: What was guessed while reading.
    """

    name: str
    shape: tuple[int, int]
    quality: Quality
    overlay: Picture | None = None
    difficulty: Picture | None = None
    difficult: Picture | None = None
    link: str = ""
    views: tuple[tuple[str, str], ...] = ()
    fractions: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def paths(self) -> list[list[str]]:
        """Views with their paths as addresses."""
        return [[name, quote(path)] for name, path in self.views]


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
        step_losses: (step, loss) of every step so far, for the curve.
        best_step: Where the kept weights come from.
        metrics: Name and value of the final validation.
        examples: Validation images.
        classes: Name and ``#rrggbb`` of each class in semantic results; empty where objects are outlined.
        parameters: Name and value of every option that matters.
        notes: Sentences for the reader.
        over_folds: Metric, mean ± standard deviation as text, and value in each fold, of a cross-validation.
        reliability: Name → means of what was said, ascending, and what was true on average.
        risk: Name → fraction of the surest that is kept, and the mean error in it.
    """

    title: str
    running: bool
    status: str
    plan: Sequence[str] = ()
    history: Mapping[str, Sequence[float]] = field(default_factory=dict)
    step_losses: Sequence[tuple[int, float]] = ()
    best_step: int | None = None
    metrics: Sequence[tuple[str, str]] = ()
    examples: Sequence[Example] = ()
    classes: Sequence[tuple[str, str]] = ()
    parameters: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()
    over_folds: Sequence[tuple[str, str, Sequence[float]]] = ()
    reliability: Mapping[str, tuple[Sequence[float], Sequence[float]]] = field(default_factory=dict)
    risk: Mapping[str, tuple[Sequence[float], Sequence[float]]] = field(default_factory=dict)


def segment_report(report: SegmentReport) -> str:
    """HTML of a segmentation: failures first, then images from the most to the least doubtful.

    The page loads nothing from any network: its images are inside it or in files beside it, which are read when
    they come into view; see `inline_first`. Text from files is escaped, and no script runs but the page's own.
    """
    rows = sorted(report.images, key=doubt)
    counts = [(verdict, sum(row.quality.verdict == verdict for row in rows)) for verdict in VERDICTS]
    noun = "Piece" if report.classes else "Object"
    return render(
        "segment.html.j2",
        script="segment.js",
        report=report,
        rows=rows,
        verdict_counts=counts,
        noun=noun.lower(),
        failures=[(failure.name, failure.reason) for failure in report.failures],
        objects=sum(row.quality.count for row in rows),
        area_plot=Markup(histogram(report.areas, label=f"{noun} area ({report.area_unit})", counted=f"{noun}s")),
        confidence_plot=Markup(
            histogram(report.confidences, label=f"{noun} confidence (0–1)", limits=(0, 1), counted=f"{noun}s")
        ),
    )


def inline_first(rows: Sequence[ImageRow], folder: Path) -> list[ImageRow]:
    """Rows from the most to the least doubtful, the first with their thumbnails inside the page.

    A page without the files beside it, as one that was sent by mail, still shows those. The others are read from
    their files.

    Args:
        rows: In any order.
        folder: Of the page.
    """
    room, done = INLINE_BYTES, []
    for row in sorted(rows, key=doubt):
        inside = _inlined(row, folder) if room > 0 else row
        room -= sum(len(picture.source) for picture in _thumbnails(inside))
        done.append(inside if room >= 0 else row)
    return done


def _inlined(row: ImageRow, folder: Path) -> ImageRow:
    return replace(
        row,
        overlay=row.overlay and moved_inside(row.overlay, folder),
        difficulty=row.difficulty and moved_inside(row.difficulty, folder),
        difficult=row.difficult and moved_inside(row.difficult, folder),
    )


def _thumbnails(row: ImageRow) -> list[Picture]:
    return [picture for picture in (row.overlay, row.difficulty, row.difficult) if picture is not None]


def train_report(report: TrainReport) -> str:
    """HTML of a training; while it runs, the page loads itself anew every 15 seconds."""
    curves = Markup(training_curves(report.history, best_step=report.best_step, step_losses=report.step_losses))
    values = {name: values for name, _, values in report.over_folds}
    scatter = Markup(dots(values, label="held-out score of each fold, mean as a bar"))
    straight = {"as it should be": ((0.0, 1.0), (0.0, 1.0))} if report.reliability else {}
    said = compared_curves({**report.reliability, **straight}, label="True on average", axis="Said")
    risk = compared_curves(report.risk, label="Mean error", axis="Fraction of the surest that is kept")
    return render(
        "train.html.j2", report=report, curves=curves, scatter=scatter, reliability=Markup(said), risk=Markup(risk)
    )


def doubt(row: ImageRow) -> tuple[int, float, float, str]:
    """Key that sorts the most doubtful first, by expected F1, else expected Dice; NaN comes last within its verdict."""
    quality = row.quality
    promised = quality.expected_dice if math.isnan(quality.expected_f1) else quality.expected_f1
    expected = math.inf if math.isnan(promised) else promised
    sure = math.inf if math.isnan(quality.mean_confidence) else quality.mean_confidence
    return VERDICTS.index(quality.verdict), expected, sure, row.name


def render(template: str, *, script: str = "", **values: Any) -> str:
    """HTML of a template of this room, with the only script that its content policy allows."""
    text = _template(script) if script else ""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return _environment().get_template(template).render(script=Markup(text), script_sha256=digest, **values)


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
    environment.filters["breakable"] = _breakable
    environment.filters["path"] = quote
    environment.filters["end_of_scale"] = end_of_scale
    environment.globals["columns"] = _columns
    return environment


def _template(name: str) -> str:
    return resources.files(__package__).joinpath("templates", name).read_text("utf-8")


def _share(value: float) -> str:
    """Three decimals, and a dash for NaN."""
    return "–" if math.isnan(value) else f"{value:.3f}"


def _breakable(name: str) -> Markup:
    """A file name that a narrow cell breaks behind its own separators rather than inside a word."""
    return Markup(re.sub(r"(?<=[_-])(?=\w)", "<wbr>", str(escape(name))))


def _columns(pictures: int) -> int:
    """How many stand beside each other so that the rows are full or nearly so: 7 are 4 and 3, not 6 and 1."""
    return pictures if pictures <= 4 else 3 if pictures <= 6 else 4
