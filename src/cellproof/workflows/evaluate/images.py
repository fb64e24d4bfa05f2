"""One row per image: which images are good, and which are not."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path

from ...checks import InputError
from ...io import read_csv
from .protocol import Column, shown
from .score import FolderScores, ImageScore

_log = logging.getLogger(__name__)

IMAGES_CSV = "images.csv"
"""What `segment` says of each image; it holds estimates of the same scores without a reference."""


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
    titles = {title: column for one in found for title, (_, column) in one.items()}
    for title, column in titles.items():
        table[title] = [one[title][0].value if title in one else None for one in found]
        expected = _expected(predictions, column, images)
        if any(value is not None for value in expected):
            table[f"expected {title}"] = expected
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


def _expected(predictions: Path, column: Column, images: Sequence[ImageScore]) -> list[object]:
    """Estimates of a number by image; None where there is none."""
    path = predictions / IMAGES_CSV
    if not column.expected or not path.is_file():
        return [None] * len(images)
    try:
        table = read_csv(path)
    except InputError as error:
        _log.warning("%s; no expected scores are shown", error)
        return [None] * len(images)
    if "image" not in table or column.expected not in table:
        return [None] * len(images)
    known = dict(zip(table["image"], table[column.expected], strict=True))
    values = (known.get(image.name, "") for image in images)
    return [float(value) if value else None for value in values]
