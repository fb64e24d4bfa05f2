"""What ``cellproof train DATA --time 4min`` makes of twelve annotated images of each set, without a recipe.

The images are drawn by seed, evenly from the groups that a set has (modality, grade, cornea). Scored are images
that were not drawn, through ``cellproof segment``: the val or test split where there is one, another cornea for
``cornea``, else others of the same split. ``kromp2020`` has twelve images in all; eight are learned from and
four scored. Results are kept in ``--work``; sets that are done are not trained again.

About 5 minutes for each set on 2 idle cores with ``--time 4min``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from page import table, write_page
from trial import Result, Results, Score, Trial, add_trial_arguments, draw, records_of, score, train

from cellproof.data.index import Record

MOST_HELD_OUT = 60
FEWEST_HELD_OUT = 4


@dataclass(frozen=True)
class Case:
    """How a set is used.

    Attributes:
        folder: Of the set.
        by: Column whose values are drawn evenly; "" for none.
        learn: Which records may be learned from.
        held_out: Which may be scored on; those learned from are left out.
    """

    folder: str
    by: str
    learn: Callable[[Record], bool]
    held_out: Callable[[Record], bool]


def _is(split: str, **attributes: str) -> Callable[[Record], bool]:
    return lambda r: r.split == split and all(r.attributes[name] == value for name, value in attributes.items())


def _not(predicate: Callable[[Record], bool]) -> Callable[[Record], bool]:
    return lambda record: not predicate(record)


CASES = {
    "dsb2018, fluorescence": Case(
        "dsb2018", "", _is("train", modality="fluorescence"), _is("val", modality="fluorescence")
    ),
    "dsb2018, mixed": Case("dsb2018", "modality", _is("train"), _is("val")),
    "kromp2020": Case("kromp2020", "", _is("train"), _is("train")),
    "glas": Case("glas", "grade", _is("train"), _is("testA")),
    "isbi2012": Case("isbi2012", "", _is("train"), _is("train")),
    "cornea": Case("cornea", "cornea", _not(_is("train", cornea="4")), _is("train", cornea="4")),
    "wbc": Case("wbc", "", _is("train"), _is("train")),
}


def main() -> None:
    """Train, segment and score set after set; the page is written after each."""
    arguments = _arguments()
    results = Results(arguments.work / "results.json")
    for name in arguments.sets:
        if results.has(name, arguments.start, arguments.seed, arguments.time):
            continue
        learned, held_out, description = _divide(CASES[name], arguments)
        work = arguments.work / f"{name.replace(', ', '-')}-{arguments.start}-{arguments.time}-{arguments.seed}"
        trial = Trial(name, work, arguments.seed, arguments.time, arguments.start)
        minutes = train(trial, learned, description)
        results.put(score(trial, held_out, description, minutes=minutes, images=len(learned)))
        _write(results.all, arguments.seed)
    _write(results.all, arguments.seed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_trial_arguments(parser, time="4min", work=Path("results/benchmarks/small_data"))
    parser.add_argument("--sets", nargs="+", choices=CASES, default=list(CASES), metavar="SET", help=", ".join(CASES))
    parser.add_argument("--images", type=int, default=12, help="to learn from (default: 12)")
    parser.add_argument("--held-out", type=int, default=MOST_HELD_OUT, help="score at most so many (default: 60)")
    return parser.parse_args()


def _divide(case: Case, arguments: argparse.Namespace):
    """Records to learn from, records to score, and the description of the set."""
    rng = np.random.default_rng(arguments.seed)
    records, description = records_of(arguments.data / case.folder)
    pool, others = [r for r in records if case.learn(r)], [r for r in records if case.held_out(r)]
    is_shared = {r.name for r in pool} >= {r.name for r in others}
    count = min(arguments.images, max(2, len(pool) - FEWEST_HELD_OUT)) if is_shared else arguments.images
    learned = draw(pool, count, by=case.by, rng=rng)
    names = {(record.split, record.name) for record in learned}
    rest = [record for record in others if (record.split, record.name) not in names]
    return learned, draw(rest, arguments.held_out, by=case.by, rng=rng), description


def _write(results: Sequence[Result], seed: int) -> None:
    """The page of everything known so far."""
    body = [
        "Each row is one training on few annotated images without a recipe, and its model's score on images that it "
        "never saw. Scores: pooled over images, in brackets mean over images, ± standard deviation from five images "
        "on. Start `nuclei`: the shipped weights, which the plan takes by itself; they were trained on dsb2018 train, "
        "so that for the two dsb2018 rows they had seen the twelve images and their like; `random` is the honest "
        "number there. Expected Dice: mean of what `segment` promised less the foreground Dice that was reached, and "
        "the rank correlation of the two over images.",
    ]
    for task, metrics in (("objects", ("AP@0.5", "AP@0.75", "Dice")), ("classes", ("mean IoU", "mean Dice"))):
        chosen = sorted((r for r in results if r.task == task), key=lambda r: (list(CASES).index(r.name), r.start))
        if chosen:
            body += ["", f"## {'Separate objects' if task == 'objects' else 'A class for every pixel'}", ""]
            headings = [
                "set",
                "start",
                "seed",
                "images",
                "scored",
                "minutes",
                "steps",
                *metrics,
                "expected − real Dice",
            ]
            body.append(table(headings, [_line(result, metrics) for result in chosen]))
    body += ["", "## Plans", ""]
    body += [f"- {r.name}, start {r.start}, {r.time}: {'; '.join(r.plan)}." for r in results]
    write_page("small_data", "Twelve annotated images", "\n".join(body), seed=seed)


def _line(result: Result, metrics: Sequence[str]) -> list[object]:
    numbers = [_cell(result.scores[metric]) for metric in metrics]
    gap = "–" if result.promised is None else f"{result.promised:+.3f}"
    rank = "" if result.promise_rank is None else f" (ρ {result.promise_rank:.2f})"
    minutes = f"{result.minutes:.1f}"
    return [
        result.name,
        result.start,
        result.seed,
        result.images,
        result.held_out,
        minutes,
        result.steps,
        *numbers,
        gap + rank,
    ]


def _cell(score: Score) -> str:
    spread = "" if score.sd is None else f" ± {score.sd:.2f}"
    return f"{score.pooled:.3f} ({score.mean:.2f}{spread})"


if __name__ == "__main__":
    main()
