"""What references and predictions hold, decided from both sides together."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ...checks import InputError
from ...data.description import Description
from ...data.mask_kind import (
    MOST_CLASSES,
    UNDECIDED,
    Kind,
    MaskFacts,
    decide_kind,
    is_foreground,
    is_scattered,
    mask_facts,
)
from ...data.pairing import pair, stem
from ...io.images import read_labels, read_mask

_log = logging.getLogger(__name__)

_MASKS_TO_GUESS_FROM = 20

Reading = Literal["as stored", "pieces", "foreground"]

_NAMED: dict[str, Kind] = {"_labels": "instances", "_instances": "instances", "_classes": "semantic"}
"""What masks hold that are all named so."""

_HINTS: dict[str, frozenset[Kind]] = {
    "object ids": frozenset({"instances"}),
    "class ids": frozenset({"semantic"}),
}
"""What our own files say of themselves."""


@dataclass(frozen=True)
class _Facts:
    """Facts of one side's masks, the kinds that names and contents say, and what is wrong with the first bad one."""

    facts: tuple[MaskFacts, ...]
    hints: frozenset[Kind]
    error: InputError | None = None


@dataclass(frozen=True)
class Sides:
    """What tells the kind of masks, from both sides.

    Attributes:
        references: Facts of references.
        predictions: Facts of predictions.
        hints: Kinds that names and contents say.
        agreement: Fraction of pixels annotated on both sides that have the same value; None if unknown.
    """

    references: tuple[MaskFacts, ...]
    predictions: tuple[MaskFacts, ...]
    hints: frozenset[Kind]
    agreement: float | None


def look_at(masks: Mapping[str, Path], predictions: Sequence[Path]) -> Sides:
    """What references and predictions tell of their kind, from masks spread over the set.

    Args:
        masks: Name → reference.
        predictions: Files that may be predictions; one is compared with all.

    Raises:
        InputError: No reference can be read.
    """
    references = _facts(list(masks.values()))
    if references.error is not None and not references.facts:
        raise InputError(f"none of {len(masks)} references can be used; {references.error}")
    if not predictions:
        return Sides(references.facts, (), references.hints, None)
    predicted = _facts(predictions)
    pairs = pair(masks.values(), predictions).pairs
    hints = predicted.hints | references.hints
    return Sides(references.facts, predicted.facts, hints, _agreement(list(pairs.values())))


def _facts(paths: Sequence[Path]) -> _Facts:
    """Facts of some of the masks that can be read, and the kinds that their names and contents say."""
    step = max(1, -(-len(paths) // _MASKS_TO_GUESS_FROM))
    facts: list[MaskFacts] = []
    hints: set[Kind] = set()
    first_error: InputError | None = None
    for path in paths[::step]:
        try:
            mask = read_mask(path)
        except InputError as error:
            # It gets a row of its own when it is to be counted.
            first_error = first_error or error
            continue
        facts += [mask_facts(plane, color=mask.color) for plane in planes_of(mask.values)]
        hints |= _HINTS.get(mask.content, frozenset())
    stems = [stem(path) for path in paths]
    for ending, kind in _NAMED.items():
        if stems and all(name.endswith(ending) for name in stems):
            hints.add(kind)
    return _Facts(tuple(facts), frozenset(hints), first_error)


def _agreement(pairs: Sequence[tuple[Path, Path]]) -> float | None:
    """Fraction of the pixels annotated in both that have the same value in both; None where there are none."""
    equal = both = 0
    for reference, prediction in pairs[:_MASKS_TO_GUESS_FROM]:
        try:
            first, second = read_labels(reference), read_labels(prediction)
        except InputError:
            continue
        if first.shape == second.shape:
            annotated = (first > 0) & (second > 0)
            both += int(annotated.sum())
            equal += int((annotated & (first == second)).sum())
    return equal / both if both else None


def kind_of(sides: Sides, protocol: str | None, name: str) -> Kind:
    """What the masks are: by their names and what our files say of themselves, else by all values together.

    Raises:
        InputError: They may be read both ways.
    """
    if not any(one.values for one in sides.references):
        return "instances" if len(sides.hints) == 1 and "instances" in sides.hints else "semantic"
    # Foreground in many pieces is no id, whatever the file is called.
    if len(sides.hints) == 1 and not is_scattered(sides.references):
        return next(iter(sides.hints))
    kind = decide_kind(sides.references, sides.predictions, agreement=sides.agreement)
    if kind is None and protocol == "pixel":
        return "semantic"
    if kind is None:
        raise InputError(
            f"{name}: {UNDECIDED}; choose protocol='stardist' for objects or protocol='pixel' for classes",
            argument="protocol",
        )
    return kind


def reading_of(sides: Sides, description: Description) -> Reading:
    """What predictions of another kind than the references are taken for; said as a warning."""
    annotated = [one for one in sides.predictions if one.values]
    if not annotated:
        return "as stored"
    if description.masks == "instances":
        if is_foreground(annotated) and is_scattered(annotated):
            _log.warning("the predictions hold foreground only: each connected piece is taken for an object")
            return "pieces"
    elif len(description.classes) == 2 and not is_foreground(annotated) and _are_ids(annotated):
        _log.warning(
            "the references hold %s and %s, the predictions object ids: every object is taken for %s",
            *description.classes,
            description.classes[1],
        )
        return "foreground"
    return "as stored"


def _are_ids(facts: Sequence[MaskFacts]) -> bool:
    several = any(len(one.values) > 1 for one in facts)
    many = len(frozenset[int]().union(*(one.values for one in facts))) > MOST_CLASSES
    return many or (several and not is_scattered(facts))


def planes_of(labels: np.ndarray) -> list[np.ndarray]:
    """(H, W) planes of an image (H, W) or a stack (P, H, W)."""
    return [labels] if labels.ndim == 2 else list(labels)
