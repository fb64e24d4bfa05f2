"""The tables, ``run.json`` and the report of a folder of results, from its records."""

from __future__ import annotations

import math
import platform
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from ... import __version__
from ...io import atomic_path, read_csv, write_csv, write_json, write_text
from ...report.page import FailedInput, ImageRow, Provenance, SegmentReport, inline_first, segment_report
from ...report.palette import class_colors
from ...types import ModelHeader, Quality
from .names import Failure
from .pictures import read_pictures
from .record import OVERLAY, EngineFacts, Parameters, Record, Seconds, object_table

OBJECTS_CSV, IMAGES_CSV, RUN_JSON, REPORT_HTML = "objects.csv", "images.csv", "run.json", "report.html"

SUMMARIES = (OBJECTS_CSV, IMAGES_CSV, RUN_JSON, REPORT_HTML)
"""Files that a folder of results has once."""

_DIGITS = 4


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
        parts: Seconds of each part, summed over the inputs that were segmented.
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
    def megapixels_per_s(self) -> float:
        """Speed from file to file; NaN where nothing was computed."""
        return self.pixels / self.parts.total / 1e6 if self.parts.total else math.nan


Row = Record | Failure


def write_summaries(out: Path, rows: Sequence[Row], *, run: Run, header: ModelHeader, parameters: Parameters) -> None:
    """Write the two tables, ``run.json`` and the report.

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
    write_json(out / RUN_JSON, run_facts(rows, run=run, header=header, parameters=parameters))
    report = make_report(out, rows, run=run, header=header, parameters=parameters)
    write_text(out / REPORT_HTML, segment_report(report))


def write_objects(path: Path, tables: Sequence[Path]) -> None:
    """Write the rows of all tables under one header.

    Tables of images with different channels, or without pixel size, lack columns of others; their cells stay empty.

    Raises:
        InputError: A table cannot be read or the result not be written.
    """
    headers = {_first_line(table) for table in tables}
    if len(headers) > 1:
        _join_tables(path, tables)
        return
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(next(iter(headers), b"image,plane,label,class,area\n"))
        for table in tables:
            with table.open("rb") as rows:
                rows.readline()
                shutil.copyfileobj(rows, file)


def _first_line(table: Path) -> bytes:
    with table.open("rb") as file:
        return file.readline()


def _join_tables(path: Path, tables: Sequence[Path]) -> None:
    parts = [read_csv(table) for table in tables]
    names: list[str] = []
    for part in parts:
        for place, name in enumerate(part):
            if name not in names:
                before = list(part)[place - 1] if place else ""
                names.insert(names.index(before) + 1 if before else 0, name)
    lengths = [len(part["label"]) for part in parts]
    write_csv(
        path,
        {
            name: [cell for part, length in zip(parts, lengths, strict=True) for cell in part.get(name, [""] * length)]
            for name in names
        },
    )


def image_columns(rows: Sequence[Row]) -> dict[str, list[object]]:
    """One row an input; of one without result only its name, "failed" or "left out" as verdict, and the reason.

    Models that give classes to pixels add a column ``fraction_NAME`` for the area fraction of each class.
    """
    lines = [_image_line(row) for row in rows]
    names = ["image", "file", "height", "width", "planes", "pixel_size_um", "scale", "count", "mean_confidence"]
    names += ["expected_dice", "expected_f1", "expected_count", "expected_count_sd", "verdict", "why"]
    table = {name: [line[place] for line in lines] for place, name in enumerate(names)}
    classes = dict.fromkeys(name for row in rows if isinstance(row, Record) for name in row.class_fractions)
    return table | {f"fraction_{name}": [_fraction(row, name) for row in rows] for name in classes}


def _fraction(row: Row, name: str) -> float | None:
    if not isinstance(row, Record) or name not in row.class_fractions:
        return None
    return round(row.class_fractions[name], _DIGITS)


def _image_line(row: Row) -> tuple[object, ...]:
    if isinstance(row, Failure):
        empty = [None] * 11
        return (row.name, row.path.name, *empty, "left out" if row.left_out else "failed", row.reason)
    return (
        row.name,
        Path(row.source.path).name,
        row.height,
        row.width,
        row.planes,
        None if row.pixel_size_um is None else float(f"{row.pixel_size_um:.6g}"),
        None if row.scale is None else round(row.scale, _DIGITS),
        row.count,
        None if row.mean_confidence is None else round(row.mean_confidence, _DIGITS),
        _rounded(row.expected_dice, _DIGITS),
        _rounded(row.expected_f1, _DIGITS),
        _rounded(row.expected_count, 1),
        _rounded(row.expected_count_sd, 1),
        row.verdict,
        row.why,
    )


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


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
        seconds=run.parts.total,
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
    sure, promised = (math.nan if value is None else value for value in (record.mean_confidence, record.expected_dice))
    shown = read_pictures(out, record.name)
    return ImageRow(
        record.name,
        (record.height, record.width),
        Quality(record.count, sure, promised, record.verdict, record.why),
        overlay=shown.overlay,
        difficulty=shown.difficulty,
        difficult=shown.difficult,
        link=f"{record.name}{OVERLAY}",
        views=shown.views,
        fractions=tuple(record.class_fractions.values()),
        notes=(*record.notes, *_scale_note(record)),
    )


def _scale_note(record: Record) -> Iterator[str]:
    if record.scale is not None and record.parameters.diameter_px is not None:
        yield f"predicted at {record.scale:.3g} times its size, for objects of the given diameter"


def _scale(header: ModelHeader, parameters: Parameters) -> str:
    if parameters.diameter_px is None:
        return f"{header.scale:g}"
    given = parameters.diameter_px if parameters.diameter_px == "auto" else f"{parameters.diameter_px:g} px"
    return f"from a diameter of {given}: see each image"


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
            ("TTA views", "8" if parameters.tta else "1"),
            ("channels", "all" if parameters.channels is None else ", ".join(map(str, parameters.channels))),
            ("axes", parameters.axes or "as the files say"),
            ("method", header.instance.method if header.heads.has_instances else "classes of pixels"),
            ("steps", "; ".join(parameters.steps) or "none"),
            ("scale", _scale(header, parameters)),
            ("smallest object", f"{parameters.min_area_px} px" if parameters.min_area_px else "as the model says"),
            ("temperature", f"{header.temperature:.3g}"),
        ),
    )


def _legend(header: ModelHeader) -> tuple[tuple[str, str], ...]:
    """Names and colors of classes where pixels, not objects, are colored."""
    if header.heads.has_instances:
        return ()
    return tuple(zip(header.classes, class_colors(len(header.classes), header.colors), strict=True))
