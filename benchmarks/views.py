"""More views where one leaves doubt: the rule of ``cellproof segment``, its cost and its gain.

Every image of ``dsb2018`` val (which chose thresholds, but no weights), of ``kromp2020`` train, of another laboratory,
and degraded copies of every third of them, which show whether verdicts after more views keep their promise, is
predicted in four views, of which the first 1, 2 or 4 are averaged. Scores are paired: the same image by more views and
by one. ``--write FILE`` says in a model file which kinds gain. What was counted stays in ``--work``, so that the same
command again goes on where it stopped; times are taken anew.

About 6 minutes on 2 idle cores.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
from page import page_of, table, write_page
from trust_cases import Case, annotated
from views_times import evidence_time, times

from cellproof.inference.activate import Maps
from cellproof.inference.tta import FOUR_VIEWS
from cellproof.io import read_model, write_model
from cellproof.metrics import objects
from cellproof.metrics.paired import Paired, compare
from cellproof.types import ModelHeader, Quality
from cellproof.workflows.predict import Labeled, Model, Predictor, Timings, label_objects, load_model, predict_objects
from cellproof.workflows.predict.evidence import Evidence
from cellproof.workflows.train.views import THRESHOLDS, gain, is_gain

COPIES = ("as is", "blur 3", "noise 0.2", "saturation 4", "inversion", "shrinking 2")
"""Each image, and degraded copies of every `COPIED`-th."""

COPIED = 3

VIEWS = (1, 2, 4)
"""How many of the four are averaged, in their order."""

RULE = len(FOUR_VIEWS)
"""Views that `segment` averages where it is in doubt."""

LOW = 0.7
"""F1 below which an accepted image breaks the usual promise."""

WORK_VERSION = "1"
"""Renamed when what is kept changes."""


@dataclass(frozen=True)
class Seen:
    """One image or copy by several numbers of views.

    Attributes:
        name: Of the image.
        kind: Group of the tables.
        copy: How it is degraded; "as is" if not.
        counts: Views → matches at each of `THRESHOLDS`.
        evidence: Views, 1 or 4 → for and against the objects that they make.
    """

    name: str
    kind: str
    copy: str
    counts: Mapping[int, Sequence[objects.ObjectCounts]]
    evidence: Mapping[int, Evidence]

    def ap(self, views: int, threshold: float) -> float:
        """AP of the image at an IoU."""
        return objects.average_precision(self.counts[views][THRESHOLDS.index(threshold)])

    def f1(self, views: int) -> float:
        """F1 at IoU 0.5."""
        return objects.f1(self.counts[views][0])


def main() -> None:
    """Predict, count, judge, time, write the page."""
    arguments = _arguments()
    model = load_model(arguments.model)
    copied = COPIED if arguments.copies else 0
    cases = list(_cases(arguments.data, arguments.images, copied))
    folder = arguments.work / WORK_VERSION / f"{_weights_hash(model)}-{model.engines[0].precision}"
    seen = [_kept(model, case, folder) for case in cases]
    own = [one for one in seen if one.copy == "as is"]
    if arguments.write:
        _write(arguments.write, own)
        return
    first = [_judged(model.header, one, 1) for one in own]
    body = [
        f"Model {model.header.name}, {model.hash[:12]}, {_engine(model)}.",
        "",
        "**The rule.** A plane is predicted once, as it came. Where expected F1 or Dice of that is too low to accept "
        f"it, or nothing is found, or where it is of a kind that gains, it is predicted in {RULE - 1} more views "
        "(turned by half, and both mirrored), at the same scale; the mean of the maps of all makes objects, difficulty "
        "and a new verdict, by the same record. No size enters, nor whether it is unlike the training images. A kind "
        "gains if the 95 % interval of the mean of the three differences on its held-out images lies above 0: the rows "
        "of that kind show what decided, not what to expect of new images.",
        "",
        table(["kind", "images", "mean of the three differences", "gains"], _kinds(own)),
        "",
        "Differences are means over images of the AP of each by more views less that by one, with the 95 % bootstrap "
        "interval (none for fewer than five images).",
        *_gains(own, first),
        *_copies(model.header, [one for one in seen if one.copy != "as is"]),
        *_rule(own, first),
        *_promise(model.header, seen),
    ]
    if arguments.times:
        body += times(model, [case for case in cases if case.copy == "as is"][:: arguments.every])
        body += evidence_time(model, [case for case in cases if case.copy == "as is" and case.kind == "fluorescence"])
    write_page(page_of("views", model.header.name), "More views where one leaves doubt", "\n".join(body), seed=0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that holds the sets dsb2018 and kromp2020")
    parser.add_argument("--model", default="nuclei", help="name or file (default: nuclei)")
    parser.add_argument("--work", type=Path, default=Path("results/benchmarks/views"), help="where counts are kept")
    parser.add_argument("--images", type=int, help="only the first so many of each set, to try the script")
    parser.add_argument("--no-copies", dest="copies", action="store_false", help="leave degraded copies out")
    parser.add_argument("--no-times", dest="times", action="store_false", help="take no times")
    parser.add_argument("--write", type=Path, help="model file to say in which kinds gain, instead of the page")
    parser.add_argument("--every", type=int, default=4, help="times are taken of every so manieth image (default: 4)")
    return parser.parse_args()


def _cases(data: Path, images: int | None, copied: int = COPIED) -> Iterator[Case]:
    for name, split in (("dsb2018", "val"), ("kromp2020", "train")):
        found = list(annotated(data / name, split, name, COPIES))
        for place, case in enumerate(found[: None if images is None else images * len(COPIES)]):
            if place % len(COPIES) == 0 or (copied and place // len(COPIES) % copied == 0):
                yield case


def _engine(model: Model) -> str:
    engine = model.engines[0]
    return f"{engine.name} {engine.precision} on {engine.device}"


def _weights_hash(model: Model) -> str:
    """Of the weights alone, for verdicts may be fitted anew on the same."""
    digest = hashlib.sha256()
    for name, values in sorted(read_model(model.path)[1].items()):
        digest.update(name.encode() + values.tobytes())
    return digest.hexdigest()[:12]


def _kept(model: Model, case: Case, folder: Path) -> Seen:
    """What a case shows, from the folder if it is there."""
    path = (folder / case.key).with_suffix(".pickle")
    if not path.exists():
        seen = _see(model, case)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".part")
        temporary.write_bytes(pickle.dumps(seen))
        temporary.replace(path)
    found: Seen = pickle.loads(path.read_bytes())
    return found


def _see(model: Model, case: Case) -> Seen:
    """Predict a case in four views, and count after 1, 2 and 4 of them."""
    pixels, reference, ignored = case.load()
    assert reference is not None
    predictor = Predictor.of_model(model)
    image = predictor.prepare(pixels)
    scale = predict_objects(model, image, timings=Timings()).scale
    total: Maps | None = None
    counts, evidence = {}, {}
    for number, view in enumerate(FOUR_VIEWS, start=1):
        maps = predictor.predict(image, scale=scale, views=(view,))
        total = _sum(total, maps)
        if number not in VIEWS:
            continue
        fields = {name: stack / number for name, stack in total.fields.items()}
        mean = replace(total, probabilities=total.probabilities / number, fields=fields)
        labels, classes = label_objects(mean, model.header)
        pairs = objects.overlap(labels, reference, ignored=ignored)
        counts[number] = [objects.count_matches(pairs, threshold) for threshold in THRESHOLDS]
        if number in (1, RULE):
            evidence[number] = Labeled(scale, mean, labels, classes).evidence(image, model.header.instance)
    return Seen(case.name, case.kind or case.part, case.copy, counts, evidence)


def _sum(one: Maps | None, other: Maps) -> Maps:
    if one is None:
        return other
    fields = {name: one.fields[name] + stack for name, stack in other.fields.items()}
    return replace(one, probabilities=one.probabilities + other.probabilities, fields=fields)


def _judged(header: ModelHeader, one: Seen, views: int) -> Quality:
    """The verdict on what so many views make of an image."""
    assert header.trust is not None
    return one.evidence[views].judge(header.trust, mean_confidence=math.nan)[0]


def _is_foreign_only(quality: Quality) -> bool:
    return quality.verdict == "review" and quality.why.startswith("unlike")


def _gains(own: Sequence[Seen], first: Sequence[Quality]) -> list[str]:
    """What more views give where the first verdict is to accept, and where it is not."""
    rows = []
    for kind in dict.fromkeys(one.kind for one in own):
        groups = {
            "accept": [one for one, said in zip(own, first, strict=True) if said.verdict == "accept"],
            "not accept": [one for one, said in zip(own, first, strict=True) if said.verdict != "accept"],
            "of these unlike training alone": [
                one for one, said in zip(own, first, strict=True) if _is_foreign_only(said)
            ],
        }
        for name, members in groups.items():
            chosen = [one for one in members if one.kind == kind]
            for views in VIEWS[1:] if chosen else ():
                cells = [_difference(chosen, [views] * len(chosen), threshold) for threshold in THRESHOLDS]
                rows.append([kind, name, len(chosen), views, *cells])
    heads = ["", "first verdict", "images", "views", *(f"AP@{threshold}" for threshold in THRESHOLDS)]
    return ["", "## What more views give", "", table(heads, rows)]


def _gain(chosen: Sequence[Seen]) -> Paired:
    """What more views give images: the mean over thresholds of the differences in AP."""
    return gain([seen.counts[RULE] for seen in chosen], [seen.counts[1] for seen in chosen])


def _by_kind(own: Sequence[Seen]) -> dict[str, list[Seen]]:
    return {kind: [one for one in own if one.kind == kind] for kind in dict.fromkeys(one.kind for one in own)}


def _kinds(own: Sequence[Seen]) -> list[list[object]]:
    found = {kind: (len(chosen), _gain(chosen)) for kind, chosen in _by_kind(own).items()}
    return [[kind, n, _with_interval(gain), "yes" if is_gain(gain) else "no"] for kind, (n, gain) in found.items()]


def _write(path: Path, own: Sequence[Seen]) -> None:
    """Put into a model file which kinds gain; its weights and the rest of its record stay as they are."""
    header, tensors = read_model(path)
    if header.trust is None:
        raise SystemExit(f"{path}: has no trust record, whose kinds could gain; give it one by trust.py --write")
    gains = {kind for kind, chosen in _by_kind(own).items() if is_gain(_gain(chosen))}
    kinds = tuple(msgspec.structs.replace(kind, gains_by_views=kind.name in gains) for kind in header.trust.kinds)
    trust = msgspec.structs.replace(header.trust, kinds=kinds)
    write_model(path, msgspec.structs.replace(header, trust=trust), tensors)
    print(f"{path}: {', '.join(kind.name for kind in kinds if kind.gains_by_views) or 'no kind'} gains by views")


def _copies(header: ModelHeader, copies: Sequence[Seen]) -> list[str]:
    """The same on degraded copies of all kinds together, of which many are unlike the training images."""
    said = [_judged(header, one, 1) for one in copies]
    groups = {
        "accept": [one for one, quality in zip(copies, said, strict=True) if quality.verdict == "accept"],
        "unlike training alone": [one for one, quality in zip(copies, said, strict=True) if _is_foreign_only(quality)],
        "other doubts": [
            one
            for one, quality in zip(copies, said, strict=True)
            if quality.verdict != "accept" and not _is_foreign_only(quality)
        ],
    }
    rows = [
        [name, len(chosen), views, *(_difference(chosen, [views] * len(chosen), threshold) for threshold in THRESHOLDS)]
        for name, chosen in groups.items()
        for views in (VIEWS[1:] if chosen else ())
    ]
    heads = ["first verdict", "copies", "views", *(f"AP@{threshold}" for threshold in THRESHOLDS)]
    return ["", "On degraded copies:", "", table(heads, rows)] if rows else []


def _difference(chosen: Sequence[Seen], views: Sequence[int], threshold: float) -> str:
    """Mean difference from one view, and its interval."""
    more = np.array([one.ap(number, threshold) for one, number in zip(chosen, views, strict=True)])
    return _with_interval(compare(more, np.array([one.ap(1, threshold) for one in chosen])))


def _with_interval(found: Paired) -> str:
    interval = "" if found.interval is None else f" ({found.interval[0]:+.3f} to {found.interval[1]:+.3f})"
    return f"{found.difference:+.3f}{interval}"


def _rule(own: Sequence[Seen], first: Sequence[Quality]) -> list[str]:
    """The rule on whole sets: its passes and its gain, beside its rivals."""
    doubt = [said.verdict != "accept" for said in first]
    rules = {
        "never": [1] * len(own),
        "2 where not accept": [2 if one else 1 for one in doubt],
        f"{RULE} where not accept": [RULE if one else 1 for one in doubt],
        f"{RULE} where in doubt": [
            RULE if one and not _is_foreign_only(said) else 1 for one, said in zip(doubt, first, strict=True)
        ],
        f"**{RULE} where in doubt, or of a kind that gains**": [RULE if said.asks_views else 1 for said in first],
        f"{RULE} always": [RULE] * len(own),
    }
    rows, pooled = [], []
    for kind in dict.fromkeys(one.kind for one in own):
        places = [place for place, one in enumerate(own) if one.kind == kind]
        for name, views in rules.items():
            given = [views[place] for place in places]
            cells = [_difference([own[place] for place in places], given, threshold) for threshold in THRESHOLDS]
            rows.append([kind, name, len(places), f"{np.mean(given):.2f}", *cells])
            pooled.append([kind, name, *_pooled([own[place] for place in places], given)])
    scores = [f"AP@{threshold}" for threshold in THRESHOLDS]
    return [
        "",
        "## The rule on whole sets",
        "",
        table(["", "rule", "images", "passes per image", *scores], rows),
        "",
        "AP itself, of all images of a kind together:",
        "",
        table(["", "rule", *scores], pooled),
    ]


def _pooled(chosen: Sequence[Seen], views: Sequence[int]) -> list[float]:
    """AP of the counts of all images together, at each of `THRESHOLDS`."""
    counts = [one.counts[number] for one, number in zip(chosen, views, strict=True)]
    return [
        objects.average_precision(sum((one[place] for one in counts[1:]), start=counts[0][place]))
        for place in range(len(THRESHOLDS))
    ]


def _promise(header: ModelHeader, seen: Sequence[Seen]) -> list[str]:
    """Whether images that are accepted after more views keep what accepted images promise."""
    rows = []
    for title, chosen in (
        ("as is", [one for one in seen if one.copy == "as is"]),
        ("degraded copies", [one for one in seen if one.copy != "as is"]),
    ):
        if not chosen:
            continue
        first = [_judged(header, one, 1) for one in chosen]
        again = [_judged(header, one, RULE).verdict for one in chosen]
        known = [not math.isnan(one.f1(1)) for one in chosen]
        ends = [then if said.asks_views else said.verdict for said, then in zip(first, again, strict=True)]
        groups = {
            "accepted by one view": ([said.verdict == "accept" for said in first], [1] * len(chosen)),
            "not accepted by one view, but by the rule": (
                [said.verdict != "accept" and end == "accept" for said, end in zip(first, ends, strict=True)],
                [RULE] * len(chosen),
            ),
            "accepted by the rule": (
                [end == "accept" for end in ends],
                [RULE if said.asks_views else 1 for said in first],
            ),
        }
        for name, (members, views) in groups.items():
            values = [
                one.f1(number)
                for one, number, there, member in zip(chosen, views, known, members, strict=True)
                if there and member
            ]
            rows.append([title, name, len(values), sum(value < LOW for value in values), _mean(values)])
    text = f"Images of which the truth has objects or the result has; below: F1 at IoU 0.5 under {LOW}."
    heads = ["", "", "images", "below", "mean F1"]
    return ["", "## Whether verdicts after more views can be believed", "", text, "", table(heads, rows)]


def _mean(values: Sequence[float]) -> object:
    return float(np.mean(values)) if values else "–"


if __name__ == "__main__":
    main()
