"""One trial of ``cellproof train``: part of a set to learn from, the rest to be scored on, both as folders."""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path

import msgspec
import numpy as np
from child import run_cellproof
from scipy.stats import spearmanr

from cellproof.data.description import Description, description_to_toml, read_description
from cellproof.data.index import Record, index
from cellproof.io import read_labels
from cellproof.metrics import pixel
from cellproof.metrics.bootstrap import FEWEST_IMAGES
from cellproof.metrics.objects import average_precision
from cellproof.metrics.pixel import Confusion
from cellproof.metrics.protocols import ObjectImage, count_objects, foreground_confusion


class Score(msgspec.Struct, frozen=True):
    """One metric: pooled over images, and its mean and spread over those where it is defined; of five at least."""

    pooled: float
    mean: float
    sd: float | None


class Result(msgspec.Struct, frozen=True):
    """What came of one trial.

    Attributes:
        name: Of the set, and of the way it was held out.
        start: "nuclei" or "random" weights.
        seed: Of the draw of images and of the training.
        time: As given to ``--time``.
        images: Number learned from.
        held_out: Number scored on.
        minutes: Of the training, start of Python included.
        steps: Optimizer steps taken.
        task: "objects" or "classes".
        plan: What the training said of its plan.
        scores: Metric → score.
        promised: Mean of the expected Dice less the foreground Dice, over images.
        promise_rank: Spearman correlation of the two over images; None where it has no value.
    """

    name: str
    start: str
    seed: int
    time: str
    images: int
    held_out: int
    minutes: float
    steps: int
    task: str
    plan: tuple[str, ...]
    scores: Mapping[str, Score]
    promised: float | None
    promise_rank: float | None

    @property
    def key(self) -> tuple[str, str, int, str, int]:
        """What a repetition has in common."""
        return self.name, self.start, self.seed, self.time, self.images


@dataclass(frozen=True)
class Trial:
    """A training and what it is scored on.

    Attributes:
        name: Of the set, and of the way it is held out.
        work: Folder of this trial; what is complete there is not done again.
        seed: Of the training.
        time: For ``--time``.
        start: "nuclei", or "random" to begin with random weights.
    """

    name: str
    work: Path
    seed: int
    time: str
    start: str

    @property
    def run(self) -> Path:
        """Folder of the training."""
        return self.work / "run"


def add_trial_arguments(parser: argparse.ArgumentParser, *, time: str, work: Path) -> None:
    """Add what every benchmark of trainings asks: data, time, start, seed and where results are kept."""
    parser.add_argument("data", type=Path, help="folder that holds the sets")
    parser.add_argument("--time", default=time, help=f"of each training (default: {time})")
    parser.add_argument(
        "--start", choices=("nuclei", "random"), default="nuclei", help="weights to start from (default: nuclei)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the division and of the training")
    parser.add_argument("--work", type=Path, default=work, help="where results are kept")


def train(trial: Trial, records: Sequence[Record], description: Description) -> float:
    """Train on the records without a recipe.

    Returns:
        Minutes that it took; those of an earlier run where that is complete.
    """
    said = trial.work / "minutes.json"
    if said.is_file() and (trial.run / "model.safetensors").is_file():
        return float(json.loads(said.read_text()))
    shutil.rmtree(trial.run, ignore_errors=True)
    write_set(trial.work / "train", records, description)
    words = ["--time", trial.time, "--seed", str(trial.seed)]
    # An empty name stands for random weights; without it the plan takes the shipped model where that fits.
    words += ["--set", "model.init="] if trial.start == "random" else []
    finished = run_cellproof("train", trial.work / "train", "--out", trial.run, *words)
    if finished.code:
        raise SystemExit(finished.errors)
    minutes = finished.seconds / 60
    said.write_text(json.dumps(minutes))
    return minutes


def score(trial: Trial, records: Sequence[Record], description: Description, *, minutes: float, images: int) -> Result:
    """Segment the records with the trained model and score the files."""
    # Copies of the same images under another name would otherwise meet the results of the first.
    folder = trial.work / trial.name.replace(", ", "-").replace(" ", "-")
    held_out, out = folder / "held_out", folder / "segmented"
    write_set(held_out, records, description)
    run_cellproof(
        "segment", held_out / "images", "--out", out, "--model", trial.run / "model.safetensors", "--overwrite"
    )
    facts = json.loads((trial.run / "run.json").read_text(encoding="utf-8"))
    counts = [_count(out, record, description) for record in records]
    dice = [float(pixel.dice(foreground)[1]) for _, foreground in counts]
    promised = _expected_dice(out, [record.name for record in records])
    gap = np.array(promised) - np.array(dice)
    return Result(
        name=trial.name,
        start=trial.start,
        seed=trial.seed,
        time=trial.time,
        images=images,
        held_out=len(records),
        minutes=minutes,
        steps=_steps(trial.run),
        task="objects" if description.masks == "instances" else "classes",
        plan=tuple(facts["plan"]),
        scores=_scores(counts, description),
        promised=None if np.isnan(gap).all() else float(np.nanmean(gap)),
        promise_rank=_rank_correlation(np.array(promised), np.array(dice)),
    )


def write_set(folder: Path, records: Sequence[Record], description: Description) -> None:
    """A folder of training data with these images alone, as links."""
    shutil.rmtree(folder, ignore_errors=True)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for record in records:
        for part, path in (("images", record.image), ("masks", record.mask)):
            os.symlink(path.resolve(), folder / part / f"{record.name}{path.suffix}")
    columns = list(records[0].attributes)
    described = msgspec.structs.replace(description, attributes="manifest.csv" if columns else "")
    (folder / "dataset.toml").write_text(description_to_toml(described), encoding="utf-8")
    if columns:
        with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["name", *columns])
            writer.writerows([record.name, *record.attributes.values()] for record in records)


def records_of(folder: Path) -> tuple[list[Record], Description]:
    """All images of a set and its description."""
    description = read_description(folder)
    if description is None:
        raise SystemExit(f"{folder} has no dataset.toml")
    return index(folder, description), description


def draw(records: Sequence[Record], count: int, *, by: str, rng: np.random.Generator) -> list[Record]:
    """At most ``count`` records in a drawn order, taken in proportion from each value of ``by``."""
    groups: dict[str, list[Record]] = {}
    for place in rng.permutation(len(records)):
        record = records[place]
        groups.setdefault(record.attributes.get(by, ""), []).append(record)
    turns = sorted(
        ((place + 0.5) / len(group), name, place) for name, group in groups.items() for place in range(len(group))
    )
    return [groups[name][place] for _, name, place in turns[:count]]


class Results:
    """Results of all trials so far, in a file that is written after each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.all: list[Result] = msgspec.json.decode(path.read_bytes(), type=list[Result]) if path.is_file() else []

    def has(self, name: str, start: str, seed: int, time: str) -> bool:
        """Whether such a trial is done."""
        return any((r.name, r.start, r.seed, r.time) == (name, start, seed, time) for r in self.all)

    def put(self, result: Result) -> None:
        """Add a result in place of an earlier one of the same trial."""
        self.all = [*(r for r in self.all if r.key != result.key), result]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_bytes(msgspec.json.format(msgspec.json.encode(self.all)))


def _count(out: Path, record: Record, description: Description) -> tuple[ObjectImage | Confusion, Confusion]:
    """Counts of one segmented image for its task, and those of its foreground."""
    reference = read_labels(record.mask)
    ignored = None if description.ignore is None else reference == description.ignore
    if description.masks == "instances":
        counts = count_objects(read_labels(out / f"{record.name}_labels.tif"), reference, ignored=ignored)
        return counts, counts.foreground
    classes = read_labels(out / f"{record.name}_classes.tif")
    foreground = foreground_confusion(
        classes, np.where(ignored, 0, reference) if ignored is not None else reference, ignored=ignored
    )
    ignore = -1 if description.ignore is None else description.ignore
    return pixel.confusion(classes, reference, classes=len(description.classes), ignore=ignore), foreground


def _scores(counts: Sequence[tuple[ObjectImage | Confusion, Confusion]], description: Description) -> dict[str, Score]:
    if description.masks == "semantic":
        confusions = [count for count, _ in counts if isinstance(count, Confusion)]
        pooled = reduce(add, confusions)
        scores = {
            "mean IoU": _score(_mean_iou(pooled), [_mean_iou(count) for count in confusions]),
            "mean Dice": _score(_mean_dice(pooled), [_mean_dice(count) for count in confusions]),
        }
        for number, name in enumerate(description.classes):
            every = [float(pixel.iou(count)[number]) for count in confusions]
            scores[f"IoU {name}"] = _score(float(pixel.iou(pooled)[number]), every)
        return scores
    images = [count for count, _ in counts if isinstance(count, ObjectImage)]
    scores = {}
    for name, place in (("AP@0.5", 0), ("AP@0.75", 5), ("AP@0.9", 8)):
        matches = [image.matches[place] for image in images]
        scores[name] = _score(average_precision(reduce(add, matches)), [average_precision(match) for match in matches])
    foregrounds = [foreground for _, foreground in counts]
    every = [float(pixel.dice(foreground)[1]) for foreground in foregrounds]
    return scores | {"Dice": _score(float(pixel.dice(reduce(add, foregrounds))[1]), every)}


def _mean_iou(counts: Confusion) -> float:
    return pixel.mean_over_classes(counts, pixel.iou)


def _mean_dice(counts: Confusion) -> float:
    return pixel.mean_over_classes(counts, pixel.dice)


def _score(pooled: float, values: Sequence[float]) -> Score:
    defined = [value for value in values if not math.isnan(value)]
    mean = float(np.mean(defined)) if defined else math.nan
    return Score(pooled, mean, float(np.std(defined, ddof=1)) if len(defined) >= FEWEST_IMAGES else None)


def _expected_dice(out: Path, names: Sequence[str]) -> list[float]:
    """What `segment` promised for each image; NaN where it promised nothing."""
    with (out / "images.csv").open(newline="", encoding="utf-8") as file:
        promised = {row["image"]: row["expected_dice"] for row in csv.DictReader(file)}
    return [float(promised[name]) if promised[name] else math.nan for name in names]


def _rank_correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    known = ~np.isnan(first) & ~np.isnan(second)
    if known.sum() < 4 or np.ptp(first[known]) == 0 or np.ptp(second[known]) == 0:
        return None
    return float(spearmanr(first[known], second[known]).statistic)


def _steps(run: Path) -> int:
    with (run / "history.csv").open(newline="", encoding="utf-8") as file:
        last = {row["fold"]: int(float(row["step"])) for row in csv.DictReader(file)}
    return sum(last.values())
