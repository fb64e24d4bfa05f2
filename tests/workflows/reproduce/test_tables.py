from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import wilcoxon

from cellproof.metrics.rows import Scope
from cellproof.recipe import Published
from cellproof.workflows.evaluate import Column
from cellproof.workflows.reproduce.cells import Cell, VariantScore, read_cell, write_cell
from cellproof.workflows.reproduce.tables import columns, screen, summarize, tables

COLUMNS = {("s", "p"): (Column("m", on_screen=True), Column("k", None, high_is_good=False))}


def cell(
    entry: str, fold: int, values: dict[str, float], images: dict[str, dict[str, float]] | None = None, **more: float
) -> Cell:
    """Variant → value of the metric m; and of its images."""
    scores = []
    for variant, value in values.items():
        scope = Scope(3, None, "", 0)
        rows = [scope.row("m", value, level="pixel", empty_case="")]
        rows += [scope.row("k", other, level="pixel", of=of, empty_case="") for of, other in more.items()]
        own = {name: [number] for name, number in (images or {}).get(variant, {}).items()}
        scores.append(VariantScore("p", variant, "", rows, [("m", "")], own))
    return Cell(1, "f", "s", f"fold{fold}", entry, "tiny", 3, 1, 2, scores)


def test_lines_are_means_over_folds_of_what_is_defined():
    cells = [cell("n", 1, {"": 0.2}, c=2.0), cell("n", 2, {"": 0.4}, c=2.0), cell("n", 3, {"": math.nan}, c=2.0)]
    lines = {line.row.metric: line for line in summarize(cells)}
    assert (lines["m"].mean, lines["m"].folds) == (pytest.approx(0.3), 2)
    assert lines["m"].sd == pytest.approx(math.sqrt(0.02))
    assert lines["k"].text == "2.000 ± 0.000"
    assert summarize([cells[2]])[0].text == "–"


def test_one_variant_gives_a_row_per_entry_and_several_a_column_each():
    one = [cell("a", 1, {"": 0.5}, c=1.0), cell("b", 1, {"": 0.25}, c=2.0)]
    table = tables(one, summarize(one), COLUMNS)[0]
    assert table.columns == ("entry", "m", "k c")
    assert table.rows == (("a", "0.500", "1.000"), ("b", "0.250", "2.000"))
    several = [cell("a", 1, {"none": 0.5, "fixed": 0.75})]
    table = tables(several, summarize(several), COLUMNS)[0]
    assert (table.columns, table.rows) == (("entry", "metric", "none", "fixed"), (("a", "m", "0.500", "0.750"),))
    assert "learned from 3 images per fold" in table.note


def images_of(rng: np.random.Generator, shift: float) -> dict[str, float]:
    return {f"i{k}": value for k, value in enumerate(rng.random(6) + shift)}


def test_an_entry_is_compared_with_the_baseline_and_a_repair_with_none_image_by_image():
    rng = np.random.default_rng(0)
    base, ours, fixed = (images_of(rng, shift) for shift in (0, 1, 2))
    cells = [
        cell("base", 1, {"none": 0.1}, {"none": base}),
        cell("ours", 1, {"none": 0.2, "fixed": 0.3}, {"none": ours, "fixed": fixed}),
    ]
    lines = {(line.entry, line.variant): line for line in summarize(cells, baseline="base")}
    assert lines["base", "none"].paired is None
    assert (lines["ours", "none"].baseline, lines["ours", "fixed"].baseline) == ("base", "none")
    for key, (one, other) in {("ours", "none"): (ours, base), ("ours", "fixed"): (fixed, ours)}.items():
        paired, differences = lines[key].paired, np.array([one[name] - other[name] for name in one])
        assert paired.difference == pytest.approx(differences.mean())
        assert paired.p_value == pytest.approx(wilcoxon(differences).pvalue)
        assert paired.interval[0] < paired.difference < paired.interval[1]
    table = columns(list(lines.values()))
    assert table["paired_images"] == [None, 6, 6]
    assert table["wilcoxon_p"][1] == lines["ours", "none"].paired.p_value
    compared = tables(cells, list(lines.values()), COLUMNS)[-1]
    assert [row[:4] for row in compared.rows] == [("ours, none", "m", "base", "6"), ("ours, fixed", "m", "none", "6")]


def test_images_of_all_folds_are_compared_together_and_few_get_no_interval():
    def folds(entry, shift):
        return [cell(entry, k, {"": 0.1}, {"": {f"f{k}": 0.1 * k + shift, f"g{k}": 0.2 * k + shift}}) for k in (1, 2)]

    line = summarize([*folds("a", 0), *folds("b", 0.5)], baseline="a")[-1]
    assert (line.paired.n_images, line.paired.interval, line.paired.p_value) == (4, None, None)
    assert line.paired.difference == pytest.approx(0.5)


def test_the_papers_number_stands_beside_ours_and_not_beside_others():
    published = (Published("s", "a", "m", 0.41), Published("other", "a", "m", 9.0), Published("s", "a", "k", 7, of="d"))
    cells = [cell("a", 1, {"none": 0.5, "fixed": 0.6}, c=1.0), cell("b", 1, {"none": 0.5}, c=1.0)]
    lines = summarize(cells, published=published)
    assert [line.text for line in lines if line.row.metric == "m"] == ["0.500 (paper 0.41)", "0.600", "0.500"]
    assert {line.published for line in lines if line.row.metric == "k"} == {None}
    assert columns(lines)["published"][0] == 0.41


def test_the_screen_shows_what_columns_say():
    cells = [cell("a", 1, {"none": 0.5, "fixed": 0.6}, c=1.0)]
    assert screen(summarize(cells), COLUMNS).splitlines() == [
        "s: p         m", "a     none   0.500", "a     fixed  0.600"
    ]  # fmt: skip


def test_a_score_file_is_read_as_it_was_written_and_only_with_its_fingerprint(tmp_path):
    path = tmp_path / "score.json"
    written = cell("a", 1, {"none": math.nan}, {"none": {"i": math.nan}}, c=1.0)
    write_cell(path, written)
    assert repr(read_cell(path, "f")) == repr(written)
    assert read_cell(path, "g") is None
    path.write_text(path.read_text()[:40])
    assert read_cell(path, "f") is None


def grouped(entry: str, values: dict[str, float], images: dict[str, tuple[str, float]]) -> Cell:
    """Rows of test splits that are never pooled; images are named with their split and number."""
    rows = [Scope(3, None, group, 0).row("m", v, level="pixel", empty_case="") for group, v in values.items()]
    own = {name: [number] for name, (_, number) in images.items()}
    groups = {name: group for name, (group, _) in images.items()}
    return Cell(
        1, "f", "s", "official", entry, "tiny", 3, 1, 2, [VariantScore("p", "", "", rows, [("m", "")], own, groups)]
    )


def test_splits_that_are_not_pooled_have_their_own_blocks_comparisons_and_published_numbers():
    first = {f"{split}{k}": (split, k / 10) for split in ("A", "B") for k in range(6)}
    second = {name: (split, number + (1 if split == "A" else 2)) for name, (split, number) in first.items()}
    cells = [grouped("base", {"A": 0.5, "B": 0.25}, first), grouped("ours", {"A": 0.75, "B": 0.3}, second)]
    published = [Published("s", "ours", "m", 0.9, group="B")]
    lines = summarize(cells, published=published, baseline="base")
    by_place = {(line.entry, line.row.group): line for line in lines}
    assert {key: line.published for key, line in by_place.items() if line.published} == {("ours", "B"): 0.9}
    assert by_place["ours", "A"].paired.difference == pytest.approx(1)
    assert by_place["ours", "B"].paired.difference == pytest.approx(2)
    assert by_place["ours", "B"].paired.n_images == 6
    blocks = screen(lines, COLUMNS).split("\n\n")
    assert [block.split("  ")[0] for block in blocks] == ["s: p, A", "s: p, B"]
    titles = [table.title for table in tables(cells, lines, COLUMNS)]
    assert titles == ["s: p, A", "s: p, B", "s: p, A, compared image by image", "s: p, B, compared image by image"]
