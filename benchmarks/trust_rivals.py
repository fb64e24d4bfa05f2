"""Expected F1 beside simple rivals: numbers that rank the same objects and images without any fit."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from page import FOLDER, table
from scipy.stats import spearmanr
from trust_cases import Case, answer
from trust_views import disagreements

from cellproof.data.targets.flows import flow_field
from cellproof.difficulty.fit import Judged, OutOfSample, area_under_roc
from cellproof.workflows.predict import Model

FIGURE = "trust-risk.svg"
BAD_F1 = 0.7
COVERAGES = (0.25, 0.5, 0.75)

# Okabe & Ito (2008), Color Universal Design.
COLORS = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")


@dataclass(frozen=True)
class Ranking:
    """Scores, higher for surer.

    Attributes:
        images: (m,) of the images.
        objects: Of each image (n,), or None where it scores images only.
    """

    images: np.ndarray
    objects: Sequence[np.ndarray] | None = None


def rankings(model: Model, val: Sequence[tuple[Case, Judged]], apart: OutOfSample, cache: Path) -> dict[str, Ranking]:
    """This and its rivals on the same images."""
    judged = [one for _, one in val]
    cases = [case for case, _ in val]
    found = {
        "expected F1 (this)": Ranking(apart.f1, apart.right),
        "mean probability": _of_objects([one.objects["mean_probability"] for one in judged]),
        "found again at a higher threshold": _of_objects([one.objects["agrees_higher"] for one in judged]),
        "expected Dice": Ranking(np.nan_to_num(np.array([one.expected_dice for one in judged]))),
        "four views agree": _of_objects([-own for own in disagreements(model, cases, cache)]),
    }
    if "flows" in model.header.heads.names:
        found["flow error, as in Cellpose"] = _of_objects([-flow_error(model, case, cache) for case in cases])
    return found


def flow_error(model: Model, case: Case, cache: Path) -> np.ndarray:
    """(n,) mean squared difference between the flows that a network gives and those that each object would have.

    Source: Stringer, Wang, Michaelos, Pachitariu (2021). Nature Methods 18, 100-106. doi:10.1038/s41592-020-01018-x
    """
    said = answer(model, case, cache)
    off = ((flow_field(said.labels) - said.fields["flows"]) ** 2).sum(axis=0)
    area = np.bincount(said.labels.ravel())[1:]
    error: np.ndarray = np.bincount(said.labels.ravel(), off.ravel())[1:] / np.maximum(area, 1)
    return error


def rival_table(val: Sequence[tuple[Case, Judged]], ranked: Mapping[str, Ranking]) -> str:
    """How well each ranks objects and images, and the risk at fixed coverages."""
    judged = [one for _, one in val]
    right = np.concatenate([one.right for one in judged])
    known = ~np.isnan(right)
    f1, copies = np.array([one.f1 for one in judged]), np.array([one.is_copy for one in judged])
    told = ~np.isnan(f1)
    rows = []
    for name, ranking in ranked.items():
        objects = None if ranking.objects is None else np.concatenate(ranking.objects)
        score = ranking.images
        coverage, risk = risk_coverage(score[told], f1[told])
        rows.append(
            [
                name,
                "–" if objects is None else area_under_roc(objects[known], right[known]),
                rank(score[told], f1[told]),
                rank(score[told & ~copies], f1[told & ~copies]),
                *(float(risk[np.searchsorted(coverage, share)]) for share in COVERAGES),
                float(risk.mean()),
            ]
        )
    headings = ["ranked by", "object AUROC", "rank F1, both", "rank F1, as is"]
    headings += [f"F1 < {BAD_F1} in the surest {100 * share:.0f} %" for share in COVERAGES]
    return table([*headings, "area under the curve"], rows)


def risk_coverage(score: np.ndarray, f1: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coverages k / m, and of the k surest images the fraction below `BAD_F1`."""
    order = np.argsort(-score, kind="stable")
    count = np.arange(1, len(order) + 1)
    return count / len(order), np.cumsum(f1[order] < BAD_F1) / count


def draw(val: Sequence[tuple[Case, Judged]], ranked: Mapping[str, Ranking], *, fraction: float) -> str:
    """Write the figure; its line of Markdown.

    Args:
        val: The images with their truth.
        ranked: Scores of them.
        fraction: What is promised, drawn as a line.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    f1 = np.array([one.f1 for _, one in val])
    told = ~np.isnan(f1)
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    for color, (name, ranking) in zip(COLORS, ranked.items(), strict=False):
        coverage, risk = risk_coverage(ranking.images[told], f1[told])
        axes.plot(100 * coverage, 100 * risk, color=color, label=name, linewidth=2 if color == COLORS[0] else 1.2)
    axes.axhline(100 * fraction, color="#777777", linestyle=":", linewidth=1)
    axes.annotate("promised", (1, 100 * fraction), xytext=(0, 3), textcoords="offset points", color="#777777")
    axes.set(xlabel="surest images, %", ylabel=f"of these F1 below {BAD_F1}, %", xlim=(0, 100), ylim=(0, None))
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    with rc_context({"svg.hashsalt": "trust", "svg.fonttype": "path"}), io.StringIO() as text:
        figure.savefig(text, format="svg", metadata={"Date": None})
        (FOLDER / FIGURE).write_text(text.getvalue(), encoding="utf-8")
    return f"![Risk against coverage of expected F1 and its rivals]({FIGURE})"


def rank(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's correlation; NaN for fewer than 3."""
    return float(spearmanr(one, other).statistic) if len(one) > 2 else math.nan


def _of_objects(values: Sequence[np.ndarray]) -> Ranking:
    """Images by the mean over their objects; those without any come last."""
    return Ranking(np.array([own.mean() if own.size else -math.inf for own in values]), values)
