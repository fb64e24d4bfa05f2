"""Accuracy of a nuclei model on images that it was not trained on, and whether its confidence can be believed.

The images go through ``cellproof segment`` with its default options and are scored by the code behind
``cellproof evaluate``: ``dsb2018`` val (used to choose thresholds, never to learn weights), by modality, and
``kromp2020`` train, of another laboratory, which the model never saw. Results of `segment` stay in ``--work``,
so that the same command again goes on where it stopped.

About 6 minutes on 2 idle cores, 8 with ``--plain``.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from child import run_cellproof
from page import table, write_page
from scipy.stats import rankdata, spearmanr

from cellproof.data.description import Description, read_description
from cellproof.data.index import Record, index
from cellproof.difficulty.calibration import CalibrationErrors, calibration_errors
from cellproof.difficulty.quality import DOUBTFUL_CONFIDENCE
from cellproof.io import read_image, read_labels
from cellproof.metrics import objects
from cellproof.metrics.rows import Row
from cellproof.workflows.evaluate.score import evaluate_folders
from cellproof.workflows.predict.load import Model, load_model
from cellproof.workflows.segment.plane import segment_plane

AP, MEAN = "AP (StarDist)", "mean 0.5…0.95"
CALIBRATION = {
    "everywhere": "expected calibration error, all pixels (mostly easy background)",
    "foreground": "expected calibration error, predicted foreground",
    "unsure": "expected calibration error, confidence below 0.99",
    "unsure_fraction": "fraction of pixels with confidence below 0.99",
}
"""Attribute of `CalibrationErrors`, and what its line is called."""

SAMPLED = 50_000
"""Pixels of an image that enter the calibration, drawn by seed."""


def main() -> None:
    """Segment, score, write the page."""
    arguments = _arguments()
    header = load_model(arguments.model).header
    body = [
        f"Model {header.name} ({header.training.steps} steps on {header.training.images} images of "
        f"{header.training.data}, seed {header.training.seed}), `cellproof segment` with its default options. "
        "Counts are pooled over images and then made into scores; in brackets the 95 % bootstrap interval over images. "
        "AP = TP/(TP + FP + FN) as in StarDist and the Data Science Bowl. Pixels of value 65535 in kromp2020 are not "
        "annotated and left out, with objects that lie in them by more than half.",
    ]
    for part in _parts(arguments):
        body += ["", f"## {part.title}", "", *_accuracy(part, arguments)]
    if not arguments.no_calibration:
        body += ["", "## Confidence and difficulty", "", *_calibration(arguments)]
    write_page("nuclei", f"Accuracy of `{header.name}`", "\n".join(body), seed=arguments.seed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that holds the sets dsb2018 and kromp2020")
    parser.add_argument("--model", default="nuclei", help="name or file (default: nuclei)")
    parser.add_argument("--work", type=Path, default=Path("results/benchmarks/nuclei"), help="where results are kept")
    parser.add_argument("--plain", action="store_true", help="segment both sets with --no-tta, too")
    parser.add_argument("--no-calibration", action="store_true", help="leave the second part out")
    parser.add_argument(
        "--images",
        type=int,
        help="segment only the first so many of each set, to try the script; others count as missed",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap and of the pixels drawn")
    return parser.parse_args()


@dataclass(frozen=True)
class Part:
    """One set of images, segmented in one way.

    Attributes:
        title: Heading.
        data: Folder of the set.
        split: Of the set.
        by: Column to group by; "" for none.
        plain: Whether every image is looked at once only.
    """

    title: str
    data: Path
    split: str
    by: str
    plain: bool


def _parts(arguments: argparse.Namespace) -> list[Part]:
    parts = []
    for plain in (False, True) if arguments.plain else (False,):
        ending = ", with --no-tta" if plain else ""
        parts += [
            Part(f"dsb2018 val{ending}", arguments.data / "dsb2018", "val", "modality", plain),
            Part(f"kromp2020 train, a foreign laboratory{ending}", arguments.data / "kromp2020", "train", "", plain),
        ]
    return parts


def _accuracy(part: Part, arguments: argparse.Namespace) -> list[str]:
    """Tables of one part."""
    out = arguments.work / f"{part.data.name}{'-plain' if part.plain else ''}"
    images = [record.image for record in _records(part, arguments)]
    options = ["--no-tta"] if part.plain else []
    run_cellproof("segment", *images, "--out", out, "--model", arguments.model, *options)
    reference = part.data / part.split
    rows = [row for row in evaluate_folders(out, reference, by=part.by, seed=arguments.seed) if not row.problem]
    names = ["", *sorted({row.group for row in rows} - {""})]
    groups = {name or "all": [row for row in rows if row.group == name] for name in names}
    headings = ["", *groups]
    pooled = table(headings, _pooled_lines(groups.values()))
    by_image = table(headings, _by_image_lines(groups.values()))
    return ["Pooled:", "", pooled, "", "Mean ± standard deviation over images:", "", by_image]


def _pooled_lines(groups: Sequence[Sequence[Row]]) -> list[list[object]]:
    thresholds = [str(value) for value in objects.THRESHOLDS]
    wanted = [*((AP, of) for of in (*thresholds, MEAN)), ("F1", "0.5"), ("PQ", "0.5"), ("Dice", "foreground")]
    wanted += [(name, "") for name in ("merges", "splits", "misses", "false objects")]
    lines: list[list[object]] = [
        ["images", *(_find(rows, AP, "0.5").n_images for rows in groups)],
        ["objects", *(_find(rows, AP, "0.5").n_objects for rows in groups)],
    ]
    for metric, of in wanted:
        lines.append([_name(metric, of), *(_pooled_cell(_find(rows, metric, of)) for rows in groups)])
    return lines


def _name(metric: str, of: str) -> str:
    plain = metric.removesuffix(" (StarDist)")
    if of == MEAN:
        return f"{plain}, {of}"
    return f"{of} {plain}" if of == "foreground" else f"{plain}@{of}" if of else plain


def _by_image_lines(groups: Sequence[Sequence[Row]]) -> list[list[object]]:
    wanted = [(AP, "0.5"), (AP, "0.75"), (AP, "0.9"), (AP, MEAN), ("F1", "0.5"), ("PQ", "0.5"), ("Dice", "foreground")]
    return [
        [
            _name(metric, of),
            *(_by_image_cell(_find(rows, metric, of, averaging="mean over images")) for rows in groups),
        ]
        for metric, of in wanted
    ]


def _find(rows: Sequence[Row], metric: str, of: str, *, averaging: str = "pooled") -> Row:
    return next(row for row in rows if (row.metric, row.class_or_threshold, row.averaging) == (metric, of, averaging))


def _pooled_cell(row: Row) -> str:
    if not row.class_or_threshold:
        return f"{row.value:.0f}"
    low_high = f" ({row.interval[0]:.3f}–{row.interval[1]:.3f})" if _has_interval(row) else ""
    return f"{row.value:.3f}{low_high}"


def _has_interval(row: Row) -> bool:
    """Whether there were images enough for one."""
    return row.interval is not None and not math.isnan(row.interval[0])


def _by_image_cell(row: Row) -> str:
    return f"{row.value:.3f}" + (f" ± {row.sd:.3f}" if row.sd is not None else "")


@dataclass(frozen=True)
class Trust:
    """What one image says of the confidence of its result.

    Attributes:
        confidence: (n,) of sampled pixels.
        correct: (n,) whether the likeliest class is right.
        foreground: (n,) whether that class is foreground.
        wrong_label: (n,) whether foreground or background of the labels is wrong.
        difficulty: (n,) of the same pixels.
        object_confidence: (m,) of the objects found.
        object_iou: (m,) with the reference object that each overlaps best.
        expected_dice: What the result promises.
        dice: What it keeps.
    """

    confidence: np.ndarray
    correct: np.ndarray
    foreground: np.ndarray
    wrong_label: np.ndarray
    difficulty: np.ndarray
    object_confidence: np.ndarray
    object_iou: np.ndarray
    expected_dice: float
    dice: float


def _calibration(arguments: argparse.Namespace) -> list[str]:
    model = load_model(arguments.model)
    columns: dict[str, list[Trust]] = {}
    for part in _parts(argparse.Namespace(**{**vars(arguments), "plain": False})):
        description = read_description(part.data)
        assert description is not None
        for record in _records(part, arguments):
            trust = _trust(model, record, description, rng=np.random.default_rng(arguments.seed))
            columns.setdefault(record.attributes.get(part.by) or part.data.name, []).append(trust)
    lines = [
        *(
            [title, *(getattr(_calibration_errors(trusts), name) for trusts in columns.values())]
            for name, title in CALIBRATION.items()
        ),
        ["Spearman, object confidence with its IoU", *map(_object_correlation, columns.values())],
        ["area under ROC, difficulty finds wrong foreground", *map(_error_finding, columns.values())],
        ["Spearman, expected Dice with Dice over images", *map(_dice_correlation, columns.values())],
        ["mean of expected Dice − Dice", *map(_dice_bias, columns.values())],
        ["images", *map(len, columns.values())],
        ["objects found", *(sum(len(t.object_iou) for t in trusts) for trusts in columns.values())],
    ]
    return [
        f"Of each image {SAMPLED} annotated pixels, drawn by seed, or all where there are fewer. A pixel is right "
        "where its likeliest class is; an object's IoU is that with the reference object it overlaps best, or 0.",
        "",
        table(["", *columns], lines),
        "",
        "How many objects of each confidence are right, that is, overlap a reference object with an IoU of 0.5 or "
        "more. Were confidence a probability of being right, the fraction would lie in the bounds of its line.",
        "",
        _object_reliability([trust for trusts in columns.values() for trust in trusts]),
    ]


def _object_reliability(trusts: Sequence[Trust]) -> str:
    """Table of objects by confidence, all sets together."""
    confidence = np.concatenate([trust.object_confidence for trust in trusts])
    is_right = np.concatenate([trust.object_iou for trust in trusts]) >= 0.5
    bounds = [0.0, 0.7, DOUBTFUL_CONFIDENCE, 0.8, 0.85, 0.9, 0.95, 0.98, 1.0]
    lines: list[list[object]] = []
    for low, high in pairwise(bounds):
        own = (confidence >= low) & ((confidence < high) | (high == 1))
        share = float(is_right[own].mean()) if own.any() else math.nan
        wrong_below = int((~is_right & (confidence < high)).sum())
        lines.append([f"{low:.2f}–{high:.2f}", int(own.sum()), share, f"{wrong_below} of {int((~is_right).sum())}"])
    return table(["confidence", "objects", "fraction right", "wrong ones up to here"], lines)


def _trust(model: Model, record: Record, description: Description, *, rng: np.random.Generator) -> Trust:
    result = segment_plane(model, read_image(record.image).pixels[0])
    reference = read_labels(record.mask)
    ignored = np.zeros(reference.shape, bool) if description.ignore is None else reference == description.ignore
    annotated = np.flatnonzero(~ignored)
    seen = rng.choice(annotated, min(SAMPLED, len(annotated)), replace=False)
    found, there = (result.labels > 0) & ~ignored, (reference > 0) & ~ignored
    foreground = result.probabilities[0].ravel()[seen] < 0.5
    pairs = objects.overlap(result.labels, reference, ignored=ignored)
    iou = np.zeros(len(pairs.prediction_ids))
    np.maximum.at(iou, pairs.pairs[:, 1], pairs.iou)
    total = int(found.sum() + there.sum())
    return Trust(
        confidence=np.clip(result.probabilities.max(axis=0).ravel()[seen], 0, 1),
        correct=foreground == there.ravel()[seen],
        foreground=foreground,
        wrong_label=found.ravel()[seen] != there.ravel()[seen],
        difficulty=result.difficulty.ravel()[seen],
        object_confidence=np.asarray(result.objects["confidence"])[pairs.prediction_ids - 1],
        object_iou=iou,
        expected_dice=result.quality.expected_dice,
        dice=2 * int((found & there).sum()) / total if total else math.nan,
    )


def _calibration_errors(trusts: Sequence[Trust]) -> CalibrationErrors:
    parts = ([t.confidence for t in trusts], [t.correct for t in trusts], [t.foreground for t in trusts])
    return calibration_errors(*map(np.concatenate, parts))


def _object_correlation(trusts: Sequence[Trust]) -> float:
    return _spearman(
        np.concatenate([trust.object_confidence for trust in trusts]),
        np.concatenate([trust.object_iou for trust in trusts]),
    )


def _error_finding(trusts: Sequence[Trust]) -> float:
    return _area_under_roc(
        np.concatenate([trust.difficulty for trust in trusts]), np.concatenate([trust.wrong_label for trust in trusts])
    )


def _dice_correlation(trusts: Sequence[Trust]) -> float:
    return _spearman(np.array([t.expected_dice for t in trusts]), np.array([t.dice for t in trusts]))


def _dice_bias(trusts: Sequence[Trust]) -> float:
    return float(np.nanmean([trust.expected_dice - trust.dice for trust in trusts]))


def _spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Rank correlation where both are known; NaN for fewer than three, or where one is constant."""
    known = ~np.isnan(first) & ~np.isnan(second)
    first, second = first[known], second[known]
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    return float(spearmanr(first, second).statistic)


def _area_under_roc(score: np.ndarray, positive: np.ndarray) -> float:
    """Chance that a positive scores above a negative, ties half; NaN where one kind is missing."""
    n_positive = int(positive.sum())
    n_negative = positive.size - n_positive
    if not n_positive or not n_negative:
        return math.nan
    ranks = float(rankdata(score)[positive].sum())
    return (ranks - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)


def _records(part: Part, arguments: argparse.Namespace) -> list[Record]:
    description = read_description(part.data)
    assert description is not None
    return [record for record in index(part.data, description) if record.split == part.split][: arguments.images]


if __name__ == "__main__":
    main()
