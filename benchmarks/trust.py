"""How far a model's verdicts can be trusted, out of sample; and the numbers that it gives them by.

The model segments ``dsb2018`` val and degraded copies of it (blur, noise, saturation, inversion, shrinking), and what
it says is compared with the truth; each image is judged by numbers that were fitted on other images. ``kromp2020``, of
another laboratory, and foreign images are judged by numbers fitted on all of ``dsb2018`` val. With ``--write`` these
are written into a model file. What the model says of an image stays in ``--work``.

About 15 minutes on one idle core the first time, seconds after that.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from page import table, write_page
from scipy.stats import spearmanr
from trust_cases import DEGRADED, Case, annotated, foreign, training_sample
from trust_judge import judge_all

from cellproof.difficulty.calibration import expected_calibration_error
from cellproof.difficulty.fit import Judged, OutOfSample, area_under_roc, fit_trust, image_table, out_of_sample
from cellproof.difficulty.foreign import fit_kinds, foreignness
from cellproof.difficulty.image_trust import expected_count, expected_f1, right_features
from cellproof.difficulty.object_trust import p_right
from cellproof.io import read_model, write_model
from cellproof.types import TrustRecord
from cellproof.workflows.predict import Model, load_model
from cellproof.workflows.predict.load import EngineChoice

AS_IS = ("as is",)

STRONGLY = ("blur 3", "noise 0.2", "saturation 4")
"""Copies of the large images of `kromp2020`; all of them would take half an hour."""


def main() -> None:
    """Segment, fit, score, write the page or the model."""
    arguments = _arguments()
    model = load_model(arguments.model, EngineChoice(threads=arguments.threads))
    dsb = arguments.data / "dsb2018"
    work = arguments.work
    train = judge_all(model, training_sample(dsb), work)
    kinds = fit_kinds([judged.statistics for _, judged in train], [case.kind for case, _ in train])
    val = judge_all(model, annotated(dsb, "val", "val", AS_IS + DEGRADED), work)
    judged = [one for _, one in val]
    trust = fit_trust(judged, kinds)
    if arguments.write:
        _write(Path(arguments.write), trust)
        return
    apart = out_of_sample(judged, kinds)
    other = judge_all(model, annotated(arguments.data / "kromp2020", "train", "kromp2020", AS_IS + STRONGLY), work)
    strange = judge_all(model, foreign(arguments.data), work)
    body = [_introduction(model, trust), "", "## Objects and images", "", *_scores(val, apart, other, trust)]
    body += ["", "## Simple rivals", "", *_rivals(val, apart)]
    body += ["", "## Counts", "", _counts(val, apart, trust)]
    body += ["", "## Foreign images", "", *_foreign(strange, trust)]
    body += ["", "## Coefficients", "", *_coefficients(trust)]
    write_page("trust", f"Trust in the verdicts of `{model.header.name}`", "\n".join(body), seed=0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that holds the sets dsb2018, kromp2020 and the foreign ones")
    parser.add_argument("--model", default="nuclei", help="name or file (default: nuclei)")
    parser.add_argument("--work", type=Path, default=Path("results/benchmarks/trust"), help="where results are kept")
    parser.add_argument("--threads", type=int, default=1, help="of the network")
    parser.add_argument("--write", help="model file that the numbers are written into, instead of the page")
    return parser.parse_args()


def _write(path: Path, trust: TrustRecord) -> None:
    """Put the numbers into a model file; its weights stay as they are."""
    header, tensors = read_model(path)
    write_model(path, msgspec.structs.replace(header, trust=trust), tensors)
    print(f"{path}: trust record of {trust.images} images written, accepting from an expected F1 of {trust.accept_f1}")


def apply(trust: TrustRecord, judged: Sequence[Judged]) -> OutOfSample:
    """What a finished record says of images that it was not fitted on."""
    right = [p_right(trust.objects, one.objects) for one in judged]
    f1 = [expected_f1(trust, {**one.image, **right_features(own)}) for one, own in zip(judged, right, strict=True)]
    ratios = [foreignness(one.statistics, trust.kinds).ratio for one in judged]
    return OutOfSample(right, np.array(f1), np.array(ratios))


def _introduction(model: Model, trust: TrustRecord) -> str:
    header = model.header
    return (
        f"Model {header.name} ({header.training.steps} steps on {header.training.images} images), one view. An object "
        "is right where its IoU with some reference object reaches 0.5; F1 is at IoU 0.5. Promise: of accepted images "
        f"at most {100 * trust.promise_fraction:.0f} % have F1 below {trust.promise_f1}; an image is accepted from an "
        f"expected F1 of {trust.accept_f1:.3f} and an expected Dice of {trust.accept_dice} on, unless it is unlike the "
        "training images. `dsb2018` val chose the model's thresholds and best moment, so that it is held out from "
        "these verdicts but not from the model; each image, with its copies, is judged by numbers fitted on others."
    )


def _scores(
    val: Sequence[tuple[Case, Judged]], apart: OutOfSample, other: Sequence[tuple[Case, Judged]], trust: TrustRecord
) -> list[str]:
    rows = []
    theirs = apply(trust, [one for _, one in other])
    for name, cases, given in (("dsb2018 val", val, apart), ("kromp2020", other, theirs)):
        copies = np.array([one.is_copy for _, one in cases])
        both = np.ones(len(cases), bool)
        for what, chosen in (("as is", ~copies), ("copies", copies), ("both", both)):
            rows.append([f"{name}, {what}", *_row([one for _, one in cases], given, chosen, trust)])
    together = [one for _, one in [*val, *other]]
    joined = OutOfSample(
        [*apart.right, *theirs.right],
        np.concatenate([apart.f1, theirs.f1]),
        np.concatenate([apart.foreign, theirs.foreign]),
    )
    rows.append(["all", *_row(together, joined, np.ones(len(together), bool), trust)])
    headings = [
        "",
        "images",
        "objects",
        "object AUROC",
        "object ECE",
        "rank F1",
        "rank F1, ≥ 10 objects",
        "mean error F1",
    ]
    headings += ["foreign", "accepted", "of these F1 < 0.7", "accepted of F1 > 0.9"]
    return [
        table(headings, rows),
        "",
        "AUROC: right against wrong objects. ECE: expected calibration error of the probability of being right, 15 "
        "bins. Rank: Spearman correlation of expected with true F1 over images.",
    ]


def _row(judged: Sequence[Judged], given: OutOfSample, chosen: np.ndarray, trust: TrustRecord) -> list[object]:
    places = np.flatnonzero(chosen)
    right = np.concatenate([judged[place].right for place in places])
    probability = np.concatenate([given.right[place] for place in places])
    known = ~np.isnan(right)
    f1 = np.array([judged[place].f1 for place in places])
    many = np.array([judged[place].count >= 10 for place in places])
    dice = np.nan_to_num(np.array([judged[place].expected_dice for place in places]))
    expected, foreign = given.f1[places], given.foreign[places]
    told = ~np.isnan(f1)
    accepted = (expected >= trust.accept_f1) & (dice >= trust.accept_dice) & (foreign <= 1)
    good = f1 > 0.9
    return [
        len(places),
        int(known.sum()),
        area_under_roc(probability[known], right[known]),
        expected_calibration_error(probability[known], right[known] > 0),
        _rank(expected[told], f1[told]),
        _rank(expected[told & many], f1[told & many]),
        float(np.abs(expected - f1)[told].mean()),
        int((foreign > 1).sum()),
        int(accepted.sum()),
        f"{int((accepted & (f1 < 0.7)).sum())}",
        f"{int((accepted & good).sum())} of {int(good.sum())}",
    ]


def _rivals(val: Sequence[tuple[Case, Judged]], apart: OutOfSample) -> list[str]:
    """The same images ranked by one number each, and risk at fixed coverage."""
    judged = [one for _, one in val]
    right = np.concatenate([one.right for one in judged])
    f1 = np.array([one.f1 for one in judged])
    told = ~np.isnan(f1)
    copies = np.array([one.is_copy for one in judged])
    scores = {
        "expected F1 (this)": (apart.f1, np.concatenate(apart.right)),
        "mean probability": _simple(judged, "mean_probability"),
        "found again at a higher threshold": _simple(judged, "agrees_higher"),
        "found again by flows": _simple(judged, "agrees_decoder"),
        "expected Dice": (np.nan_to_num(np.array([one.expected_dice for one in judged])), None),
    }
    known = ~np.isnan(right)
    rows = []
    for name, (image, objects) in scores.items():
        rows.append(
            [
                name,
                "–" if objects is None else area_under_roc(objects[known], right[known]),
                _rank(image[told], f1[told]),
                _rank(image[told & ~copies], f1[told & ~copies]),
                *(_risk(image[told], f1[told], coverage) for coverage in (0.25, 0.5, 0.75)),
            ]
        )
    headings = ["ranked by", "object AUROC", "rank F1, both", "rank F1, as is"]
    headings += [f"F1 < 0.7 in the surest {share} %" for share in (25, 50, 75)]
    return ["All images of `dsb2018` val and their copies.", "", table(headings, rows)]


def _simple(judged: Sequence[Judged], name: str) -> tuple[np.ndarray, np.ndarray]:
    values = [one.objects[name] for one in judged]
    return np.array([own.mean() if own.size else -math.inf for own in values]), np.concatenate(values)


def _risk(score: np.ndarray, f1: np.ndarray, coverage: float) -> float:
    surest = np.argsort(-score, kind="stable")[: round(coverage * len(score))]
    return float((f1[surest] < 0.7).mean())


def _counts(val: Sequence[tuple[Case, Judged]], apart: OutOfSample, trust: TrustRecord) -> str:
    judged = [one for _, one in val]
    evidence = image_table(judged, apart.right)
    rows = []
    copies = np.array([one.is_copy for one in judged])
    found = np.array([one.right.size for one in judged])
    true = np.array([one.count for one in judged])
    both = [
        expected_count(trust, {name: values[place] for name, values in evidence.items()}, int(found[place]))
        for place in range(len(judged))
    ]
    expected, sd = np.array(both).T
    for what, chosen in (("as is", ~copies), ("copies", copies)):
        off = np.abs(expected - true)[chosen]
        rows.append(
            [
                what,
                float(np.abs(found - true)[chosen].mean()),
                float(off.mean()),
                float(sd[chosen].mean()),
                float((off <= sd[chosen]).mean()),
            ]
        )
    headings = ["dsb2018 val", "error of objects found", "error of expected count", "mean ± stated", "within ±"]
    return table(headings, rows) + "\n\nThe five numbers of the correction were fitted on these images."


def _foreign(strange: Sequence[tuple[Case, Judged]], trust: TrustRecord) -> list[str]:
    given = apply(trust, [one for _, one in strange])
    rows = []
    missed = []
    for part in dict.fromkeys(case.part for case, _ in strange):
        places = [place for place, (case, _) in enumerate(strange) if case.part == part]
        sure = [
            given.f1[p] >= trust.accept_f1 and np.nan_to_num(strange[p][1].expected_dice) >= trust.accept_dice
            for p in places
        ]
        noticed = [given.foreign[p] > 1 for p in places]
        accepted = [p for p, one, two in zip(places, sure, noticed, strict=True) if one and not two]
        missed += [f"{part} {strange[p][0].name}" for p in accepted]
        old = sum(np.nan_to_num(strange[p][1].expected_dice) >= trust.accept_dice for p in places)
        rows.append([part, len(places), old, sum(sure), sum(noticed), len(accepted)])
    headings = ["", "images", "expected Dice suffices", "expected F1, too", "noticed as foreign", "accepted"]
    lines = ", ".join(f"{kind.name} {kind.line:.1f} ({kind.images} images)" for kind in trust.kinds)
    note = f"Accepted: {', '.join(missed)}." if missed else "None is accepted."
    return [
        table(headings, rows),
        "",
        f"{note} Lines below which 95 % of held-out training images lie: {lines}.",
    ]


def _coefficients(trust: TrustRecord) -> list[str]:
    found = []
    for name, fitted in (("an object is right", trust.objects), ("expected F1", trust.f1)):
        order = np.argsort(-np.abs(fitted.weights))
        rows = [[fitted.features[place].replace("_", " "), float(fitted.weights[place])] for place in order]
        found += [f"Log odds that {name}, for one standard deviation more (intercept {fitted.intercept:.2f}):", ""]
        found += [table(["", "change"], rows), ""]
    return found


def _rank(one: np.ndarray, other: np.ndarray) -> float:
    return float(spearmanr(one, other).statistic) if len(one) > 2 else math.nan


if __name__ == "__main__":
    main()
