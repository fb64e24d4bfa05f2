"""Scores of cells become lines of tables: means over folds, the paper's numbers, and paired comparisons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np

from ...metrics.paired import Paired, compare
from ...metrics.rows import Row
from ...recipe import Published
from ...report.study_page import StudyTable
from ..evaluate import Column, shown
from .cells import Cell, VariantScore


@dataclass(frozen=True)
class Line:
    """One metric over folds: mean, and sample standard deviation where there are several values.

    Attributes:
        set: Name of the set, with a word where it is simulated.
        entry: Name of the entry.
        protocol: Name of the protocol.
        variant: Name of the variant; empty where there is one only.
        note: How large the study is.
        row: Row of the first fold; its value and interval are those of that fold.
        mean: Over the folds where it is defined; None where it is in none.
        sd: Of the same; None for one value.
        folds: Number of values.
        published: The paper's number; None where it has none.
        baseline: What the comparison is with; empty without.
        paired: Comparison with it image by image; None without.
    """

    set: str
    entry: str
    protocol: str
    variant: str
    note: str
    row: Row
    mean: float | None
    sd: float | None
    folds: int
    published: float | None = None
    baseline: str = ""
    paired: Paired | None = None

    @property
    def text(self) -> str:
        """Mean ± standard deviation, a dash where it is undefined; the paper's number behind it."""
        ours = "–"
        if self.mean is not None:
            digits = _digits(self.mean)
            ours = f"{self.mean:.{digits}f}" + ("" if self.sd is None else f" ± {self.sd:.{digits}f}")
        return ours if self.published is None else f"{ours} (paper {self.published:g})"


Columns = Mapping[tuple[str, str], Sequence[Column]]
"""Columns of each set and protocol: (name of the set in the tables, protocol) → columns, options filled in."""

Named = tuple[str, str]
"""Metric, and class or threshold."""


def summarize(cells: Sequence[Cell], *, published: Sequence[Published] = (), baseline: str = "") -> list[Line]:
    """Mean and standard deviation over folds of every row, in the order in which they were scored.

    The first variant of an entry is compared with the first variant of the baseline, and every further variant with
    the first of its own entry, image by image over all folds.

    Args:
        cells: Scores; those of one set and entry are its folds.
        published: The paper's numbers.
        baseline: Name of an entry; empty for none.
    """
    by_key: dict[tuple[str, str, str, str], list[VariantScore]] = {}
    notes: dict[str, str] = {}
    for cell in cells:
        notes[cell.set] = cell.note
        for score in cell.scores:
            by_key.setdefault((cell.set, cell.entry, score.protocol, score.variant), []).append(score)
    first = {key[:3]: key for key in reversed(by_key)}
    images = {key: _by_image(scores) for key, scores in by_key.items()}
    lines = []
    for key, scores in by_key.items():
        own_first = first[key[:3]]
        against = own_first if key != own_first else first.get((key[0], baseline, key[2]))
        against = None if against == key else against
        word = "" if against is None else (own_first[3] if against == own_first else baseline)
        for rows in _aligned(scores):
            row = rows[0]
            paired = None
            groups = {name: group for score in scores for name, group in score.groups.items()}
            if against is not None and row.averaging == "pooled" and bool(row.group) == bool(groups):
                own = {name: one for name, one in images[key].items() if groups.get(name, "") == row.group}
                paired = _compared(own, images[against], (row.metric, row.class_or_threshold))
            number = _published(published, key, own_first, row)
            lines.append(_line(key, rows, notes[key[0]], number, word if paired else "", paired))
    return lines


def columns(lines: Sequence[Line]) -> dict[str, list[object]]:
    """The lines as columns of a CSV file; every row says how large the study was, and with what it is compared."""

    def pair(line: Line, part: str) -> object:
        return None if line.paired is None else getattr(line.paired, part)

    def bound(line: Line, place: int) -> object:
        return None if line.paired is None or line.paired.interval is None else line.paired.interval[place]

    return {
        "set": [line.set for line in lines],
        "entry": [line.entry for line in lines],
        "size": [line.note for line in lines],
        "protocol": [line.protocol for line in lines],
        "variant": [line.variant for line in lines],
        "metric": [line.row.metric for line in lines],
        "class_or_threshold": [line.row.class_or_threshold for line in lines],
        "averaging": [line.row.averaging for line in lines],
        "background": [line.row.background for line in lines],
        "group": [line.row.group for line in lines],
        "mean": [line.mean for line in lines],
        "sd": [line.sd for line in lines],
        "folds": [line.folds for line in lines],
        "published": [line.published for line in lines],
        "baseline": [line.baseline for line in lines],
        "paired_images": [pair(line, "n_images") for line in lines],
        "difference": [pair(line, "difference") for line in lines],
        "difference_low": [bound(line, 0) for line in lines],
        "difference_high": [bound(line, 1) for line in lines],
        "wilcoxon_p": [pair(line, "p_value") for line in lines],
    }


def screen(lines: Sequence[Line], columns: Columns) -> str:
    """The most telling numbers of every entry and variant: a block per set and protocol."""
    blocks = []
    for set_, protocol, group in dict.fromkeys((line.set, line.protocol, line.row.group) for line in lines):
        everything = [line for line in lines if (line.set, line.protocol) == (set_, protocol)]
        own = [line for line in everything if line.row.group == group]
        if group and any(not line.row.group for line in everything):
            continue
        telling = [column for column in columns[set_, protocol] if column.on_screen]
        headings = shown_headings(own, telling)
        if not headings:
            continue
        rows = [(f"{set_}: {protocol}" + (f", {group}" if group else ""), "", *headings)]
        for entry, variant in dict.fromkeys((line.entry, line.variant) for line in own):
            rows.append((entry, variant, *_cells(own, entry, variant, headings)))
        blocks.append(_aligned_text(rows))
    return "\n\n".join(blocks)


def tables(cells: Sequence[Cell], lines: Sequence[Line], columns: Columns) -> list[StudyTable]:
    """For each set and protocol: what each entry scores, and how it compares with the baseline."""
    made = []
    for set_, protocol in dict.fromkeys((line.set, line.protocol) for line in lines):
        own = [line for line in lines if (line.set, line.protocol) == (set_, protocol)]
        size = _size([cell for cell in cells if cell.set == set_])
        headings = shown_headings(own, columns[set_, protocol])
        for group in dict.fromkeys(line.row.group for line in own):
            title = f"{set_}: {protocol}" + (f", {group}" if group else "")
            made.append(_score_table(title, size, [one for one in own if one.row.group == group], headings))
        for group in dict.fromkeys(line.row.group for line in own):
            title = f"{set_}: {protocol}" + (f", {group}" if group else "") + ", compared image by image"
            compared = _comparison_table(title, [one for one in own if one.row.group == group], headings)
            made += [compared] if compared.rows else []
    return made


def _score_table(title: str, size: str, own: Sequence[Line], headings: Mapping[str, Named]) -> StudyTable:
    """Metrics downward and variants across where there are several; else entries downward and metrics across."""
    entries = list(dict.fromkeys(line.entry for line in own))
    variants = tuple(dict.fromkeys(line.variant for line in own))
    if len(variants) == 1:
        rows = tuple((entry, *_cells(own, entry, variants[0], headings)) for entry in entries)
        return StudyTable(title, size, ("entry", *headings), 1, rows)
    across = [[_cells(own, entry, variant, headings) for variant in variants] for entry in entries]
    long = tuple(
        (entry, heading, *(cells[place] for cells in own_cells))
        for entry, own_cells in zip(entries, across, strict=True)
        for place, heading in enumerate(headings)
    )
    return StudyTable(title, size, ("entry", "metric", *variants), 2, long)


def _comparison_table(title: str, own: Sequence[Line], headings: Mapping[str, Named]) -> StudyTable:
    titles = {named: heading for heading, named in headings.items()}
    rows = []
    for line in own:
        heading = titles.get((line.row.metric, line.row.class_or_threshold))
        if line.paired is None or heading is None or not line.paired.n_images:
            continue
        name = f"{line.entry}, {line.variant}" if line.variant else line.entry
        rows.append((name, heading, line.baseline, str(line.paired.n_images), *_paired_cells(line.paired)))
    note = (
        "mean difference over images, 95 % bootstrap interval, Wilcoxon signed-rank test (two-sided); neither for "
        "fewer than 5 images"
    )
    heads = ("entry", "metric", "against", "images", "difference", "95 % interval", "p")
    return StudyTable(title, note, heads, 3, tuple(rows))


def _paired_cells(paired: Paired) -> tuple[str, str, str]:
    digits = _digits(paired.difference)
    interval, p_value = "–", "–"
    if paired.interval is not None:
        low, high = paired.interval
        interval = f"{low:+.{digits}f} to {high:+.{digits}f}"
    if paired.p_value is not None:
        p_value = "< 0.001" if paired.p_value < 0.001 else f"{paired.p_value:.3f}"
    return f"{paired.difference:+.{digits}f}", interval, p_value


def shown_headings(own: Sequence[Line], columns: Sequence[Column]) -> dict[str, Named]:
    """Heading → metric and class or threshold, of what columns show of the lines, the most telling first."""
    found = shown([line.row for line in own], columns)
    named = {heading: (row.metric, row.class_or_threshold) for heading, (row, _) in found.items()}
    return {heading: key for heading, key in named.items() if heading == _first_with(named, key)}


def _first_with(named: Mapping[str, Named], key: Named) -> str:
    return next(heading for heading, other in named.items() if other == key)


def _cells(own: Sequence[Line], entry: str, variant: str, headings: Mapping[str, Named]) -> list[str]:
    texts: dict[Named, str] = {}
    for line in own:
        if (line.entry, line.variant, line.row.averaging) == (entry, variant, "pooled"):
            texts.setdefault((line.row.metric, line.row.class_or_threshold), line.text)
    return [texts.get(named, "–") for named in headings.values()]


def _size(cells: Sequence[Cell]) -> str:
    folds = len({cell.fold for cell in cells})
    over = f"mean ± standard deviation over {folds} folds, the value of one fold where no deviation stands"
    images = sorted({cell.learned for cell in cells})
    learned = str(images[0]) if len(images) == 1 else f"{images[0]} to {images[-1]}"
    note = " / ".join(dict.fromkeys(cell.note for cell in cells))
    return f"{note}; learned from {learned} images per fold; {over if folds > 1 else 'one fold'}"


def _aligned(scores: Sequence[VariantScore]) -> list[list[Row]]:
    """The same row of every fold that has it, in the order of the first fold that does."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for score in scores:
        for row in score.rows:
            key = (row.metric, row.class_or_threshold, row.averaging, row.background, row.group)
            found.setdefault(key, []).append(row)
    return list(found.values())


def _line(
    key: tuple[str, str, str, str],
    rows: Sequence[Row],
    note: str,
    published: float | None,
    baseline: str,
    paired: Paired | None,
) -> Line:
    defined = [float(row.value) for row in rows if not math.isnan(row.value)]
    set_, entry, protocol, variant = key
    return Line(
        set=set_,
        entry=entry,
        protocol=protocol,
        variant=variant,
        note=note,
        row=rows[0],
        mean=fmean(defined) if defined else None,
        sd=stdev(defined) if len(defined) > 1 else None,
        folds=len(defined),
        published=published,
        baseline=baseline,
        paired=paired,
    )


def _published(
    published: Sequence[Published], key: tuple[str, str, str, str], first: tuple[str, str, str, str], row: Row
) -> float | None:
    """The paper's number for a pooled row over all test images, or those of a split; simulated images have none."""
    if row.averaging != "pooled":
        return None
    for one in published:
        same_place = (one.set, one.entry, one.variant or first[3]) == (key[0], key[1], key[3])
        if same_place and (one.metric, one.of, one.group) == (row.metric, row.class_or_threshold, row.group):
            return one.value
    return None


def _by_image(scores: Sequence[VariantScore]) -> dict[str, dict[Named, float]]:
    """Name of each test image → its numbers, over all folds."""
    return {
        name: {(metric, of): value for (metric, of), value in zip(score.columns, values, strict=True)}
        for score in scores
        for name, values in score.images.items()
    }


def _compared(
    ours: Mapping[str, Mapping[Named, float]], others: Mapping[str, Mapping[Named, float]], named: Named
) -> Paired | None:
    """Comparison of one number over the images that both have; None where it is not known image by image."""
    both = [name for name in ours if name in others and named in ours[name] and named in others[name]]
    if not both:
        return None
    return compare(np.array([ours[one][named] for one in both]), np.array([others[one][named] for one in both]))


def _digits(value: float) -> int:
    return 3 if abs(value) < 10 else 1


def _aligned_text(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
