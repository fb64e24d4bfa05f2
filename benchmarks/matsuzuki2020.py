"""Difficult pixels and repairs of membranes: ``cellproof reproduce matsuzuki2020`` as a page.

Every number comes from ``reproduce``; what it trained and scored is kept in ``--work`` and not done again. Entries may
be carried out on different numbers of folds, by running the command several times: the page shows all scores that are
there. It adds how long the repairs themselves take.

About 40 minutes on 2 idle cores for ``--profile laptop --folds 1``, two hours for its three folds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from page import load_note, table, write_page
from scipy.ndimage import gaussian_filter

from cellproof.recipe.toml import read_recipe
from cellproof.refine.reassign import reassign
from cellproof.refine.reconnect import close_gaps, find_gaps
from cellproof.simulate.honeycomb import simulate_honeycomb
from cellproof.workflows.reproduce.cells import Cell
from cellproof.workflows.reproduce.fold import ReproduceRequest
from cellproof.workflows.reproduce.run import reproduce
from cellproof.workflows.reproduce.tables import tables
from cellproof.workflows.train.state import Watcher

RECIPE = "matsuzuki2020"


def main() -> None:
    """Carry out what is missing, write the page of everything in the folder."""
    arguments = _arguments()
    results = reproduce(
        ReproduceRequest(
            recipe=RECIPE,
            data=arguments.data,
            out=arguments.work,
            profile=arguments.profile,
            folds=arguments.folds,
            sets=tuple(arguments.set or ()),
            entries=tuple(arguments.entry or ()),
            seed=arguments.seed,
        ),
        Watcher(say=lambda sentence: print(sentence, flush=True)),
    )
    study = read_recipe(RECIPE).study
    assert study is not None
    body = [
        f"{study.reference}. Networks: {study.profiles[arguments.profile].note}. Scores are pooled over the images of "
        "a fold, then mean ± standard deviation over folds. What the terms mean stands in docs/reproduce.md.",
    ]
    for shown in tables(results.cells, results.lines, results.columns):
        body += ["", f"## {shown.title}", "", shown.note, "", table(shown.columns, shown.rows)]
    body += ["", "## What was chosen on validation images", "", _choices(results.cells)]
    body += ["", "## Time of the repairs", "", *_times()]
    write_page(RECIPE, "Difficult pixels and membranes", "\n".join(body), seed=arguments.seed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that holds the sets")
    parser.add_argument("--profile", default="laptop", help="of the recipe (default: laptop)")
    parser.add_argument("--folds", type=int, help="of each set (default: the profile's)")
    parser.add_argument("--set", nargs="+", help="only these sets")
    parser.add_argument("--entry", "--network", nargs="+", help="only these rows of the tables")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    parser.add_argument(
        "--work", type=Path, default=Path(f"results/benchmarks/{RECIPE}"), help="where results are kept"
    )
    return parser.parse_args()


def _choices(cells: Sequence[Cell]) -> str:
    rows = [
        [cell.set, cell.entry, cell.fold, cell.learned, cell.validated, cell.scored, choice]
        for cell in cells
        for choice in dict.fromkeys(score.choice for score in cell.scores if score.choice)
    ]
    return table(["set", "entry", "fold", "learned from", "chosen with", "scored on", "choice"], rows)


def _times() -> list[str]:
    """Seconds of the repairs on a simulated monolayer with a blurred, noisy probability."""
    rng = np.random.default_rng(0)
    lines = []
    for side in (512, 1024, 2048):
        tissue = simulate_honeycomb(rng, shape=(side, side))
        noisy = (tissue.class_map == 1) + 0.7 * rng.standard_normal((side, side)).astype(np.float32)
        probability = np.clip(gaussian_filter(noisy, 1.5), 0, 1)
        classes = (probability > 0.5).astype(np.uint8)
        difficult = np.abs(probability - 0.5) < np.abs(probability - 0.5).mean()
        gaps = find_gaps(classes, probability, connected=1)
        lines.append(
            [
                f"{side} × {side}",
                _median(lambda c=classes, d=difficult: reassign(c, d, connected=1, rest=0)),
                _median(lambda c=classes, p=probability: find_gaps(c, p, connected=1)),
                _median(lambda c=classes, g=gaps: close_gaps(c, g, connected=1, rest=0)),
                len(gaps),
            ]
        )
    return [
        table(["picture", "reassign, s", "find_gaps, s", "close_gaps, s", "gaps looked at"], lines),
        "",
        load_note(),
    ]


def _median(run: Callable[[], object], repeat: int = 5) -> float:
    seconds = []
    for _ in range(repeat):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))


if __name__ == "__main__":
    main()
