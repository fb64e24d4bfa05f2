"""The tables, ``run.json`` and the report of a folder of results, from its records."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from ... import __version__
from ...io import read_csv, write_csv, write_json, write_text
from ...report.page import FailedInput, ImageRow, Provenance, SegmentReport, inline_first, segment_report
from ...report.palette import class_colors
from ...types import ModelHeader, Promise, Quality
from .names import Failure
from .pictures import read_pictures
from .record import OVERLAY, EngineFacts, Parameters, Record, Seconds, object_table
from .tables import Row, image_columns, plane_columns, write_objects

OBJECTS_CSV, IMAGES_CSV, PLANES_CSV = "objects.csv", "images.csv", "planes.csv"

RUN_JSON, REPORT_HTML = "run.json", "report.html"

SUMMARIES = (OBJECTS_CSV, IMAGES_CSV, PLANES_CSV, RUN_JSON, REPORT_HTML)
"""Files that a folder of results has once."""


@dataclass
class Run:
    """What a job knows of itself; filled in while it works.

    Attributes:
        engine: What computes; None while nothing had to be computed.
        threads: As asked for, None for all cores.
        max_memory_bytes: As asked for.
        started: Date and time.
        finished: Date and time.
        seconds: From the first input to the last.
        load_seconds: Until the model was ready.
        parts: Seconds of each part, summed over the inputs that were segmented; as parts of different inputs
            overlap, their sum is more than the time by the clock.
        pixels: Segmented in those.
        interrupted: Whether Ctrl-C ended it.
        scores: Name and value of measurements against a known truth.
    """

    engine: EngineFacts | None = None
    threads: int | None = None
    max_memory_bytes: int | None = None
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    finished: str = ""
    seconds: float = 0.0
    load_seconds: float = 0.0
    parts: Seconds = field(default_factory=Seconds)
    pixels: int = 0
    interrupted: bool = False
    scores: tuple[tuple[str, str], ...] = ()

    @property
    def working_seconds(self) -> float:
        """From file to file by the clock, without loading the model: parts that overlap count once."""
        return self.seconds - self.load_seconds

    @property
    def megapixels_per_s(self) -> float:
        """Speed from file to file; NaN where nothing was computed."""
        return self.pixels / self.working_seconds / 1e6 if self.pixels else math.nan


def write_summaries(out: Path, rows: Sequence[Row], *, run: Run, header: ModelHeader, parameters: Parameters) -> None:
    """Write the tables, ``run.json`` and the report.

    Args:
        out: Folder of the results.
        rows: Finished and failed inputs, in the order of the tables.
        run: What the job knows of itself.
        header: Of the model.
        parameters: Of all results.

    Raises:
        InputError: A file cannot be written.
    """
    records = [row for row in rows if isinstance(row, Record)]
    write_objects(out / OBJECTS_CSV, [object_table(out, record) for record in records])
    write_csv(out / IMAGES_CSV, image_columns(rows))
    write_csv(out / PLANES_CSV, plane_columns(records))
    write_json(out / RUN_JSON, run_facts(rows, run=run, header=header, parameters=parameters))
    report = make_report(out, rows, run=run, header=header, parameters=parameters)
    write_text(out / REPORT_HTML, segment_report(report))


def run_facts(rows: Sequence[Row], *, run: Run, header: ModelHeader, parameters: Parameters) -> dict[str, object]:
    """What ``run.json`` says."""
    records = [row for row in rows if isinstance(row, Record)]
    return {
        "versions": _versions(),
        "model": {"name": header.name, "sha256": parameters.model_hash},
        "parameters": parameters,
        "engine": run.engine or (records[-1].engine if records else None),
        "threads": run.threads,
        "max_memory_bytes": run.max_memory_bytes,
        "started": run.started,
        "finished": run.finished,
        "interrupted": run.interrupted,
        "seconds": run.seconds,
        "seconds_of_parts": run.parts,
        "load_seconds": run.load_seconds,
        "megapixels": run.pixels / 1e6,
        "megapixels_per_s": run.megapixels_per_s,
        "scores": dict(run.scores),
        "inputs": [
            {
                "name": record.name,
                "file": record.source,
                "planes": record.planes,
                "scale": record.scale,
                "views": record.views,
                "seconds": record.seconds,
            }
            for record in records
        ],
        "failures": [_without_result(row) for row in rows if isinstance(row, Failure) and not row.left_out],
        "left_out": [_without_result(row) for row in rows if isinstance(row, Failure) and row.left_out],
    }


def _without_result(row: Failure) -> dict[str, object]:
    return {"file": row.path, "reason": row.reason}


def _versions() -> dict[str, str]:
    """Of this package, Python and what results depend on, without importing anything."""
    found = {"cellproof": __version__, "python": platform.python_version()}
    for name in ("numpy", "torch", "openvino"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def make_report(
    out: Path, rows: Sequence[Row], *, run: Run, header: ModelHeader, parameters: Parameters
) -> SegmentReport:
    """What the page says.

    Raises:
        InputError: Images or measurements cannot be read.
    """
    records = [row for row in rows if isinstance(row, Record)]
    areas, confidences, unit = _measurements(out, records)
    return SegmentReport(
        title=f"{len(records)} image{'' if len(records) == 1 else 's'} segmented",
        images=inline_first([_image_row(out, record) for record in records], out),
        provenance=_provenance(records, run=run, header=header, parameters=parameters),
        failures=[
            FailedInput(row.path.name, row.reason) for row in rows if isinstance(row, Failure) and not row.left_out
        ],
        seconds=run.working_seconds,
        megapixels=run.pixels / 1e6,
        areas=areas,
        area_unit=unit,
        confidences=confidences,
        classes=_legend(header),
        scores=run.scores,
        notes=tuple(_notes(rows, run)),
    )


def _notes(rows: Sequence[Row], run: Run) -> Iterator[str]:
    if run.interrupted:
        yield "The job was interrupted; the same command does the rest."
    yield from (f"Left out: {row.reason}" for row in rows if isinstance(row, Failure) and row.left_out)


def _image_row(out: Path, record: Record) -> ImageRow:
    sure, promised = _or_nan(record.mean_confidence), _or_nan(record.expected_dice)
    shown = read_pictures(out, record.name)
    return ImageRow(
        record.name,
        (record.height, record.width),
        Quality(
            record.count,
            sure,
            promised,
            record.verdict,
            record.why,
            expected_f1=_or_nan(record.expected_f1),
            expected_count=_or_nan(record.expected_count),
            expected_count_sd=_or_nan(record.expected_count_sd),
        ),
        overlay=shown.overlay,
        difficulty=shown.difficulty,
        difficult=shown.difficult,
        link=f"{record.name}{OVERLAY}",
        views=shown.views,
        fractions=tuple(record.class_fractions.values()),
        notes=(*record.notes, *_scale_note(record)),
    )


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _scale_note(record: Record) -> Iterator[str]:
    if record.scale is not None and record.parameters.diameter_px is not None:
        yield f"predicted at {record.scale:.3g} times its size, for objects of the given diameter"


def _scale(header: ModelHeader, parameters: Parameters) -> str:
    if parameters.diameter_px is None:
        return f"{header.scale:g}"
    given = parameters.diameter_px if parameters.diameter_px == "auto" else f"{parameters.diameter_px:g} px"
    return f"from a diameter of {given}: see each image"


def _views(parameters: Parameters) -> str:
    if parameters.tta == "auto":
        return "1, or 4 where one leaves the verdict in doubt: see each image"
    return "8" if parameters.tta else "1"


def _measurements(out: Path, records: Sequence[Record]) -> tuple[np.ndarray, np.ndarray, str]:
    """Areas and confidences of all objects, and the unit of area: µm² where every image has a pixel size."""
    has_size = bool(records) and all(record.pixel_size_um is not None for record in records)
    column, unit = ("area_um2", "µm²") if has_size else ("area", "px²")
    tables = [read_csv(object_table(out, record)) for record in records]
    areas = [np.array(table[column], float) for table in tables]
    confidences = [np.array(table["confidence"], float) for table in tables]
    return np.concatenate([np.zeros(0), *areas]), np.concatenate([np.zeros(0), *confidences]), unit


def _provenance(records: Sequence[Record], *, run: Run, header: ModelHeader, parameters: Parameters) -> Provenance:
    engines = {(facts.engine, facts.precision, facts.device) for facts in (record.engine for record in records)}
    reason = run.engine or (records[-1].engine if records else None)
    return Provenance(
        model=header.name,
        model_hash=parameters.model_hash[:16],
        engine="; ".join(f"{engine}, {precision}, on {device}" for engine, precision, device in sorted(engines))
        or "none",
        engine_reason=reason.reason if reason else "nothing had to be computed",
        version=__version__,
        finished=run.finished.replace("T", " ").replace("+00:00", " UTC"),
        parameters=(
            ("TTA views", _views(parameters)),
            ("channels", "all" if parameters.channels is None else ", ".join(map(str, parameters.channels))),
            ("axes", parameters.axes or "as the files say"),
            ("method", header.instance.method if header.heads.has_instances else "classes of pixels"),
            ("steps", "; ".join(parameters.steps) or "none"),
            ("scale", _scale(header, parameters)),
            ("smallest object", f"{parameters.min_area_px} px" if parameters.min_area_px else "as the model says"),
            ("temperature", f"{header.temperature:.3g}"),
            ("promise", _promise(header, parameters)),
        ),
    )


def _promise(header: ModelHeader, parameters: Parameters) -> str:
    """What accepted images keep, for a person."""
    if header.trust is None:
        return "none: judged by pixels alone"
    kept = Promise(header.trust.promise_fraction, header.trust.promise_f1)
    promise = Promise.parse(parameters.promise) if parameters.promise else kept
    return f"of accepted images at most {100 * promise.fraction:g} % have an F1 below {promise.below:g}"


def _legend(header: ModelHeader) -> tuple[tuple[str, str], ...]:
    """Names and colors of classes where pixels, not objects, are colored."""
    if header.heads.has_instances:
        return ()
    return tuple(zip(header.classes, class_colors(len(header.classes), header.colors), strict=True))
