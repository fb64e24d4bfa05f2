"""How far a model's verdicts can be trusted, out of sample; and the numbers that it gives them by.

The model segments ``dsb2018`` val and degraded copies of it (blur, noise, saturation, inversion, shrinking), and what
it says is compared with the truth; each image is judged by numbers that were fitted on other images. ``kromp2020``, of
another laboratory, and foreign images are judged by numbers fitted on all of ``dsb2018`` val; what kinds of images the
model knows is told by training images. With ``--write`` the numbers are written into a model file. What the model says
of an image stays in ``--work``.

About 25 minutes on one idle core the first time, seconds after that.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from page import page_of, table, write_page
from trust_cases import DEGRADED, Case, annotated, foreign, training_sample
from trust_foreign import compared, look_of, mistaken, strangers
from trust_judge import judge_all
from trust_precision import compared_precisions
from trust_rivals import draw, rank, rankings, rival_table

from cellproof.difficulty.calibration import expected_calibration_error
from cellproof.difficulty.fit import (
    GOOD_F1,
    Judged,
    OutOfSample,
    area_under_roc,
    fit_trust,
    foreign_ratio,
    is_accepted,
    out_of_sample,
)
from cellproof.difficulty.foreign import Familiar, Look, fit_kinds
from cellproof.difficulty.image_trust import expected_count, expected_f1, mean_features, right_features
from cellproof.difficulty.object_trust import p_right
from cellproof.io import read_model, write_model
from cellproof.types import LogisticModel, Promise, TrustRecord
from cellproof.workflows.predict import Model, load_model
from cellproof.workflows.predict.load import EngineChoice

AS_IS = ("as is",)

STRONGLY = ("blur 3", "noise 0.2", "saturation 4")
"""Copies of the large images of `kromp2020`, and those that rivals are compared on; all would take half an hour."""

PROMISE = Promise(0.02, 0.7)
"""What the shipped model promises of accepted images."""

Judgement = tuple[Case, Judged]


def main() -> None:
    """Segment, fit, score, write the page or the model."""
    arguments = _arguments()
    model = load_model(arguments.model, EngineChoice("openvino", arguments.precision, threads=arguments.threads))
    dsb, work = arguments.data / "dsb2018", arguments.work
    looks = [look_of(*one) for one in judge_all(model, training_sample(dsb), work)]
    familiar = fit_kinds(looks)
    val = judge_all(model, annotated(dsb, "val", "val", AS_IS + DEGRADED), work)
    judged = [one for _, one in val]
    trust = fit_trust(judged, familiar, promise=arguments.promise)
    if arguments.write:
        _write(Path(arguments.write), trust)
        return
    apart = out_of_sample(judged, familiar, promise=arguments.promise)
    other = judge_all(model, annotated(arguments.data / "kromp2020", "train", "kromp2020", AS_IS + STRONGLY), work)
    strange = judge_all(model, foreign(arguments.data), work)
    theirs = apply(trust, [one for _, one in other])
    body = [_introduction(model, trust), "", "## Objects and images", "", *_scores(val, apart, other, theirs)]
    body += ["", "## Other promises", "", _promises(val, familiar)]
    body += ["", "## Simple rivals", "", *_rivals(model, val, apart, trust, work)]
    body += ["", "## Dice and counts", "", _counts(val, apart, other, theirs)]
    known = {"dsb2018 val": (val, apart), "kromp2020": (other, theirs)}
    body += ["", "## Foreign images", "", *_foreign(strange, looks, trust, known)]
    some = [case for case, one in val if not one.is_copy][::5] + [case for case, _ in strange][::7]
    body += ["", "## Other arithmetic", "", "Every fifth image of `dsb2018` val and every seventh foreign one.", ""]
    fitted, threads = arguments.precision, arguments.threads
    body += [compared_precisions(arguments.model, some, trust, work, fitted=fitted, threads=threads)]
    body += ["", "## Accepted though bad", "", *_failures([*val, *other], _joined(apart, theirs))]
    body += ["", "## Coefficients", "", *_coefficients(trust)]
    write_page(
        page_of("trust", model.header.name), f"Trust in the verdicts of `{model.header.name}`", "\n".join(body), seed=0
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that holds the sets dsb2018, kromp2020 and the foreign ones")
    parser.add_argument("--model", default="nuclei", help="name or file (default: nuclei)")
    parser.add_argument("--work", type=Path, default=Path("results/benchmarks/trust"), help="where results are kept")
    parser.add_argument("--threads", type=int, default=1, help="of the network")
    parser.add_argument("--precision", default="bf16", help="of the network's arithmetic (default: bf16)")
    parser.add_argument("--promise", type=Promise.parse, default=PROMISE, help=f"of accepted images ({PROMISE})")
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
    rows = [
        {**one.image, **right_features(own), **mean_features(one.objects)}
        for one, own in zip(judged, right, strict=True)
    ]
    familiar = Familiar(trust.kinds, trust.deep)
    return OutOfSample(
        right,
        np.array([expected_f1(trust, row) for row in rows]),
        np.array([expected_count(trust, row, own.size) for row, own in zip(rows, right, strict=True)]),
        np.array([foreign_ratio(one, familiar) for one in judged]),
        np.full(len(judged), trust.accept_f1),
    )


def _joined(one: OutOfSample, other: OutOfSample) -> OutOfSample:
    names = ("f1", "count", "foreign", "accept_f1")
    return OutOfSample(
        [*one.right, *other.right], *(np.concatenate([getattr(one, name), getattr(other, name)]) for name in names)
    )


def _introduction(model: Model, trust: TrustRecord) -> str:
    header, precision = model.header, model.engines[0].precision
    return (
        f"Model {header.name} ({header.training.steps} steps on {header.training.images} images), one view, "
        f"{precision}. An object is right where its IoU with some reference object reaches 0.5; F1 is at IoU 0.5. "
        f"Promise: of accepted images at most {100 * trust.promise_fraction:.0f} % have F1 below {trust.promise_f1}. "
        f"An image is accepted from an expected F1 of {trust.accept_f1:.3f} and an expected Dice of "
        f"{trust.accept_dice} on, unless it is unlike the "
        "training images. `dsb2018` val chose the model's thresholds and best moment, so that it is held out from "
        "these verdicts but not from the model. Each image, with its copies, is judged by coefficients and by a "
        "threshold that were fitted on others. `kromp2020` had no part in any fit; it did show that averages of sizes "
        "and contacts mislead in another laboratory, and these were left out for that."
    )


def _scores(val: Sequence[Judgement], apart: OutOfSample, other: Sequence[Judgement], theirs: OutOfSample) -> list[str]:
    rows = []
    for name, cases, given in (("dsb2018 val", val, apart), ("kromp2020", other, theirs)):
        copies = np.array([one.is_copy for _, one in cases])
        for what, chosen in (("as is", ~copies), ("copies", copies), ("both", copies | True)):
            rows.append([f"{name}, {what}", *_row([one for _, one in cases], given, chosen)])
    together = [one for _, one in [*val, *other]]
    rows.append(["all", *_row(together, _joined(apart, theirs), np.ones(len(together), bool))])
    headings = ["", "images", "objects", "object AUROC", "object ECE", "rank F1", "if exact", "rank F1, ≥ 10 objects"]
    headings += ["mean error F1", "foreign", "accepted", "of these F1 < 0.7", "accepted of F1 > 0.9"]
    return [
        table(headings, rows),
        "",
        "AUROC: right against wrong objects. ECE: expected calibration error of the probability of being right, 15 "
        "bins. Rank: Spearman correlation of expected with true F1 over images. If exact: the rank if each of these "
        "expectations were exactly the mean of what may happen, and F1 scattered about it as a binomial of so many "
        "objects. A higher rank needs expectations that differ more between images, or images of more objects.",
    ]


def exact_rank(expected: np.ndarray, objects: np.ndarray, *, draws: int = 50) -> float:
    """Mean rank correlation of expectations with F1 drawn by them."""
    rng = np.random.default_rng(0)
    return float(np.mean([rank(expected, rng.binomial(objects, expected) / objects) for _ in range(draws)]))


def _promises(val: Sequence[Judgement], familiar: Familiar) -> str:
    judged = [one for _, one in val]
    f1 = np.array([one.f1 for one in judged])
    good = f1 > GOOD_F1
    rows = []
    for fraction in (0.01, 0.02, 0.03, 0.05, 0.1):
        accepted = is_accepted(judged, out_of_sample(judged, familiar, promise=Promise(fraction)))
        bad = (accepted & (f1 < 0.7)).sum() / max(accepted.sum(), 1)
        rows.append([f"{100 * fraction:.0f} %", int(accepted.sum()), float(bad), float(accepted[good].mean())])
    return table(["promise", f"accepted of {len(val)}", "of these F1 < 0.7", "accepted of F1 > 0.9"], rows)


def _row(judged: Sequence[Judged], given: OutOfSample, chosen: np.ndarray) -> list[object]:
    places = np.flatnonzero(chosen)
    right = np.concatenate([judged[place].right for place in places])
    probability = np.concatenate([given.right[place] for place in places])
    known = ~np.isnan(right)
    f1 = np.array([judged[place].f1 for place in places])
    many = np.array([judged[place].count >= 10 for place in places])
    expected, told, good = given.f1[places], ~np.isnan(f1), f1 > GOOD_F1
    accepted = is_accepted(judged, given)[places]
    bad, taken = int((accepted & (f1 < 0.7)).sum()), int(accepted.sum())
    return [
        len(places),
        int(known.sum()),
        area_under_roc(probability[known], right[known]),
        expected_calibration_error(probability[known], right[known] > 0),
        rank(expected[told], f1[told]),
        exact_rank(expected[told], np.array([max(judged[p].count, judged[p].right.size, 1) for p in places])[told]),
        rank(expected[told & many], f1[told & many]),
        float(np.abs(expected - f1)[told].mean()),
        int((given.foreign[places] > 1).sum()),
        taken,
        f"{bad} ({100 * bad / max(taken, 1):.1f} %)",
        f"{int((accepted & good).sum())} of {int(good.sum())} "
        f"({100 * (accepted & good).sum() / max(good.sum(), 1):.0f} %)",
    ]


def _rivals(model: Model, val: Sequence[Judgement], apart: OutOfSample, trust: TrustRecord, work: Path) -> list[str]:
    """The same images ranked by one number each."""
    places = [place for place, (case, _) in enumerate(val) if case.copy in AS_IS + STRONGLY]
    chosen = [val[place] for place in places]
    given = OutOfSample(
        [apart.right[place] for place in places],
        *(values[places] for values in (apart.f1, apart.count, apart.foreign, apart.accept_f1)),
    )
    ranked = rankings(model, chosen, given, work)
    flows = "" if "flows" in model.header.heads.names else " The network has no flows, whose error would be another."
    return [
        f"`dsb2018` val as it is, and its copies by {', '.join(STRONGLY)}: {len(places)} images.{flows}",
        "",
        rival_table(chosen, ranked),
        "",
        draw(chosen, ranked, fraction=trust.promise_fraction),
    ]


def _counts(val: Sequence[Judgement], apart: OutOfSample, other: Sequence[Judgement], theirs: OutOfSample) -> str:
    rows = []
    for name, cases, given in (("dsb2018 val", val, apart), ("kromp2020", other, theirs)):
        judged = [one for _, one in cases]
        copies = np.array([one.is_copy for one in judged])
        found, true = np.array([[one.right.size, one.count] for one in judged]).T
        dice = np.array([[one.expected_dice, one.dice] for one in judged])
        for what, chosen in (("as is", ~copies), ("copies", copies)):
            off = np.abs(given.count[:, 0] - true)[chosen]
            sd = given.count[chosen, 1]
            told = chosen & ~np.isnan(dice).any(axis=1)
            rows.append(
                [
                    f"{name}, {what}",
                    rank(*dice[told].T),
                    float(np.abs(dice[told, 0] - dice[told, 1]).mean()),
                    float(np.abs(found - true)[chosen].mean()),
                    float(off.mean()),
                    float(sd.mean()),
                    float((off <= sd).mean()),
                    rank(given.count[chosen, 0], true[chosen]),
                ]
            )
    headings = ["", "rank Dice", "mean error Dice", "error of objects found", "error of expected count"]
    return table([*headings, "mean ± stated", "within ±", "rank count"], rows)


def _foreign(
    strange: Sequence[Judgement],
    looks: Sequence[Look],
    trust: TrustRecord,
    known: Mapping[str, tuple[Sequence[Judgement], OutOfSample]],
) -> list[str]:
    given = apply(trust, [one for _, one in strange])
    lines = ", ".join(f"{kind.name} {kind.line:.1f} ({kind.images} images)" for kind in trust.kinds)
    return [
        *strangers(strange, given),
        "",
        f"Lines below which 99 % of held-out training images lie: {lines}.",
        "",
        mistaken(known),
        "",
        *compared(looks, strange, known),
    ]


def _failures(cases: Sequence[Judgement], given: OutOfSample) -> list[str]:
    """Accepted images of low F1, the worst first: what the evidence does not see."""
    judged = [one for _, one in cases]
    f1, accepted = np.array([one.f1 for one in judged]), is_accepted(judged, given)
    places = [place for place in np.argsort(f1, kind="stable") if accepted[place] and f1[place] < 0.7]
    rows = []
    for place in places:
        case, one = cases[place]
        right = int(np.nansum(one.right))
        rows.append(
            [f"{case.part} {case.name}", case.copy, given.f1[place], f1[place], one.count, one.right.size, right]
        )
    headings = ["", "copy", "expected F1", "true F1", "objects", "found", "right"]
    return [table(headings, rows) if rows else "None."]


def _coefficients(trust: TrustRecord) -> list[str]:
    found = []
    for name, fitted in (("an object is right", trust.objects), ("expected F1", trust.f1)):
        order = np.argsort(-np.abs(_largest(fitted)))
        bends = fitted.bends or (0.0,) * len(fitted.features)
        rows = [
            [fitted.features[place].replace("_", " "), fitted.weights[place], fitted.weights[place] + bends[place]]
            for place in order
        ]
        columns = 3 if fitted.bends else 2
        headings = ["", "below the mean", "above the mean"] if fitted.bends else ["", "change"]
        found += [f"Log odds that {name}, for one standard deviation more (intercept {fitted.intercept:.2f}):", ""]
        found += [table(headings, [row[:columns] for row in rows]), ""]
    return found


def _largest(fitted: LogisticModel) -> np.ndarray:
    weights = np.array(fitted.weights)
    above = weights + np.array(fitted.bends) if fitted.bends else weights
    return np.maximum(np.abs(weights), np.abs(above))


if __name__ == "__main__":
    main()
