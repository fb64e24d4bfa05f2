"""Predictions of a fold become the scores of an entry, by every protocol of the study."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...data.index import Record
from ...difficulty.measures import difficulty_maps
from ...metrics.rows import Row
from ...report.difficulty_pictures import Captioned, difficulty_row, inline_figures
from ...report.overlay import class_overlay, overlay
from ...report.pictures import Figure
from ..evaluate import ClassNames, Predicted, Protocol, shown
from .cells import VariantScore
from .predictions import Predictions

FIGURE_PX = 300


@dataclass
class _Counted:
    """Counts of one variant of one protocol, image by image."""

    protocol: Protocol
    options: Any
    variant: str
    choice: Any
    counts: dict[str, Any] = field(default_factory=dict)


def score_entry(
    validation: Predictions,
    test: Predictions,
    protocols: Sequence[Protocol],
    options: Mapping[str, Any],
    *,
    pool: bool = True,
) -> tuple[list[VariantScore], dict[str, Any]]:
    """Choose on the validation images, score the test images, one at a time.

    Args:
        validation: Predictions that a protocol may choose with, and nothing else.
        test: Predictions that are scored, and nothing else.
        protocols: How they are scored.
        options: Options of each protocol, by its name.
        pool: Whether there are rows over all test images, and not of each test split alone.

    Returns:
        Scores of each variant, in the order of the protocols; and what each protocol chose, by its name.

    Raises:
        InputError: An image cannot be used.
    """
    choices = {p.name: p.choose(validation, options[p.name]) if p.chooses else None for p in protocols}
    counted: dict[tuple[str, str], _Counted] = {}
    for predicted in test:
        for protocol in protocols:
            own, choice = options[protocol.name], choices[protocol.name]
            for variant in protocol.variants(predicted, choice, own):
                place = counted.setdefault((protocol.name, variant.name), _Counted(protocol, own, variant.name, choice))
                place.counts[predicted.name] = protocol.count(variant, predicted.reference, own)
    names = ClassNames.of(test.description)
    return [_score(one, names, test.records, pool=pool) for one in counted.values()], choices


def _score(counted: _Counted, names: ClassNames, records: Sequence[Record], *, pool: bool) -> VariantScore:
    """Rows of all images, of each test split where there are several or none are pooled, and numbers of each image."""
    protocol, options = counted.protocol, counted.options

    def rows(chosen: Sequence[Any], group: str = "") -> list[Row]:
        return protocol.rows(chosen, names, options, group=group, seed=0)

    all_rows = rows(list(counted.counts.values())) if pool else []
    splits = dict.fromkeys(record.split for record in records)
    if len(splits) > 1 or not pool:
        for split in splits:
            all_rows += rows([counted.counts[one.name] for one in records if one.split == split], group=split)
    columns = protocol.columns_for(options)
    wanted = list(dict.fromkeys((row.metric, row.class_or_threshold) for row, _ in shown(all_rows, columns).values()))
    images = {}
    for name, count in counted.counts.items():
        pooled = [row for row in rows([count]) if row.averaging == "pooled"]
        # Reversed, so that the first of two rows with one name counts, as in tables.
        own = {(row.metric, row.class_or_threshold): row for row in reversed(pooled)}
        images[name] = [float(own[key].value) if key in own else math.nan for key in wanted]
    groups = {} if pool else {record.name: record.split for record in records}
    choice = protocol.describe(counted.choice)
    return VariantScore(protocol.name, counted.variant, choice, all_rows, wanted, images, groups)


def draw_figures(
    predicted: Predicted, protocols: Sequence[Protocol], options: Mapping[str, Any], choices: Mapping[str, Any]
) -> tuple[Figure, ...]:
    """An image in all its aspects: reference, prediction, difficulty, and what each further variant makes of it."""
    names = predicted.reference.names
    first: np.ndarray | None = None
    further: list[Captioned] = []
    for protocol in protocols:
        variants = list(protocol.variants(predicted, choices[protocol.name], options[protocol.name]))
        first = variants[0].values if first is None else first
        further += [Captioned(f"After {one.name}", _drawn(predicted, one.values, names)) for one in variants[1:]]
        further += protocol.figures(predicted, variants) if protocol.figures else []
    assert first is not None
    maps = difficulty_maps(predicted.probabilities, tta=predicted.tta, ensemble=predicted.ensemble)
    row = difficulty_row(
        predicted.image,
        prediction=_drawn(predicted, first, names),
        difficult=maps.difficult,
        measures=maps.named(),
        reference=_drawn(predicted, predicted.reference.mask, names),
        max_px=FIGURE_PX,
    )
    return inline_figures((*row[:3], *further, *row[3:]), max_px=FIGURE_PX)


def _drawn(predicted: Predicted, values: np.ndarray, names: ClassNames) -> np.ndarray:
    """Outlines of objects or colors of classes on the image."""
    if names.has_objects:
        labels = np.where(values == names.ignore, 0, values) if names.ignore is not None else values
        return overlay(predicted.image, labels.astype(np.int32), max_px=FIGURE_PX)
    classes = values if names.ignore is None else np.where(values == names.ignore, 255, values)
    return class_overlay(predicted.image, classes.astype(np.uint8), colors=names.colors, max_px=FIGURE_PX)
