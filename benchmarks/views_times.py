"""How long an image takes by one view and by the rule, and what evidence on it takes."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from statistics import median

import numpy as np
from page import load_note
from trust_cases import Case

from cellproof.workflows.predict import Labeled, Model, Predictor, label_objects
from cellproof.workflows.segment.plane import segment_plane

SIDE_PX = 2048
"""Of the image that evidence is timed on."""


def times(model: Model, cases: Sequence[Case]) -> list[str]:
    """Seconds of the whole road from pixels to verdict, by one view and by the rule, in turn."""
    taken: dict[bool | str, list[float]] = {False: [], "auto": []}
    views = []
    for number, case in enumerate(cases):
        pixels = case.load()[0]
        order: list[bool | str] = [False, "auto"] if number % 2 else ["auto", False]
        if not number:
            segment_plane(model, pixels, tta=False)
        for tta in order:
            started = time.process_time()
            result = segment_plane(model, pixels, tta=tta)  # type: ignore[arg-type]  # "auto" or False
            taken[tta].append(time.process_time() - started)
            if tta == "auto":
                views.append(result.views)
    one, rule = (np.array(taken[tta]) for tta in (False, "auto"))
    twice = np.array(views) > 1
    text = (
        f"Processor time from pixels to verdict of {len(cases)} images, in turn by one view and by the rule: "
        f"{one.sum():.1f} s and {rule.sum():.1f} s in all, a ratio of {rule.sum() / one.sum():.2f}; median of the "
        f"ratios of images that were looked at again ({twice.sum()}) {_median(rule[twice] / one[twice])}, of the "
        f"others {_median(rule[~twice] / one[~twice])}. The machine was shared. {load_note()}"
    )
    return ["", "## Time", "", text]


def _median(values: np.ndarray) -> str:
    return f"{median(values.tolist()):.2f}" if values.size else "–"


def evidence_time(model: Model, cases: Sequence[Case]) -> list[str]:
    """Seconds that evidence takes of an image put together of several."""
    predictor = Predictor.of_model(model)
    parts = [predictor.prepare(case.load()[0]) for case in cases[:12]]
    if not parts:
        return []
    repeats = math.ceil(SIDE_PX / min(part.shape[1] for part in parts)) + 1
    rows = []
    for row in range(repeats):
        line = np.concatenate([parts[(row + place) % len(parts)][:, :200] for place in range(len(parts))] * 8, axis=2)
        rows.append(line[:, :, :SIDE_PX])
    image = np.concatenate(rows * 4, axis=1)[:, :SIDE_PX, :SIDE_PX]
    maps = predictor.predict(image, scale=1.0)
    labels, classes = label_objects(maps, model.header)
    labeled, taken = Labeled(1.0, maps, labels, classes), []
    for _ in range(5):
        started = time.process_time()
        labeled.evidence(image, model.header.instance)
        taken.append(time.process_time() - started)
    return [
        "",
        f"Evidence on an image of {image.shape[1]} × {image.shape[2]} pixels put together of several, with "
        f"{labels.max()} objects, takes {min(taken):.2f} s of processor time at best and {median(taken):.2f} s in the "
        "median of five on the shared machine.",
    ]
