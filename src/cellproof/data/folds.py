"""Which images are learned from and which are kept to check: drawn from a seed, written down, read back."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from ..checks import InputError
from .index import Record


class Fold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One division of a data set.

    Attributes:
        train: Names of the records to learn from, sorted.
        val: Names of those to check with, sorted.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]


@dataclass(frozen=True)
class _Group:
    """Records that stay together: their names, and how many have each value of the attribute."""

    names: tuple[str, ...]
    strata: Counter[str]


def draw_folds(records: Sequence[Record], *, folds: int, seed: int, stratify_by: str | None = None) -> list[Fold]:
    """Divide records into folds, each validating once.

    A group never divides. Large groups are dealt first, each to the fold where it fits best, so that folds
    hold about as many records, and about as many of each value of the attribute.

    Args:
        records: Of distinct names; their order does not matter.
        folds: At least 2, at most the number of groups.
        seed: The same seed draws the same folds.
        stratify_by: Attribute to balance, e.g. ``"modality"``; None balances numbers only.

    Raises:
        InputError: Fewer groups than folds, a name twice, or a record without the attribute.
    """
    groups = _shuffled_groups(records, seed=seed, stratify_by=stratify_by)
    if not 2 <= folds <= len(groups):
        raise InputError(
            f"{folds} folds of {len(records)} images in {len(groups)} groups; expected 2 to {len(groups)} folds, "
            "because a group never divides"
        )
    parts = _deal(groups, [1 / folds] * folds)
    return [_fold(records, part) for part in parts]


def hold_out(records: Sequence[Record], *, share: float, seed: int, stratify_by: str | None = None) -> Fold:
    """Keep about ``share`` of the records for validation: at least one group, never all.

    Args:
        records: Of distinct names, in at least 2 groups; their order does not matter.
        share: In (0, 1).
        seed: The same seed draws the same records.
        stratify_by: Attribute of which both sides shall hold alike shares; None: numbers only.

    Raises:
        InputError: Fewer than two groups, a share out of range, a name twice, or a record without the attribute.
    """
    if not 0 < share < 1:
        raise InputError(f"share is {share:g}, expected a number between 0 and 1")
    groups = _shuffled_groups(records, seed=seed, stratify_by=stratify_by)
    if len(groups) < 2:
        raise InputError(
            f"{len(records)} images in {len(groups)} groups; expected at least 2 groups, to learn from and to "
            f"check with"
        )
    _, kept = _deal(groups, [1 - share, share])
    return _fold(records, kept)


def check_classes(folds: Sequence[Fold], present: Mapping[str, AbstractSet[int]], classes: Sequence[str]) -> None:
    """Refuse a cross-validation in which a class is missing from a part of a fold: it could not be learned or scored.

    Args:
        folds: The division.
        present: Name of each record → numbers of the classes that its mask shows.
        classes: Their names. A class that no mask shows at all is none of the division's faults.

    Raises:
        InputError: Naming fold, class and the records that show it.

    Example:
        >>> check_classes([Fold(("a",), ("b",)), Fold(("b",), ("a",))], {"a": {0, 1}, "b": {0, 1}}, ("cell", "wall"))
    """
    for number, fold in enumerate(folds, start=1):
        for part, names in (("learns from", fold.train), ("is checked with", fold.val)):
            for k, word in enumerate(classes):
                showing = sorted(name for name, seen in present.items() if k in seen)
                if showing and not set(showing) & set(names):
                    more = f" and {len(showing) - 3} others" if len(showing) > 3 else ""
                    raise InputError(
                        f"fold {number} {part} no image with class {word!r}, which is only in "
                        f"{', '.join(showing[:3])}{more}; give fewer folds, another seed, or more images that show it",
                        argument="folds",
                    )


def group_by_blocks(records: Sequence[Record], *, blocks: int) -> list[Record]:
    """Make groups of neighboring slices of one stack, so that hardly a slice is scored whose neighbor was learned from.

    Slices follow each other as their names do, numbers in them by value: ``z9`` before ``z10``. Slices on either side
    of a block's border are still neighbors: the fewer and thicker the blocks, the fewer such pairs.

    Args:
        records: The slices, none of them in a group with others; their order does not matter.
        blocks: Number of groups, at least 2, at most one for each slice.

    Returns:
        The records in the order of their names, in groups of equal size give or take one.

    Raises:
        InputError: Fewer slices than blocks, or records that have groups already.

    Example:
        >>> from pathlib import Path
        >>> slices = [Record(f"z{k}", "", Path(), Path(), f"z{k}", {}) for k in (1, 2, 9, 10)]
        >>> [record.group for record in group_by_blocks(slices, blocks=2)]
        ['block 1', 'block 1', 'block 2', 'block 2']
    """
    if not 2 <= blocks <= len(records):
        raise InputError(f"{blocks} blocks of {len(records)} slices; expected 2 to {len(records)} blocks")
    grouped = [record.name for record in records if record.group != record.name]
    if grouped:
        raise InputError(f"{grouped[0]} has a group already; expected slices of one stack: give groups or blocks")
    ordered = sorted(records, key=lambda record: _by_value(record.name))
    borders = np.linspace(0, len(ordered), blocks + 1).round().astype(int)
    number = np.searchsorted(borders, np.arange(len(ordered)), side="right")
    return [replace(record, group=f"block {block}") for record, block in zip(ordered, number.tolist(), strict=True)]


def join_groups(records: Sequence[Record], same: Sequence[Sequence[str]]) -> list[Record]:
    """Put records that show the same into one group, so that folds never learn from what they check with.

    Args:
        records: Of distinct names.
        same: Names that belong together, as of copies; names of no record are passed over.

    Returns:
        The records in their order. Groups with members that belong together have become one, under the name that
        comes first; all others are as they were.

    Example:
        >>> from pathlib import Path
        >>> records = [Record(name, "", Path(), Path(), name, {}) for name in ("a", "b", "c")]
        >>> [record.group for record in join_groups(records, [("a", "c")])]
        ['a', 'b', 'a']
    """
    group = {record.name: record.group for record in records}
    first = {record.group: record.group for record in records}

    def root(name: str) -> str:
        while first[name] != name:
            name = first[name]
        return name

    for names in same:
        roots = sorted({root(group[name]) for name in names if name in group})
        first |= dict.fromkeys(roots, roots[0]) if roots else {}
    return [replace(record, group=root(record.group)) for record in records]


def _by_value(name: str) -> list[tuple[int, str]]:
    """A key by which ``z9`` comes before ``z10``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def folds_to_json(folds: Sequence[Fold]) -> str:
    """Text that `folds_from_json` reads as the same folds."""
    return msgspec.json.format(msgspec.json.encode(folds), indent=1).decode() + "\n"


def folds_from_json(text: str) -> list[Fold]:
    """Folds from the text of a folds file.

    Raises:
        InputError: It is no such text, or a fold learns from what it checks with.
    """
    try:
        folds = msgspec.json.decode(text, type=list[Fold])
    except msgspec.DecodeError as error:
        raise InputError(
            f'the folds cannot be read: {error}; expected [{{"train": [names], "val": [names]}}, …]'
        ) from error
    for number, fold in enumerate(folds, start=1):
        both = sorted(set(fold.train) & set(fold.val))
        if both:
            raise InputError(
                f"fold {number} has {len(both)} names in train and val: {', '.join(both[:3])}; remove them from one"
            )
    return folds


def _shuffled_groups(records: Sequence[Record], *, seed: int, stratify_by: str | None) -> list[_Group]:
    """Groups, larger ones first, in drawn order among those of one size."""
    names = Counter(record.name for record in records)
    twice = sorted(name for name, count in names.items() if count > 1)
    if twice:
        raise InputError(f"{len(twice)} names are there twice: {', '.join(twice[:3])}; draw folds within one split")
    members: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda record: record.name):
        members.setdefault(record.group, []).append(record)
    groups = [
        _Group(tuple(record.name for record in some), Counter(_stratum(record, stratify_by) for record in some))
        for _, some in sorted(members.items())
    ]
    order = np.random.default_rng(seed).permutation(len(groups))
    return sorted((groups[position] for position in order), key=lambda group: -len(group.names))


def _stratum(record: Record, stratify_by: str | None) -> str:
    if stratify_by is None:
        return ""
    if stratify_by not in record.attributes:
        known = ", ".join(record.attributes) or "none"
        raise InputError(f"{record.name} has no attribute {stratify_by!r} to stratify by; its attributes: {known}")
    return record.attributes[stratify_by]


def _deal(groups: Sequence[_Group], shares: Sequence[float]) -> list[list[_Group]]:
    """Give each group to the part where it fits best; every part gets one."""
    totals: Counter[str] = sum((group.strata for group in groups), Counter())
    parts: list[list[_Group]] = [[] for _ in shares]
    held = [Counter[str]() for _ in shares]
    for position, group in enumerate(groups):
        empty = [number for number, part in enumerate(parts) if not part]
        # The last groups go to parts that would otherwise stay empty.
        open_parts = empty if len(empty) == len(groups) - position else range(len(parts))
        best = min(open_parts, key=lambda number: _cost(group, held[number], totals, share=shares[number]))
        parts[best].append(group)
        held[best] += group.strata
    return parts


def _cost(group: _Group, held: Counter[str], totals: Counter[str], *, share: float) -> float:
    """Growth of Σ (held - wanted)² / wanted, over strata and for all together, when a part takes the group."""
    cost = 0.0
    for value, count in group.strata.items():
        cost += count * ((2 * held[value] + count) / (share * totals[value]) - 2)
    count = group.strata.total()
    return cost + count * ((2 * held.total() + count) / (share * totals.total()) - 2)


def _fold(records: Sequence[Record], kept: Sequence[_Group]) -> Fold:
    val = {name for group in kept for name in group.names}
    return Fold(train=tuple(sorted({record.name for record in records} - val)), val=tuple(sorted(val)))
