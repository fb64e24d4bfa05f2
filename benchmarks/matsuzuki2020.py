"""Difficult pixels and repairs of membranes: ``cellproof reproduce matsuzuki2020`` as a page.

Every number comes from ``reproduce``; what it trained is kept in ``--work`` and not trained again. Networks may be
carried out on different numbers of folds, by running the command several times. The page adds how long the repairs
themselves take.

About 40 minutes on 2 idle cores for ``--profile laptop --folds 1``, two hours for its three folds.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
from page import load_note, table, write_page
from scipy.ndimage import gaussian_filter

from cellproof.recipe.toml import read_recipe
from cellproof.refine.reassign import reassign
from cellproof.refine.reconnect import close_gaps, find_gaps
from cellproof.simulate.honeycomb import simulate_honeycomb
from cellproof.workflows.reproduce.run import ReproduceRequest, reproduce
from cellproof.workflows.reproduce.tables import Scored, tables
from cellproof.workflows.train.state import Watcher

RECIPE = "matsuzuki2020"


def main() -> None:
    """Carry out what is missing, write the page of everything in the folder."""
    arguments = _arguments()
    for network in arguments.network or [None]:
        reproduce(
            ReproduceRequest(
                recipe=RECIPE,
                data=arguments.data,
                out=arguments.work,
                profile=arguments.profile,
                folds=arguments.folds,
                sets=tuple(arguments.set or ()),
                networks=() if network is None else (network,),
                seed=arguments.seed,
            ),
            Watcher(say=lambda sentence: print(sentence, flush=True)),
        )
        _keep(arguments.work)
    scored = _kept(arguments.work)
    paper = read_recipe(RECIPE).paper
    assert paper is not None
    body = [
        f"{paper.reference}. Networks: {paper.profiles[arguments.profile].note}. Every row is of that size. Recall, "
        "precision and the membrane scores are pooled over the pictures of a fold, then mean ± standard deviation over "
        "folds. Gaps: stretches of reference membrane that the network lacks; false: of all closings, those where the "
        "reference has no membrane. What the terms mean stands in docs/reproduce.md.",
    ]
    for shown in tables(scored, paper.profiles[arguments.profile].note):
        body += ["", f"## {shown.title}", "", shown.note.split("; ")[-1], "", table(shown.columns, shown.rows)]
    body += ["", "## Thresholds of reconnect", "", _thresholds(scored), "", "## Time of the repairs", "", *_times()]
    write_page(RECIPE, "Difficult pixels and membranes", "\n".join(body), seed=arguments.seed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that holds the sets")
    parser.add_argument("--profile", default="laptop", help="of the recipe (default: laptop)")
    parser.add_argument("--folds", type=int, help="of each set (default: the profile's)")
    parser.add_argument("--set", nargs="+", help="only these sets")
    parser.add_argument("--network", nargs="+", help="only these networks")
    parser.add_argument("--seed", type=int, default=0, help="of every draw")
    parser.add_argument(
        "--work", type=Path, default=Path(f"results/benchmarks/{RECIPE}"), help="where results are kept"
    )
    return parser.parse_args()


def _keep(work: Path) -> None:
    """Add what the last command scored to what earlier ones did."""
    known = {(one.study, one.network, one.fold): one for one in _kept(work)}
    for one in _read(work / "scores.json"):
        known[one.study, one.network, one.fold] = one
    (work / "all.json").write_bytes(msgspec.json.encode(list(known.values())))


def _kept(work: Path) -> list[Scored]:
    return _read(work / "all.json")


def _read(path: Path) -> list[Scored]:
    """Scores from a file; none without it. JSON has no not-a-number: it stands there as null."""
    values = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    for one in values:
        for metrics in (*one["repairs"].values(), one["difficulty"]):
            metrics.update({name: math.nan for name, value in metrics.items() if value is None})
    return msgspec.convert(values, list[Scored])


def _thresholds(scored: Sequence[Scored]) -> str:
    rows = [[one.study, one.network, one.fold, one.learned, one.scored, one.threshold] for one in scored]
    return table(["set", "network", "fold", "learned from", "scored on", "threshold"], rows)


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
