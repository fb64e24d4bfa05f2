"""Scores of a study become lines of tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import msgspec

from ...report.study_page import StudyTable
from .membranes import REPAIRS

_PER_CLASS = ("recall ", "precision ")
"""How the names of metrics begin that the report's tables show of every class, before all others."""

_SHOWN = (
    "mean IoU",
    "fraction of open walls closed",
    "cells harmed",
    "added centerline precision",
    "missing centerline recovered",
    "Betti-0 matching error",
    "Betti-1 matching error",
    "clDice",
    "Betti-0 error",
    "Betti-1 error",
    "adapted Rand error",
    "VI split",
    "VI merge",
    "merged cells",
    "split cells",
    "mean width px prediction",
    "width change %",
    "fraction of gaps closed (old definition)",
    "fraction of closings false (old definition)",
)
"""What they show then, in this order; everything else is in the CSV file."""

_TELLING = (
    "recall {connected}",
    "precision {connected}",
    "fraction of open walls closed",
    "cells harmed",
    "added centerline precision",
    "adapted Rand error",
    "mean width px prediction",
)


class Scored(msgspec.Struct, frozen=True):
    """One trained network on the test pictures of one fold.

    Attributes:
        study: Name of the set, with a word where it is simulated.
        network: Name in the tables.
        fold: From 1 on.
        learned: Pictures learned from.
        scored: Pictures scored.
        threshold: Of `reconnect`, chosen on the validation pictures.
        repairs: Repair → metric → value.
        difficulty: Measure → AUROC against wrong pixels.
        connected: Name of the class whose connection is scored.
    """

    study: str
    network: str
    fold: int
    learned: int
    scored: int
    threshold: float
    repairs: dict[str, dict[str, float]]
    difficulty: dict[str, float]
    connected: str = "membrane"


@dataclass(frozen=True)
class Line:
    """One metric over folds: mean, and sample standard deviation where there are several values.

    Attributes:
        study: Name of the set.
        network: Name of the network.
        repair: One of `REPAIRS`; "difficulty" for a measure of difficulty.
        metric: What was measured.
        mean: Over the folds where it is defined; None where it is in none.
        sd: Of the same; None for one value.
        folds: Number of values.
        connected: Name of the set's class whose connection is scored.
    """

    study: str
    network: str
    repair: str
    metric: str
    mean: float | None
    sd: float | None
    folds: int
    connected: str

    @property
    def text(self) -> str:
        """Mean ± standard deviation, a dash where it is undefined."""
        if self.mean is None:
            return "–"
        digits = 3 if abs(self.mean) < 10 else 1
        spread = "" if self.sd is None else f" ± {self.sd:.{digits}f}"
        return f"{self.mean:.{digits}f}{spread}"


def summarize(scored: Sequence[Scored]) -> list[Line]:
    """Mean and standard deviation over folds of every metric, in the order in which they were measured."""
    values: dict[tuple[str, str, str, str], list[float]] = {}
    connected = {one.study: one.connected for one in scored}
    for one in scored:
        for repair, metrics in [*one.repairs.items(), ("difficulty", one.difficulty)]:
            for metric, value in metrics.items():
                values.setdefault((one.study, one.network, repair, metric), []).append(value)
    return [_line(key, found, connected[key[0]]) for key, found in values.items()]


def _line(key: tuple[str, str, str, str], found: Sequence[float], connected: str) -> Line:
    defined = [value for value in found if not math.isnan(value)]
    return Line(
        *key,
        connected=connected,
        mean=fmean(defined) if defined else None,
        sd=stdev(defined) if len(defined) > 1 else None,
        folds=len(defined),
    )


def columns(lines: Sequence[Line], note: str) -> dict[str, list[object]]:
    """The lines as columns of a CSV file; every row says how large the reproduction was."""
    return {
        "set": [line.study for line in lines],
        "network": [line.network for line in lines],
        "size": [note for _ in lines],
        "repair": [line.repair for line in lines],
        "metric": [line.metric for line in lines],
        "mean": [line.mean for line in lines],
        "sd": [line.sd for line in lines],
        "folds": [line.folds for line in lines],
    }


def screen(lines: Sequence[Line]) -> str:
    """The most telling metrics of every network and repair, one line each."""
    rows: list[tuple[str, ...]] = [
        (
            "set",
            "network",
            "repair",
            "recall",
            "precision",
            "walls closed",
            "harmed",
            "line right",
            "Rand error",
            "width px",
        )
    ]
    cells = {(x.study, x.network, x.repair, x.metric): x.text for x in lines}
    for study, network, repair, connected in dict.fromkeys((x.study, x.network, x.repair, x.connected) for x in lines):
        if repair in REPAIRS:
            telling = (name.format(connected=connected) for name in _TELLING)
            rows.append((study, network, repair, *(cells.get((study, network, repair, name), "–") for name in telling)))
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def tables(scored: Sequence[Scored], note: str) -> list[StudyTable]:
    """For each set: what each repair makes of each network, and how well each measure of difficulty ranks errors."""
    lines, made = summarize(scored), []
    for study in dict.fromkeys(line.study for line in lines):
        own = [line for line in lines if line.study == study]
        folds = max(one.fold for one in scored if one.study == study)
        over = f"mean ± standard deviation over {folds} folds, the value of one fold where no deviation stands"
        size = f"{note}; {over}" if folds > 1 else f"{note}; one fold"
        cells = {(line.network, line.repair, line.metric): line.text for line in own}
        networks = list(dict.fromkeys(line.network for line in own))
        there = dict.fromkeys(line.metric for line in own if line.repair in REPAIRS)
        metrics = [name for name in there if name.startswith(_PER_CLASS)] + [name for name in _SHOWN if name in there]
        rows = tuple(
            (network, metric, *(cells.get((network, repair, metric), "–") for repair in REPAIRS))
            for network in networks
            for metric in metrics
        )
        made.append(StudyTable(f"{study}: repairs", size, ("network", "metric", *REPAIRS), 2, rows))
        measures = tuple(dict.fromkeys(line.metric for line in own if line.repair == "difficulty"))
        ranked = tuple((n, *(cells.get((n, "difficulty", m), "–") for m in measures)) for n in networks)
        title = f"{study}: AUROC of difficulty against wrong pixels"
        made.append(StudyTable(title, size, ("network", *measures), 1, ranked))
    return made
