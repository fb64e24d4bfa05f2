"""From what a model says of images to evidence with its truth, kept on disk."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from trust_cases import Answer, Case, answer, key_of

from cellproof.difficulty.fit import Judged
from cellproof.difficulty.object_trust import object_truth
from cellproof.inference.activate import Maps
from cellproof.metrics import objects
from cellproof.workflows.predict import Model
from cellproof.workflows.predict.evidence import gather

EVIDENCE = "evidence-5"
"""Folder of kept evidence; renamed when the evidence changes."""


def judge_all(model: Model, cases: Iterable[Case], cache: Path, *, tta: bool = False) -> list[tuple[Case, Judged]]:
    """Evidence on every case, from the cache where it is there."""
    found = []
    for case in cases:
        path = cache / EVIDENCE / ("eight" if tta else "one") / f"{key_of(model)}-{case.key}"
        path = path.with_suffix(".pickle")
        if path.exists():
            found.append((case, pickle.loads(path.read_bytes())))
            continue
        judged = judge(model, answer(model, case, cache, tta=tta))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(judged))
        found.append((case, judged))
    return found


def judge(model: Model, said: Answer) -> Judged:
    """Evidence and truth; what is not known of foreign images is NaN."""
    probabilities = np.stack([1 - said.foreground, said.foreground])
    maps = Maps(probabilities, said.fields, said.deep)
    evidence = gather(maps, said.labels, said.image, options=model.header.instance, scale=said.scale)
    right, f1, dice, count = np.full(evidence.count, math.nan), math.nan, math.nan, 0
    if said.reference is not None:
        right = object_truth(said.labels, said.reference, ignored=said.ignored)
        pairs = objects.overlap(said.labels, said.reference, ignored=said.ignored)
        counts = objects.count_matches(pairs, 0.5)
        f1, count = objects.f1(counts), counts.tp + counts.fn
        seen = np.ones(said.labels.shape, bool) if said.ignored is None else ~said.ignored
        one, other = (said.labels > 0) & seen, (said.reference > 0) & seen
        total = int(one.sum() + other.sum())
        dice = 2 * int((one & other).sum()) / total if total else math.nan
    return Judged(
        group=said.case.name,
        is_copy=said.case.copy != "as is",
        objects=evidence.objects,
        right=right,
        image=evidence.image,
        statistics=evidence.statistics,
        expected_dice=evidence.expected_dice,
        f1=f1,
        dice=dice,
        count=count,
        deep=evidence.deep,
    )
