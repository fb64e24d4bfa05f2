"""One row per image: which images are good, and which are not."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from ...checks import InputError
from ...io import read_csv
from .protocol import shown
from .score import FolderScores, ImageScore

_log = logging.getLogger(__name__)

IMAGES_CSV = "images.csv"
"""What `segment` says of each image; it holds estimates of the same scores without a reference."""


EXPECTED = "expected "
"""Before the name of a score, the column of its estimates."""


@dataclass(frozen=True)
class Expectation:
    """How well estimates without a reference foretell a score.

    Attributes:
        title: Of the score.
        images: Number of images that have both.
        expected: Mean estimate.
        true: Mean score.
        off: Mean distance of the two.
        rank_correlation: Spearman's; NaN where all estimates or all scores are equal.
    """

    title: str
    images: int
    expected: float
    true: float
    off: float
    rank_correlation: float

    def __str__(self) -> str:
        """As a sentence for a person."""
        rank = "" if math.isnan(self.rank_correlation) else f", rank correlation {self.rank_correlation:.2f}"
        return (
            f"expected {self.title} {self.expected:.3f}, true {self.true:.3f}: off by {self.off:.3f} on average{rank} "
            f"({self.images} {'image' if self.images == 1 else 'images'})"
        )


def image_columns(scores: FolderScores, predictions: Path) -> dict[str, list[object]]:
    """Columns of a table with one row per image.

    Args:
        scores: What `score_folders` returned.
        predictions: Folder of the predictions; where `segment` left its ``images.csv`` there, its estimates stand
            in columns ``expected …`` beside the true scores.

    Returns:
        Column name → one value per image: ``name``, ``group`` where images are grouped, ``n_objects`` where there
        are objects, the protocol's numbers, and ``problem``.
    """
    images, columns = scores.images, scores.task.protocol.columns_for(scores.task.options)
    table: dict[str, list[object]] = {"name": [image.name for image in images]}
    if any(image.group for image in images):
        table["group"] = [image.group for image in images]
    if any(image.rows[0].n_objects is not None for image in images):
        table["n_objects"] = [image.rows[0].n_objects for image in images]
    found = [shown(image.rows, columns) for image in images]
    titles = {title: pair for one in found for title, pair in one.items()}
    estimates = _estimates(predictions) if any(column.expected for _, column in titles.values()) else {}
    for title, (row, column) in titles.items():
        table[title] = [one[title][0].value if title in one else None for one in found]
        expected = _expected(estimates, column.expected.replace("{of}", row.class_or_threshold), images)
        if any(value is not None for value in expected):
            table[f"{EXPECTED}{title}"] = expected
    table["problem"] = [image.problem for image in images]
    return table


def worst_images(scores: FolderScores, count: int = 10) -> tuple[str, list[tuple[str, float]]]:
    """The images of the lowest headline score, the lowest first; an undefined score is not ranked.

    Returns:
        Name of the headline score, and (image, value) of at most ``count`` images; empty for a protocol without
        columns.
    """
    columns = scores.task.protocol.columns_for(scores.task.options)[:1]
    ranked: list[tuple[float, str, float]] = []
    title = ""
    for image in scores.images:
        for name, (row, column) in shown(image.rows, columns).items():
            title = name
            if not math.isnan(row.value):
                ranked.append((-row.value if column.high_is_good is False else row.value, image.name, row.value))
    return title, [(name, value) for _, name, value in sorted(ranked)[:count]]


def expected_against_true(table: Mapping[str, Sequence[object]]) -> list[Expectation]:
    """How well estimates without a reference foretell the scores of images, for each score that has any.

    Args:
        table: From `image_columns`.

    Example:
        >>> expected_against_true({"Dice": [0.9, 0.5, 0.7], "expected Dice": [0.8, 0.6, None]})
        [Expectation(title='Dice', images=2, expected=0.7, true=0.7, off=0.1, rank_correlation=1.0)]
    """
    found = []
    for title in table:
        if f"{EXPECTED}{title}" not in table:
            continue
        pairs = np.array([table[f"{EXPECTED}{title}"], table[title]], np.float64)
        pairs = pairs[:, np.isfinite(pairs).all(axis=0)]
        if not pairs.size:
            continue
        ranks = [rankdata(values) for values in pairs]
        changes = all(np.ptp(values) > 0 for values in ranks)
        expected, true = (float(values.mean()) for values in pairs)
        off = round(float(np.abs(pairs[0] - pairs[1]).mean()), 12)
        correlation = round(float(np.corrcoef(*ranks)[0, 1]), 12) if changes else math.nan
        found.append(Expectation(title, pairs.shape[1], expected, true, off, correlation))
    return found


def _estimates(predictions: Path) -> Mapping[str, Sequence[str]]:
    """The table that `segment` left beside the predictions; empty where there is none."""
    path = predictions / IMAGES_CSV
    if not path.is_file():
        return {}
    try:
        return read_csv(path)
    except InputError as error:
        _log.warning("%s; no expected scores are shown", error)
        return {}


def _expected(estimates: Mapping[str, Sequence[str]], column: str, images: Sequence[ImageScore]) -> list[object]:
    """Estimates of a number by image; None where there is none."""
    if "image" not in estimates or column not in estimates:
        return [None] * len(images)
    known = dict(zip(estimates["image"], estimates[column], strict=True))
    values = (known.get(image.name, "") for image in images)
    return [float(value) if value else None for value in values]
