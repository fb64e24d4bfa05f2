"""Scores that `reproduce corona2022` left: tables of them, and entries compared image by image."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from page import table

from cellproof.metrics.paired import compare
from cellproof.recipe import read_recipe

SHOWN = (
    ("IoU", "", "pooled", "IoU"),
    ("Dice", "", "pooled", "Dice"),
    ("accuracy", "", "pooled", "accuracy"),
    ("IoU", "", "mean over images", "IoU, mean over images"),
    ("AP (StarDist)", "0.5", "pooled", "AP 0.5"),
    ("mAP (Sartorius)", "mean 0.5…0.95", "pooled", "mAP (Sartorius)"),
    ("AP (COCO)", "mean 0.5…0.95", "pooled", "AP (COCO)"),
)
"""Metric, class or threshold (the foreground where empty), averaging, heading."""

COMPARED = (
    ("the class, as channels", "Hot", "U-Net"),
    ("positive pixels three times", "Hot weighted", "Hot"),
    ("flows in gray, MSE", "Hot-Flow", "Hot"),
    ("dropout and augmentation", "Hot-Drop", "Hot"),
    ("Dice loss", "Hot Dice", "Hot"),
    ("the class dropped in training", "Hot, dropped", "Hot"),
    ("modulation for channels", "FiLM, dropped", "Hot, dropped"),
    ("flows beside the classes", "Flows, dropped", "Hot, dropped"),
    ("class withheld", "Hot, class withheld", "U-Net"),
    ("class wrong", "Hot, class wrong", "U-Net"),
    ("class withheld, dropped in training", "Hot, dropped, class withheld", "U-Net"),
    ("class wrong, dropped in training", "Hot, dropped, class wrong", "U-Net"),
    ("class withheld, FiLM", "FiLM, dropped, class withheld", "U-Net"),
    ("class wrong, FiLM", "FiLM, dropped, class wrong", "U-Net"),
    ("closing", "Hot, closed", "Hot"),
    ("closing, tuning, closing", "Hot, tuned", "Hot"),
    ("the same after Dice loss", "Hot Dice, tuned", "Hot Dice"),
)
"""Ingredient, entry with it, entry without."""

TOLD = (
    ("told, channels", "Hot, dropped", "U-Net"),
    ("withheld, channels", "Hot, dropped, class withheld", "U-Net"),
    ("wrong, channels", "Hot, dropped, class wrong", "U-Net"),
    ("told, FiLM", "FiLM, dropped", "U-Net"),
    ("withheld, FiLM", "FiLM, dropped, class withheld", "U-Net"),
    ("wrong, FiLM", "FiLM, dropped, class wrong", "U-Net"),
)
"""The same of networks that are validated with the class and without."""

Cell = Mapping[str, object]


def read_cells(study: Path) -> dict[str, dict[str, list[Cell]]]:
    """Scores of a study, by set and entry; one for each fold."""
    sets: dict[str, dict[str, list[Cell]]] = {}
    for path in sorted(study.glob("runs/*/fold*/*/score.json")):
        cell = json.loads(path.read_text(encoding="utf-8"))
        sets.setdefault(cell["set"], {}).setdefault(cell["entry"], []).append(cell)
    order = [entry.name for entry in read_recipe("corona2022").study.entries]  # type: ignore[union-attr]
    order += [entry for cells in sets.values() for entry in cells if entry not in order]
    return {name: {entry: cells[entry] for entry in order if entry in cells} for name, cells in sets.items()}


def rows_of(cell: Cell) -> list[dict[str, object]]:
    """All rows of an entry, over all of its protocols."""
    return [row for score in cell["scores"] for row in score["rows"]]  # type: ignore[attr-defined]


def value_of(cell: Cell, metric: str, of: str, averaging: str) -> float | None:
    """A number of an entry; of the foreground, which is the last class, where nothing is named."""
    found = [row for row in rows_of(cell) if row["metric"] == metric and row["averaging"] == averaging]
    if not of and metric != "accuracy":
        found = [row for row in found if row["class_or_threshold"] not in ("background", "mean", "foreground")]
    elif of:
        found = [row for row in found if row["class_or_threshold"] == of]
    return float(found[0]["value"]) if found and found[0]["value"] is not None else None  # type: ignore[arg-type]


def pooled_over_folds(cells: Sequence[Cell], metric: str, of: str, averaging: str) -> str:
    """A number of an entry, as mean ± sd over folds where there are several."""
    values = [value for cell in cells if (value := value_of(cell, metric, of, averaging)) is not None]
    if not values:
        return "–"
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


def scores_table(entries: Mapping[str, Sequence[Cell]], shown: Sequence[tuple[str, str, str, str]] = SHOWN) -> str:
    """Entries downward, numbers across."""
    lines = [[entry, *(pooled_over_folds(cells, *what[:3]) for what in shown)] for entry, cells in entries.items()]
    first = next(iter(entries.values()))
    images = " and ".join(dict.fromkeys(f"{cell['learned']} images" for cell in first))
    scored = sum(int(str(cell["scored"])) for cell in first)
    note = f"Learned from {images}, chosen with {first[0]['validated']}, scored on {scored}"
    note += f", in {len(first)} folds; numbers are means ± sd over folds." if len(first) > 1 else "."
    return note + "\n\n" + table(["entry", *(heading for *_, heading in shown)], lines)


def per_image(cells: Sequence[Cell]) -> dict[str, float]:
    """Foreground IoU of each image, of all folds."""
    found: dict[str, float] = {}
    for cell in cells:
        for score in cell["scores"]:  # type: ignore[attr-defined]
            for place, (metric, of) in enumerate(score["columns"]):
                if score["protocol"] == "pixel" and metric == "IoU" and of not in ("background", "mean"):
                    found |= {name: own[place] for name, own in score["images"].items() if own[place] is not None}
    return found


def comparisons_table(entries: Mapping[str, Sequence[Cell]], compared: Sequence[tuple[str, str, str]]) -> str:
    """What each ingredient is worth on the same images; ``compared``: its name, the entry with it, the one without."""
    lines = []
    for what, one, other in compared:
        if one not in entries or other not in entries:
            continue
        ours, theirs = per_image(entries[one]), per_image(entries[other])
        both = [name for name in ours if name in theirs]
        found = compare(np.array([ours[name] for name in both]), np.array([theirs[name] for name in both]))
        low, high = found.interval or (float("nan"), float("nan"))
        p = "–" if found.p_value is None else f"{found.p_value:.3f}"
        lines.append([what, one, other, str(len(both)), f"{found.difference:+.3f}", f"{low:+.3f} to {high:+.3f}", p])
    note = "IoU of the foreground, mean difference over images, 95 % bootstrap interval, Wilcoxon signed-rank test."
    return note + "\n\n" + table(["ingredient", "with", "against", "images", "difference", "95 % interval", "p"], lines)
