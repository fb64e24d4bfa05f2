"""What each ingredient of the study corona2022 is worth, image by image, from the scores that `reproduce` left.

``cellproof reproduce corona2022 --data SETS --out STUDY --profile laptop`` makes the scores; this reads them, compares
entries image by image, and scores the network that has seen simulated cells alone on real sets that are there.
About 3 minutes with both real sets.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from page import load_note, table, write_page

from cellproof import load_model, segment
from cellproof.data.description import read_description
from cellproof.data.index import index
from cellproof.io import read_labels
from cellproof.metrics import pixel
from cellproof.metrics.bootstrap import bootstrap_interval
from cellproof.metrics.paired import compare
from cellproof.metrics.protocols import count_objects, foreground_confusion, stardist_rows
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

Cell = Mapping[str, object]


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, help="what reproduce wrote")
    parser.add_argument("--trained-at", default="", help="commit that reproduce ran at, where it is another one")
    parser.add_argument("--data", type=Path, help="folder of usiigaci and cho_dic")
    arguments = parser.parse_args()
    study = read_recipe("corona2022").study
    assert study is not None
    sets: dict[str, dict[str, Cell]] = {}
    for path in sorted(arguments.study.glob("runs/*/fold1/*/score.json")):
        cell = json.loads(path.read_text(encoding="utf-8"))
        sets.setdefault(cell["set"], {})[cell["entry"]] = cell
    order = [entry.name for entry in study.entries]
    sizes = {str(cell["note"]) for cells in sets.values() for cell in cells.values()}
    trained = f" Trained and scored at commit {arguments.trained_at}." if arguments.trained_at else ""
    parts = [f"Size: {'; '.join(sizes)}.{trained} {load_note()} The machine was shared.", paper_table()]
    for name, cells in sets.items():
        kept = {entry: cells[entry] for entry in order if entry in cells}
        missing = [entry for entry in order if entry not in cells]
        parts += [f"## {name}", scores_table(kept), comparisons_table(kept)]
        parts += [f"Not there yet: {', '.join(missing)}."] if missing else []
    if arguments.data:
        parts.append(from_simulation(arguments.study, arguments.data))
    write_page(
        "corona2022", "corona2022: neuronal cells, and what each ingredient is worth", "\n\n".join(parts), seed=0
    )


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


def paper_table() -> str:
    """Table 1 of the paper, with the Dice that its IoU would be."""
    study = read_recipe("corona2022").study
    assert study is not None
    values: dict[str, dict[str, float]] = {}
    for one in study.published:
        values.setdefault(one.entry, {})[one.metric] = one.value
    lines = [
        [
            entry,
            *(f"{own[name]:g}" for name in ("IoU", "Dice", "accuracy")),
            f"{2 * own['IoU'] / (1 + own['IoU']):.3f}",
        ]
        for entry, own in values.items()
    ]
    return (
        "## The paper's table 1\n\nOn the Sartorius set, which is not here. Its Dice cannot follow from its IoU: of "
        "one image, and of pooled pixels, Dice = 2 IoU / (1 + IoU); of a mean over images it is at least IoU. "
        "Table 2: on one image, post-processing takes IoU from 0.652 to 0.676 and Dice from 0.238 to 0.257.\n\n"
        + table(["entry", "IoU", "Dice", "accuracy", "Dice that the IoU would be"], lines)
    )


def scores_table(cells: Mapping[str, Cell]) -> str:
    """Entries downward, numbers across."""
    lines = []
    for entry, cell in cells.items():
        values = [value_of(cell, metric, of, averaging) for metric, of, averaging, _ in SHOWN]
        lines.append([entry, *("–" if value is None else f"{value:.3f}" for value in values)])
    first = next(iter(cells.values()))
    note = f"Learned from {first['learned']} images, chosen with {first['validated']}, scored on {first['scored']}."
    return note + "\n\n" + table(["entry", *(heading for *_, heading in SHOWN)], lines)


def per_image(cell: Cell) -> dict[str, float]:
    """Foreground IoU of each image."""
    for score in cell["scores"]:  # type: ignore[attr-defined]
        for place, (metric, of) in enumerate(score["columns"]):
            if score["protocol"] == "pixel" and metric == "IoU" and of not in ("background", "mean"):
                return {name: own[place] for name, own in score["images"].items() if own[place] is not None}
    return {}


def comparisons_table(cells: Mapping[str, Cell]) -> str:
    """What each ingredient is worth on the same images."""
    lines = []
    for what, one, other in COMPARED:
        if one not in cells or other not in cells:
            continue
        ours, theirs = per_image(cells[one]), per_image(cells[other])
        both = [name for name in ours if name in theirs]
        found = compare(np.array([ours[name] for name in both]), np.array([theirs[name] for name in both]))
        low, high = found.interval or (float("nan"), float("nan"))
        p = "–" if found.p_value is None else f"{found.p_value:.3f}"
        lines.append([what, one, other, str(len(both)), f"{found.difference:+.3f}", f"{low:+.3f} to {high:+.3f}", p])
    note = "IoU of the foreground, mean difference over images, 95 % bootstrap interval, Wilcoxon signed-rank test."
    return note + "\n\n" + table(["ingredient", "with", "against", "images", "difference", "95 % interval", "p"], lines)


def from_simulation(study: Path, data: Path) -> str:
    """The networks that have seen simulated cells alone, on whole real sets that they never saw."""
    lines = []
    for entry in ("U-Net", "Hot Dice", "Flows, dropped"):
        files = sorted((study / "runs" / "sartorius" / "fold1" / entry).glob("model-*/model.safetensors"))
        for name in ("usiigaci", "cho_dic"):
            if files and (data / name).is_dir():
                lines.append([entry, name, *_scored(files[0], data / name)])
    return (
        "## From simulated cells alone to real ones\n\nTrained on simulated phase contrast alone (nothing is told of "
        "the class), scored on all images of the real set; 95 % bootstrap interval over images.\n\n"
        + table(["entry", "set", "images", "IoU", "interval", "Dice", "AP 0.5", "IoU of everything marked"], lines)
    )


def _scored(model_file: Path, folder: Path) -> Sequence[str]:
    """Number of images, IoU with its interval, Dice, AP at 0.5, and what marking every pixel would score."""
    model, description = load_model(model_file), read_description(folder)
    assert description is not None
    confusions, counts, inside = [], [], []
    for record in index(folder, description):
        labels, reference = segment(record.image, model=model).labels, read_labels(record.mask)
        labels = np.asarray(labels).reshape(reference.shape)
        confusions.append(foreground_confusion(labels, reference))
        counts.append(count_objects(labels, reference))
        inside.append((int((reference > 0).sum()), reference.size))
    flat = np.stack([one.counts.ravel() for one in confusions]).astype(float)

    def iou(total: np.ndarray) -> float:
        return float(total[3] / max(total[1:].sum(), 1))

    low, high = bootstrap_interval(flat, iou, rng=np.random.default_rng(0))
    total = sum(confusions[1:], confusions[0])
    ap = next(r.value for r in stardist_rows(counts) if r.metric == "AP (StarDist)" and r.class_or_threshold == "0.5")
    dice = pixel.dice(total)[1]
    marked, pixels = np.sum(inside, axis=0)
    values = (
        f"{iou(flat.sum(0)):.3f}",
        f"{low:.3f} to {high:.3f}",
        f"{dice:.3f}",
        f"{ap:.3f}",
        f"{marked / pixels:.3f}",
    )
    return [str(len(flat)), *values]


if __name__ == "__main__":
    main()
