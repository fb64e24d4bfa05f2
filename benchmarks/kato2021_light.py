"""Mean IoU against the number of photons: networks that have learned at one dose, tested at all.

A part of ``kato2021.py``. The test specimens of each fold are recorded again with other numbers of photons. What was
measured is kept beside the study's results, for a page is written more often than networks change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from kato2021_why import prepared, specimens
from page import FOLDER, table

from cellproof.io import make_folder, read_json, write_json
from cellproof.metrics import pixel
from cellproof.report.curves import compared_curves
from cellproof.simulate.liver import LOW
from cellproof.workflows.predict import MODEL_FILE, Model, load_model
from cellproof.workflows.reproduce.entries import Planned
from cellproof.workflows.reproduce.fold import Fold

DOSES = (200, 100, 50, 25, 16, 12)

Scores = dict[str, list[float]]
"""Entry → mean IoU at each of the doses."""


def doses(folds: Sequence[Fold], folder: Path, *, images: int, seed: int, figure: str) -> list[str]:
    """A section of the page, table and figure.

    Args:
        folds: Of simulated liver; entries that a fold lacks are left out of it.
        folder: Where the measurements are kept.
        images: Test specimens of each fold.
        seed: The study's.
        figure: Name of the figure's file, written beside the page.
    """
    every = [_kept(fold, folder, images=images, seed=seed) for fold in folds]
    entries = dict.fromkeys(entry for scores in every for entry in scores)
    over = {entry: np.array([scores[entry] for scores in every if entry in scores]) for entry in entries}
    means = {entry: values.mean(axis=0) for entry, values in over.items()}
    spreads = {entry: values.std(axis=0, ddof=1) for entry, values in over.items() if len(values) > 1}
    lines = {entry: (list(DOSES), mean.tolist()) for entry, mean in means.items()}
    svg = compared_curves(lines, label="mean IoU", axis="photons a pixel", log=True, spreads=spreads)
    svg = svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"', 1)
    (FOLDER / figure).write_text(svg, encoding="utf-8")
    rows = [
        [entry, *(_text(mean[k], spreads.get(entry), k) for k in range(len(DOSES)))] for entry, mean in means.items()
    ]
    return [
        "",
        "## Low light",
        "",
        f"Mean IoU on {images} test specimens of each of {len(folds)} folds of liver, recorded with other numbers of "
        f"photons (a pixel from a typical object), mean ± standard deviation over folds; all networks have learned at "
        f"{LOW.photons:g}. The figure has a logarithmic axis, and a band of one standard deviation around each mean.",
        "",
        table(["entry", *(f"{dose} photons" for dose in DOSES)], rows),
        "",
        f"![Mean IoU against photons]({figure})",
    ]


def finished(fold: Fold) -> dict[str, Model]:
    """The trained models of a fold, by name of their training."""
    names = fold.study.plan.recipes
    return {name: load_model(fold.run(name) / MODEL_FILE) for name in names if (fold.run(name) / MODEL_FILE).is_file()}


def _kept(fold: Fold, folder: Path, *, images: int, seed: int) -> Scores:
    """Scores of the entries that have been scored in the study, measured now unless they were before."""
    path = folder / f"{fold.split.name}-{images}.json"
    stored = read_json(path) if path.is_file() else {}
    assert isinstance(stored, dict)
    entries = {name: one for name, one in fold.study.plan.entries.items() if fold.scores(one) is not None}
    keys = {name: fold.cell(one) for name, one in entries.items()}
    missing = {name: one for name, one in entries.items() if keys[name] not in stored}
    if missing:
        measured = _measured(fold, missing, images=images, seed=seed)
        stored |= {keys[name]: values for name, values in measured.items()}
        write_json(make_folder(folder) / path.name, stored)
    return {name: stored[key] for name, key in keys.items()}


def _measured(fold: Fold, entries: Mapping[str, Planned], *, images: int, seed: int) -> Scores:
    wanted = {name for one in entries.values() for name in one.trainings}
    models = {name: model for name, model in finished(fold).items() if name in wanted}
    networks = {name: model.networks()[0] for name, model in models.items()}
    scores: Scores = {}
    for dose in DOSES:
        counts: dict[str, pixel.Confusion] = {}
        for pixels, mask in specimens(fold, fold.split.test[:images], photons=dose, seed=seed):
            said = {name: _probabilities(models[name], networks[name], pixels) for name in models}
            for entry, planned in entries.items():
                mean = np.mean([said[name] for name in planned.trainings], axis=0)
                one = pixel.confusion(mean.argmax(0), mask, classes=len(mean))
                counts[entry] = counts[entry] + one if entry in counts else one
        for entry, count in counts.items():
            scores.setdefault(entry, []).append(float(np.nanmean(pixel.iou(count))))
    return scores


@torch.inference_mode()
def _probabilities(model: Model, network: torch.nn.Module, pixels: np.ndarray) -> np.ndarray:
    logits = network(prepared(model, pixels)) / model.header.temperature
    return np.asarray(logits.softmax(1)[0])


def _text(mean: float, spread: np.ndarray | None, place: int) -> str:
    return f"{mean:.3f}" + ("" if spread is None else f" ± {spread[place]:.3f}")
