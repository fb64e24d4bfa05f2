"""What a conditioned network is told of images that are scored."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from cellproof import detectors
from cellproof.checks import UsageError
from cellproof.data.index import Record
from cellproof.recipe import read_recipe
from cellproof.workflows.reproduce.cells import cell_fingerprint
from cellproof.workflows.reproduce.entries import plan_entries
from cellproof.workflows.reproduce.fold import ReproduceRequest
from cellproof.workflows.reproduce.predictions import Trained
from cellproof.workflows.reproduce.run import _buildable, open_study
from cellproof.workflows.train import Watcher


def told(value, told, known=("astro", "cort", "shsy5y")):
    trained = Trained(Path("model"), Path("cache"), "condition", told)
    trained.__dict__["header"] = SimpleNamespace(conditions=known)
    return trained.condition_of(Record("a", "", Path(), Path(), "a", {"condition": value}))


@pytest.mark.parametrize(
    ("value", "how", "expected"),
    [
        ("cort", "given", "cort"),
        ("cort", "withheld", ""),
        ("cort", "wrong", "shsy5y"),
        ("shsy5y", "wrong", "astro"),
        ("unseen in training", "given", ""),
        ("unseen in training", "wrong", ""),
    ],
)
def test_a_network_is_told_the_condition_nothing_or_another_one(value, how, expected):
    assert told(value, how) == expected


def test_a_network_without_conditions_is_told_nothing():
    assert told("cort", "given", known=()) == ""


def test_scores_depend_on_what_was_told():
    prints = {
        how: cell_fingerprint(["t"], test=[], protocols={}, steps=[], note="", told=how) for how in ("given", "wrong")
    }
    assert prints["given"] != prints["wrong"]
    assert prints["given"] == cell_fingerprint(["t"], test=[], protocols={}, steps=[], note="")


def test_the_studys_entries_train_ten_networks_and_ask_some_of_them_again():
    recipe = read_recipe("corona2022")
    plan = plan_entries(recipe, recipe.study, recipe.study.profiles["laptop"])
    assert len(plan.recipes) == 10
    assert plan.entries["Hot, class wrong"].trainings == ("Hot",)
    assert plan.recipes["U-Net"].data.condition == ""
    assert plan.recipes["FiLM, dropped"].model.options["conditioning"] == "film"
    (term,) = plan.recipes["Hot weighted"].loss.terms
    assert (term.name, term.options) == ("binary_cross_entropy", {"positive_weight": 3.0})


def test_a_detector_is_left_out_with_a_word_where_its_package_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(detectors, "find_spec", lambda package: None)
    said = []
    request = ReproduceRequest(recipe="corona2022", data=tmp_path, out=tmp_path / "out", profile="smoke")
    study = open_study(request, Watcher(say=said.append))
    assert list(_buildable(study, study.plan.entries)) == ["U-Net", "Hot", "Hot, tuned"]
    assert said == ["Mask R-CNN: torchvision is not installed (pip install 'cellproof[detect]'); left out"]


def test_an_ensemble_cannot_be_told_otherwise(tmp_path):
    text = """
        name = "x"
        [study]
        reference = "r"
        protocols = ["pixel"]
        sets = [{ name = "s" }]
        entries = [{ name = "a" }, { name = "b", ensemble_of = ["a"], told = "wrong" }]
        profiles.full.note = "n"
    """
    path = tmp_path / "x.toml"
    path.write_text(text)
    recipe = read_recipe(str(path))
    with pytest.raises(UsageError, match="entry 'b' has ensemble_of and told"):
        plan_entries(recipe, recipe.study, recipe.study.profiles["full"])
