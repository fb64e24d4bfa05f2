from __future__ import annotations

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from cellproof.checks import InputError
from cellproof.data.description import read_description
from cellproof.data.index import Record
from cellproof.recipe.study import PaperProfile, PaperSet, RepairConfig
from cellproof.recipe.toml import read_recipe
from cellproof.types import IGNORE
from cellproof.workflows.reproduce.membranes import (
    NOTHING_CLOSED,
    Choice,
    Predicted,
    Roles,
    choose,
    score_difficulty,
    score_repairs,
    together,
)
from cellproof.workflows.reproduce.sets import StudySet, class_number, divide_set, find_set
from cellproof.workflows.reproduce.tables import Scored, summarize, tables

PAPER = """
[paper]
reference = "Nobody (2020)"
protocol = "membranes"
[[paper.sets]]
name = "disks"
connected = "disk"
rest = "ground"
[[paper.sets]]
name = "absent"
[paper.profiles.full]
note = "tiny"
folds = 3
runs = 2
settings = ["training.steps=2"]
[paper.profiles.full.networks]
one = { architecture = "unet", options = { width = 4, depth = 2 } }
two = { architecture = "unet", options = { width = 4, depth = 2, norm = "batch_renorm" } }
"""


@pytest.fixture
def recipe(annotated, no_curves):
    annotated.recipe.write_text(annotated.recipe.read_text().replace("in_channels = 1", "in_channels = 3") + PAPER)
    return annotated.recipe


def test_a_reproduction_trains_every_network_once_and_its_tables_are_means_of_its_scores(
    annotated, recipe, cellproof, tmp_path
):
    command = ("reproduce", recipe, "--data", annotated.folder.parent, "--out", tmp_path / "out", "--device", "cpu")
    first = cellproof(*command)
    assert first.code == 0
    assert "absent" in first.out
    scored = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert [(one["network"], one["fold"]) for one in scored] == [
        (network, fold) for fold in (1, 2) for network in ("one", "two", "all together")
    ]
    assert all((one["learned"], one["scored"]) == (3, 2) for one in scored)
    with (tmp_path / "out" / "tables.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["size"] for row in rows} == {"tiny"}
    values = [one["repairs"]["reassign"]["recall disk"] for one in scored if one["network"] == "two"]
    row = next(r for r in rows if (r["network"], r["repair"], r["metric"]) == ("two", "reassign", "recall disk"))
    assert float(row["mean"]) == pytest.approx(np.mean(values))
    assert float(row["sd"]) == pytest.approx(np.std(values, ddof=1))
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    # Of each network: image, reference, three class maps, difficult pixels, four measures; a fifth of both together.
    assert page.count("<figure>") == 2 * 10 + 11
    assert all(0 <= one["difficulty"]["ensemble"] <= 1 for one in scored if one["network"] == "all together")
    models = sorted((tmp_path / "out" / "runs").rglob("model.safetensors"))
    assert len(models) == 4
    before = [path.stat().st_mtime_ns for path in models]
    # As after a kill in the middle of the last training: it goes on, and gives the same.
    state = models[-1].parent / "run.json"
    state.write_text(state.read_text().replace('"finished"', '"running"'))
    again = cellproof(*command, "--json")
    assert again.code == 0
    assert [path.stat().st_mtime_ns for path in models][:-1] == before[:-1]
    assert '"finished"' in state.read_text()
    assert {line["network"] for line in json.loads(again.out)["lines"]} == {"one", "two", "all together"}
    assert json.loads((tmp_path / "out" / "scores.json").read_text()) == scored


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("--profile", "huge"), "no profile 'huge'"),
        (("--only-set", "liver"), "no set 'liver'; there: disks, absent"),
        (("--only-network", "three"), "no network 'three'; there: one, two"),
        (("--quick", "--profile", "full"), "contradict each other"),
    ],
)
def test_what_a_recipe_does_not_offer_is_wrong_use(recipe, cellproof, tmp_path, words, wanted):
    outcome = cellproof("reproduce", recipe, "--data", tmp_path, "--out", tmp_path / "out", *words)
    assert outcome.code == 2
    assert wanted in outcome.err[-1]


def test_a_recipe_without_a_paper_is_refused(cellproof, tmp_path):
    outcome = cellproof("reproduce", "nuclei", "--data", tmp_path, "--out", tmp_path / "out")
    assert outcome.code == 2
    assert "has no section [paper]" in outcome.err[-1]


def test_the_shipped_recipe_names_the_papers_networks_in_every_size():
    recipe = read_recipe("matsuzuki2020")
    assert set(recipe.paper.profiles) == {"full", "laptop", "quick"}
    for profile in recipe.paper.profiles.values():
        assert list(profile.networks) == ["U-Net", "FCN-8s", "FC-DenseNet-103"]
    assert recipe.training.batch == 2


def test_a_class_that_a_set_lacks_is_named(annotated):
    with pytest.raises(InputError, match="no class 'membrane' in 'disks'; its classes are ground, disk"):
        class_number(read_description(annotated.folder), "membrane")


def test_a_set_that_is_not_there_is_simulated_and_called_so(tmp_path):
    said = []
    config = PaperSet(name="liver", simulate="liver")
    profile = PaperProfile(note="", networks={}, images=4)
    study = find_set(config, profile, data=tmp_path, out=tmp_path / "out", seed=3, say=said.append)
    assert study.title == "liver (simulated)"
    assert [record.name for record in study.records] == [f"liver-{k:04d}" for k in range(1, 5)]
    assert "4 simulated pictures (liver) stand in" in said[0]


def test_two_sets_that_are_simulated_alike_hold_different_pictures(tmp_path):
    profile = PaperProfile(note="", networks={}, images=4)
    pictures = []
    for name in ("a", "b"):
        config = PaperSet(name=name, simulate="liver")
        study = find_set(config, profile, data=tmp_path, out=tmp_path / "out", seed=3, say=lambda sentence: None)
        pictures.append(study.records[0].image.read_bytes())
    assert pictures[0] != pictures[1]


def study_of(groups):
    records = [Record(f"r{i}", "", None, None, group) for i, group in enumerate(groups)]
    return StudySet(PaperSet(name="x", validation=0.25), None, records, False)


def test_no_fold_learns_from_a_group_that_it_is_scored_on():
    study = study_of([letter for letter in "abcd" for _ in range(5)])
    for division in divide_set(study, PaperProfile(note="", networks={}, folds=4, runs=4), seed=0):
        parts = [{r.name for r in part} for part in (division.train, division.validation, division.test)]
        assert sum(map(len, parts)) == 20
        assert len(set.union(*parts)) == 20
        assert not {r.group for r in division.test} & {r.group for r in (*division.train, *division.validation)}


def test_two_groups_leave_one_to_learn_from_which_validation_then_shares():
    for division in divide_set(study_of("aaaabbbb"), PaperProfile(note="", networks={}, folds=5), seed=0):
        assert (len(division.train), len(division.validation), len(division.test)) == (3, 1, 4)


ROLES = Roles(connected=1, rest=0, compact=None, classes=("cell", "membrane"), tolerance_px=2.0)


def wall(*, gap_probability: float, reference_gap: bool = False) -> Predicted:
    """A wall between two cells with a gap of 8 px, where its probability is given."""
    probability = np.full((40, 60), 0.02, np.float32)
    probability[18:21] = 0.95
    probability[18:21, 26:34] = gap_probability
    reference = np.zeros((40, 60), np.uint8)
    reference[18:21] = 1
    if reference_gap:
        reference[18:21, 26:34] = 0
    probabilities = np.stack([1 - probability, probability])
    return Predicted("wall", probability[None], reference, probabilities, probabilities, np.zeros_like(probability))


def test_validation_chooses_a_threshold_that_closes_what_is_there():
    choice = choose([wall(gap_probability=0.4)], ROLES, RepairConfig())
    assert 0 < choice.threshold < 0.9
    assert choice.smallest_px == pytest.approx(0.15 * (18 * 60 + 19 * 60) / 2)
    scores = score_repairs([wall(gap_probability=0.4)], ROLES, RepairConfig(), choice=choice)
    assert tuple(scores[repair]["fraction of open walls closed"] for repair in ("none", "reconnect")) == (0, 1)
    assert scores["none"]["adapted Rand error"] > scores["reconnect"]["adapted Rand error"]
    assert abs(scores["reconnect"]["width change %"]) < 5
    assert scores["none"]["width change %"] == 0


def test_validation_closes_nothing_where_the_reference_has_gaps_too():
    choice = choose([wall(gap_probability=0.4, reference_gap=True)], ROLES, RepairConfig())
    assert choice.threshold == NOTHING_CLOSED


def test_difficulty_that_marks_the_wrong_pixels_ranks_them_first():
    picture = wall(gap_probability=0.4)
    scores = score_difficulty([picture])
    assert scores["confidence"] == scores["margin"] == 1
    assert scores["difficult (f < mean)"] > 0.9


def test_pixels_without_annotation_enter_no_score():
    whole = wall(gap_probability=0.4)
    reference = whole.reference.copy()
    reference[18:21, 24:36] = IGNORE
    hidden = replace(whole, reference=reference)
    scores = score_repairs([hidden], ROLES, RepairConfig(), choice=Choice(threshold=0.1, smallest_px=0))
    assert scores["none"]["recall membrane"] == scores["none"]["precision membrane"] == 1
    assert math.isnan(score_difficulty([hidden])["confidence"])


def test_networks_together_say_the_mean_and_disagree_where_they_differ():
    sure, open_ = wall(gap_probability=0.98), wall(gap_probability=0.02)
    both = together([sure, open_])
    np.testing.assert_allclose(both.probabilities[1, 19, 26:34], 0.5)
    np.testing.assert_allclose(both.views, both.probabilities)
    differ = np.zeros((40, 60), bool)
    differ[18:21, 26:34] = True
    assert both.ensemble[differ].min() > 0.8
    assert both.ensemble[~differ].max() < 1e-6
    assert "ensemble" in score_difficulty([both])


def test_lines_are_means_over_folds_of_what_is_defined():
    def one(fold, value):
        return Scored("s", "n", fold, 3, 2, 0.1, {"none": {"m": value, "k": 2.0}}, {"entropy": 0.5})

    lines = {line.metric: line for line in summarize([one(1, 0.2), one(2, 0.4), one(3, math.nan)])}
    assert (lines["m"].mean, lines["m"].folds) == (pytest.approx(0.3), 2)
    assert lines["m"].sd == pytest.approx(math.sqrt(0.02))
    assert lines["k"].text == "2.000 ± 0.000"
    assert summarize([one(1, math.nan)])[0].text == "–"
    assert tables([one(1, 0.2)], "note")[1].rows == (("n", "0.500"),)
