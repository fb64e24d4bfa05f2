"""Whether verdicts are the same in every arithmetic: what they are judged by was fitted in one of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from page import table
from trust_cases import Case
from trust_judge import judge_all

from cellproof.difficulty.fit import Judged, foreign_ratio
from cellproof.difficulty.foreign import Familiar
from cellproof.difficulty.verdict import judge
from cellproof.types import TrustRecord
from cellproof.workflows.predict import load_model
from cellproof.workflows.predict.load import EngineChoice

PRECISIONS = ("f32", "bf16", "int8")


def compared_precisions(
    name: str, cases: Sequence[Case], trust: TrustRecord, work: Path, *, fitted: str, threads: int
) -> str:
    """Verdicts, expected F1 and foreignness in each arithmetic against those in which the numbers were fitted."""
    found = {}
    for precision in (fitted, *(one for one in PRECISIONS if one != fitted)):
        model = load_model(name, EngineChoice("openvino", precision, threads=threads))
        found[precision] = [_said(trust, one) for _, one in judge_all(model, cases, work)]
    rows = []
    for precision, said in found.items():
        f1, ratio = (np.abs([own[k] - ref[k] for own, ref in zip(said, found[fitted], strict=True)]) for k in (1, 2))
        same = sum(own[0] == ref[0] for own, ref in zip(said, found[fitted], strict=True))
        rows.append(
            [precision, f"{same} of {len(cases)}", float(np.nanmean(f1)), float(ratio.mean()), float(ratio.max())]
        )
    headings = ["arithmetic", "same verdict", "expected F1 differs by", "distance over line differs by", "at most"]
    return table(headings, rows)


def _said(trust: TrustRecord, judged: Judged) -> tuple[str, float, float]:
    """Verdict, expected F1, distance from the nearest kind over the line."""
    quality, _ = judge(
        trust,
        objects=judged.objects,
        image=judged.image,
        statistics=judged.statistics,
        expected_dice=judged.expected_dice,
        mean_confidence=math.nan,
        deep=judged.deep,
    )
    return quality.verdict, quality.expected_f1, foreign_ratio(judged, Familiar(trust.kinds, trust.deep))
