"""Difficult pixels and repairs of membranes: ``cellproof reproduce matsuzuki2020``, scored once, as a page.

Metric, rule and constants were chosen on other images, and are frozen in the recipe. What is scored here took part in
no choice: liver is simulated from a seed that was never used; ``cornea`` is scored on the fields of its fourth cornea
of which no earlier study had any, by networks that learned from the other three corneas. All slices of ``isbi2012``
have been scored before; it is divided by runs of sections, and the page says so.

Every number comes from ``reproduce``. What it trained and scored lies in ``--work`` and is not done again; the page
names the commit that made each score. About 40 minutes on one core for two networks, and as much for FC-DenseNet-103
on one set.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
from page import commit, load_note, table, write_page
from scipy.ndimage import gaussian_filter

from cellproof.recipe import Division, Recipe, StudySetConfig
from cellproof.recipe.toml import format_recipe, read_recipe
from cellproof.refine.reassign import reassign
from cellproof.refine.reconnect import close_gaps, find_gaps
from cellproof.report.study_page import StudyTable
from cellproof.simulate.honeycomb import simulate_honeycomb
from cellproof.workflows.reproduce.cells import Cell
from cellproof.workflows.reproduce.fold import ReproduceRequest
from cellproof.workflows.reproduce.run import Results, reproduce
from cellproof.workflows.reproduce.tables import tables
from cellproof.workflows.train.state import Watcher

RECIPE = "matsuzuki2020"

SEED = 1
"""Earlier studies, which thresholds and constants were chosen with, had seed 0."""

KEPT = "untouched"
"""Name of the split that holds what no earlier study had."""

KEPT_CORNEA = "4"

SCORED_BEFORE = {"4-12-3", "4-12-5", "4-3-1", "4-6-2", "4-6-6", "4-center-1"}
"""Fields of that cornea among the 24 images of the earlier studies."""

HEADLINE = (
    "fraction of open walls closed",
    "cells harmed",
    "added centerline precision",
    "Betti-0 matching error",
    "Betti-1 matching error",
    "adapted Rand error",
    "VI split",
    "VI merge",
)

OLD = "(old definition)"

COMMITS = "commits.json"

IMAGES = {
    "liver (simulated)": f"Simulated images of seed {SEED}, which no choice has seen; the simulator is the same.",
    "isbi2012": "**All slices were scored in earlier studies**, on which constants were chosen: no images of this set "
    "are left that never took part. One stack of one tissue, divided by runs of sections.",
    "cornea": f"Fields of cornea {KEPT_CORNEA} that no earlier study had; the networks learned from corneas 1 to 3. "
    "Other fields of that cornea were scored in earlier studies.",
}


def main() -> None:
    """Carry out what is missing, write the page of everything in the folder."""
    arguments = _arguments()
    recipe = _frozen_recipe(arguments.work)
    _set_aside(arguments.data, arguments.work / "data")
    results, commits = _carry_out(arguments, recipe)
    study = read_recipe(str(recipe)).study
    assert study is not None
    body = [
        f"{study.reference}. Networks: {study.profiles[arguments.profile].note}; the first fold, batches of 2 with "
        "batch renormalization, whose bounds reach 3 and 5. Metric, rule and constants were frozen before this run, "
        "and every image was scored once. The threshold of reconnect is chosen on validation images, at most a tenth "
        "of all closings being false with 95 % confidence. Entries are compared image by image where there are at "
        "least five images. What the terms mean stands in docs/reproduce.md.",
    ]
    for set_ in dict.fromkeys(cell.set for cell in results.cells):
        body += ["", f"## {set_}", "", IMAGES.get(set_, "")]
        for shown in tables(results.cells, results.lines, results.columns):
            if shown.title.startswith(f"{set_}: "):
                body += _sections(shown)
    body += ["", "## What was chosen on validation images, and which code scored it", "", _choices(results, commits)]
    body += ["", "## Time of the repairs", "", *_times()]
    write_page(RECIPE, "Difficult pixels and membranes", "\n".join(body), seed=arguments.seed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that holds the sets")
    parser.add_argument("--profile", default="laptop", help="of the recipe (default: laptop)")
    parser.add_argument("--folds", type=int, default=1, help="of each set that has folds (default: 1)")
    parser.add_argument("--set", nargs="+", help="only these sets")
    parser.add_argument("--entry", "--network", nargs="+", help="only these rows of the tables")
    parser.add_argument("--only-page", action="store_true", help="write the page of the scores that are there")
    parser.add_argument("--seed", type=int, default=SEED, help=f"random seed (default: {SEED})")
    parser.add_argument(
        "--work", type=Path, default=Path(f"results/benchmarks/{RECIPE}"), help="where results are kept"
    )
    return parser.parse_args()


def _frozen_recipe(work: Path) -> Path:
    """The recipe of the package with the division that this page speaks of, as a file."""
    recipe = read_recipe(RECIPE)
    study = recipe.study
    assert study is not None

    def divided(config: StudySetConfig) -> StudySetConfig:
        own = Division(validation=study.division.validation, test=(KEPT,))
        return msgspec.structs.replace(config, division=own) if config.name == "cornea" else config

    changed = msgspec.structs.replace(study, sets=tuple(divided(config) for config in study.sets))
    made: Recipe = msgspec.structs.replace(recipe, study=changed)
    work.mkdir(parents=True, exist_ok=True)
    file = work / f"{RECIPE}.toml"
    file.write_text(format_recipe(made), encoding="utf-8")
    return file


def _set_aside(data: Path, out: Path) -> None:
    """The folder of sets with ``cornea`` divided into what is learned from and what no earlier study had."""
    out.mkdir(parents=True, exist_ok=True)
    for folder in data.iterdir():
        if folder.is_dir() and folder.name != "cornea" and not (out / folder.name).exists():
            (out / folder.name).symlink_to(folder.resolve())
    source, target = data / "cornea", out / "cornea"
    if not source.is_dir() or target.exists():
        return
    unfinished = out / "cornea.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    for image, mask in _pairs(source / "train"):
        cornea, _, field = image.stem.removeprefix("cornea_").partition("-")
        kept = cornea == KEPT_CORNEA
        if kept and f"{cornea}-{field}" in SCORED_BEFORE:
            continue
        for kind, file in (("images", image), ("masks", mask)):
            place = unfinished / (KEPT if kept else "train") / kind
            place.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place / file.name)
    for name in ("dataset.toml", "manifest.csv"):
        shutil.copyfile(source / name, unfinished / name)
    os.replace(unfinished, target)


def _pairs(folder: Path) -> Iterator[tuple[Path, Path]]:
    for image in sorted((folder / "images").iterdir()):
        yield image, folder / "masks" / f"{image.stem}.png"


def _carry_out(arguments: argparse.Namespace, recipe: Path) -> tuple[Results, dict[str, str]]:
    """Every entry of every set, and the commit that scored each of them, which a score file does not hold."""
    study = read_recipe(str(recipe)).study
    assert study is not None
    sets = arguments.set or [one.name for one in study.sets]
    entries = arguments.entry or [one.name for one in study.entries]
    file = arguments.work / COMMITS
    watcher = Watcher(say=lambda sentence: print(sentence, flush=True))
    commits: dict[str, str] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for name in sets:
        for entry in () if arguments.only_page else entries:
            before = _score_files(arguments.work)
            reproduce(_request(arguments, recipe, sets=(name,), entries=(entry,)), watcher)
            after = _score_files(arguments.work)
            commits |= dict.fromkeys(after - before, commit())
            file.write_text(json.dumps(commits, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    # All of it is there by now: this draws the tables of every score in the folder.
    done = [one for one in study.sets if (arguments.work / "runs" / one.name).is_dir()]
    drawn = [path.parent.name for path in arguments.work.glob(f"runs/{done[0].name}/*/*/score.json")]
    return reproduce(_request(arguments, recipe, sets=(done[0].name,), entries=(drawn[0],)), watcher), commits


def _request(
    arguments: argparse.Namespace, recipe: Path, *, sets: tuple[str, ...], entries: tuple[str, ...]
) -> ReproduceRequest:
    return ReproduceRequest(
        recipe=str(recipe),
        data=arguments.work / "data",
        out=arguments.work,
        profile=arguments.profile,
        folds=arguments.folds,
        sets=sets,
        entries=entries,
        seed=arguments.seed,
    )


def _score_files(work: Path) -> set[str]:
    """Fingerprints of the scores in a folder."""
    return {json.loads(file.read_bytes())["fingerprint"] for file in work.glob("runs/*/*/*/score.json")}


def _sections(shown: StudyTable) -> Iterator[str]:
    """A table under its heading; one of membranes in three: the headline, the rest, and gaps as counted before."""
    title = shown.title.partition(": ")[2]
    parts = {title: lambda metric: True}
    if "metric" in shown.columns:
        parts = {
            f"{title}: headline": lambda metric: metric in HEADLINE,
            f"{title}: classes, centerlines, Betti numbers, cells and width": lambda metric: (
                metric not in HEADLINE and OLD not in metric
            ),
            f"{title}: old definitions, which filling cells wins": lambda metric: OLD in metric,
        }
    for place, (heading, belongs) in enumerate(parts.items()):
        rows = [
            row for row in shown.rows if "metric" not in shown.columns or belongs(row[shown.columns.index("metric")])
        ]
        if rows:
            yield from ("", f"### {heading[0].upper()}{heading[1:]}", "")
            yield from () if place else (f"{shown.note}.", "")
            yield table(shown.columns, rows)


def _choices(results: Results, commits: dict[str, str]) -> str:
    cells: Sequence[Cell] = results.cells
    rows = [
        [
            cell.set,
            cell.entry,
            cell.fold,
            cell.learned,
            cell.validated,
            cell.scored,
            "; ".join(dict.fromkeys(score.choice for score in cell.scores if score.choice)),
            commits.get(cell.fingerprint, "unknown"),
        ]
        for cell in cells
    ]
    return table(["set", "entry", "fold", "learned from", "chosen with", "scored on", "choice", "commit"], rows)


def _times() -> list[str]:
    """Seconds of the repairs on a simulated monolayer with a blurred, noisy probability."""
    rng = np.random.default_rng(0)
    lines = []
    for side in (512, 1024):
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
        table(["image", "reassign, s", "find_gaps, s", "close_gaps, s", "gaps looked at"], lines),
        "",
        load_note(),
    ]


def _median(run: Callable[[], object], repeat: int = 3) -> float:
    seconds = []
    for _ in range(repeat):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))


if __name__ == "__main__":
    main()
