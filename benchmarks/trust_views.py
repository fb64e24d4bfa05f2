"""How far views of an image disagree about each object: the usual rival of what a model expects of itself."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from trust_cases import Case, answer, key_of

from cellproof.difficulty.disagreement import Disagreement
from cellproof.workflows.predict import Model, Predictor

VIEWS = (lambda stack: stack[:, ::-1], lambda stack: stack[:, :, ::-1], lambda stack: stack.swapaxes(1, 2))
"""Beside the image as it lies: upside down, mirrored, and transposed; each undoes itself."""


def disagreements(model: Model, cases: Iterable[Case], cache: Path) -> list[np.ndarray]:
    """Of each case (n,) mean disagreement of four views over each object's pixels; from the cache where it is there."""
    found = []
    for case in cases:
        path = (cache / "views" / f"{key_of(model)}-{case.key}").with_suffix(".npy")
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_suffix(".part.npy")
            np.save(temporary, of_case(model, case, cache))
            temporary.replace(path)
        found.append(np.load(path))
    return found


def of_case(model: Model, case: Case, cache: Path) -> np.ndarray:
    """(n,) mean disagreement over each object's pixels."""
    said = answer(model, case, cache)
    predictor = Predictor.of_model(model)
    channels = predictor.in_channels
    image = np.repeat(said.image, channels, axis=0) if len(said.image) < channels else said.image
    sums = Disagreement()
    sums.add(np.stack([1 - said.foreground, said.foreground]))
    for turn in VIEWS:
        seen = predictor.predict(np.ascontiguousarray(turn(image)), scale=said.scale)
        sums.add(np.ascontiguousarray(turn(seen.probabilities[:2])))
    owner = said.labels.ravel()
    area = np.bincount(owner)[1:]
    total = np.bincount(owner, sums.result().ravel())[1:]
    mean: np.ndarray = total / np.maximum(area, 1)
    return mean
