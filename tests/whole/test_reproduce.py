"""Studies from recipe to tables: what is done once, what is done anew, and what adds up."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile

from cellproof import refine
from cellproof.checks import InputError
from cellproof.recipe.toml import parse_recipe, read_recipe
from cellproof.workflows.evaluate import protocols
from cellproof.workflows.reproduce import run as run_module

STUDY = """
[study]
reference = "Nobody (2020)"
protocols = ["membranes", "difficulty"]
division = { folds = 3, validation = 0.25 }
baseline = "one"
published = [{ set = "disks", entry = "one", metric = "recall", of = "disk", value = 0.41 }]
[study.options.membranes]
connected = "disk"
[[study.sets]]
name = "disks"
options = { rest = "ground", tolerance_px = 2.0 }
[[study.sets]]
name = "absent"
[[study.entries]]
name = "one"
[[study.entries]]
name = "two"
set = ["model.options.norm=batch_renorm"]
[[study.entries]]
name = "both"
ensemble_of = ["one", "two"]
[[study.entries]]
name = "one again"
same_as = "one"
[study.profiles.full]
note = "tiny"
only_folds = { disks = 2 }
set = ["training.steps=2"]
[study.profiles.quick]
note = "tinier"
only_folds = 1
set = ["training.steps=1", "training.validate_every=1"]
entries = { one = [] }
[study.profiles.few]
note = "four images"
only_folds = 1
images = 4
set = ["training.steps=1", "training.validate_every=1"]
entries = { one = [] }
"""


@dataclass(frozen=True)
class Study:
    """A study of disks that takes seconds."""

    recipe: Path
    data: Path
    out: Path

    def command(self, *further: object) -> tuple[object, ...]:
        return ("reproduce", self.recipe, "--data", self.data, "--out", self.out, "--device", "cpu", *further)

    def rows(self) -> list[dict[str, str]]:
        with (self.out / "tables.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def models(self) -> dict[str, int]:
        """Every trained model, and when it was written."""
        files = sorted(self.out.rglob("model.safetensors"))
        return {path.relative_to(self.out).as_posix(): path.stat().st_mtime_ns for path in files}

    def score(self, entry: str, fold: int = 1) -> dict[str, object]:
        return json.loads((self.out / "runs" / "disks" / f"fold{fold}" / entry / "score.json").read_text())


@pytest.fixture
def study(annotated, no_curves, tmp_path) -> Study:
    text = annotated.recipe.read_text().replace("in_channels = 1", "in_channels = 3")
    annotated.recipe.write_text(text + STUDY)
    return Study(annotated.recipe, annotated.folder.parent, tmp_path / "out")


def value(score: dict[str, object], metric: str, of: str, *, variant: str) -> float:
    rows = next(one["rows"] for one in score["scores"] if one["variant"] == variant and one["protocol"] == "membranes")
    return next(
        r["value"] for r in rows if (r["metric"], r["class_or_threshold"], r["averaging"]) == (metric, of, "pooled")
    )


def test_a_study_trains_every_network_once_and_its_tables_are_means_of_its_scores(study, cellproof):
    first = cellproof(*study.command())
    assert first.code == 0, first.err
    assert "absent" in first.out
    assert "disks: 2 of 3 folds are carried out" in first.out
    models = study.models()
    assert [name.split("/")[2:4] for name in models] == [
        ["fold1", "one"],
        ["fold1", "two"],
        ["fold2", "one"],
        ["fold2", "two"],
    ]
    values = [value(study.score("two", fold), "recall", "disk", variant="reassign") for fold in (1, 2)]
    wanted = {
        "entry": "two",
        "variant": "reassign",
        "metric": "recall",
        "class_or_threshold": "disk",
        "averaging": "pooled",
    }
    row = next(row for row in study.rows() if wanted.items() <= row.items())
    assert float(row["mean"]) == pytest.approx(np.mean(values))
    assert float(row["sd"]) == pytest.approx(np.std(values, ddof=1))
    assert {row["size"] for row in study.rows()} == {"tiny"}
    # Trained once, so the same numbers; averaged, so others, and networks disagree.
    assert study.score("one again")["scores"] == study.score("one")["scores"]
    assert study.score("both")["scores"] != study.score("one")["scores"]
    measures = {
        row["class_or_threshold"] for row in study.rows() if row["entry"] == "both" and row["metric"] == "AUROC"
    }
    assert "ensemble" in measures
    page = (study.out / "report.html").read_text(encoding="utf-8")
    assert "(paper 0.41)" in page
    assert "compared image by image" in page
    assert re.search(r"disks: membranes: \S.* less that of one, image by image", page)
    assert not (study.out / "runs" / "disks" / "fold1" / "predictions").exists()
    tables = (study.out / "tables.csv").read_text()
    again = cellproof(*study.command("--json"))
    assert (again.code, study.models(), json.loads(again.out)["missing"]) == (0, models, 4)
    assert (study.out / "tables.csv").read_text() == tables


def test_a_killed_study_resumes_where_it_was(study, cellproof):
    cellproof(*study.command("--only-entry", "one", "--folds", 2))
    tables, models = (study.out / "tables.csv").read_text(), study.models()
    # As after a kill in the middle of the second training, before its fold was scored.
    state = next((study.out / "runs" / "disks" / "fold2" / "one").rglob("run.json"))
    state.write_text(state.read_text().replace('"finished"', '"running"'))
    (study.out / "runs" / "disks" / "fold2" / "one" / "score.json").unlink()
    (study.out / "tables.csv").unlink()
    assert cellproof(*study.command("--only-entry", "one", "--folds", 2)).code == 0
    assert '"finished"' in state.read_text()
    first = next(iter(models))
    assert study.models()[first] == models[first]
    assert (study.out / "tables.csv").read_text() == tables


def test_a_model_of_one_profile_is_never_scored_as_one_of_another(study, cellproof):
    cellproof(*study.command("--quick"))
    quick, tables = study.models(), (study.out / "tables.csv").read_text()
    assert {row["size"] for row in study.rows()} == {"tinier"}
    assert cellproof(*study.command("--profile", "full", "--only-entry", "one", "--folds", 1)).code == 0
    assert {row["size"] for row in study.rows()} == {"tiny"}
    assert len(study.models()) == 2
    assert quick.items() <= study.models().items()
    assert study.score("one")["learned"] == 3
    # Back again: the model is still there, and so are its numbers.
    both = study.models()
    assert cellproof(*study.command("--quick")).code == 0
    assert study.models() == both
    assert (study.out / "tables.csv").read_text() == tables


@pytest.mark.parametrize(
    "change", [("--seed", 1), ("--profile", "few")], ids=["another seed", "another number of images"]
)
def test_no_network_is_scored_on_what_it_learned_from(study, cellproof, change):
    cellproof(*study.command("--profile", "quick"))
    before = study.score("one")
    assert cellproof(*study.command(*(("--profile", "quick") if "--seed" in change else ()), *change)).code == 0
    after = study.score("one")
    assert before["fingerprint"] != after["fingerprint"]
    assert len(study.models()) == 2
    data = study.out / "runs" / "disks" / "fold1" / "data"
    learned = {path.stem for split in ("train", "val") for path in (data / split / "images").iterdir()}
    scored = {name for one in after["scores"] for name in one["images"]}
    assert not learned & scored


def test_an_image_that_changes_is_learned_from_anew(study, cellproof):
    cellproof(*study.command("--quick"))
    image = next(path for path in (study.out / "runs" / "disks" / "fold1" / "data" / "train" / "images").iterdir())
    source = next((study.data / "data").rglob(image.name), None) or next(study.data.rglob(f"disks/images/{image.name}"))
    pixels = tifffile.imread(source)
    # A new file, as editors write one: the study's own link keeps the old pixels.
    source.unlink()
    tifffile.imwrite(source, 255 - pixels)
    before = study.score("one")["fingerprint"]
    assert cellproof(*study.command("--quick")).code == 0
    assert study.score("one")["fingerprint"] != before
    assert len(study.models()) == 2


def test_commands_for_single_entries_and_folds_add_up(study, cellproof):
    assert cellproof(*study.command("--only-entry", "one")).code == 0
    second = cellproof(*study.command("--only-entry", "two"))
    assert second.code == 0
    cells = {(row["entry"], row["folds"]) for row in study.rows() if row["metric"] == "accuracy"}
    assert cells == {("one", "2"), ("two", "2")}
    page = (study.out / "report.html").read_text(encoding="utf-8")
    assert "disks, one: " in page
    assert "disks, two: " in page
    cellproof(*study.command("--only-entry", "one", "--folds", 3))
    cells = {(row["entry"], row["folds"]) for row in study.rows() if row["metric"] == "accuracy"}
    assert cells == {("one", "3"), ("two", "2")}


RECORDING = '''
"""Says what it was given."""

import json
from pathlib import Path

from cellproof.metrics.rows import Scope

SAID = Path(__file__).with_suffix(".json")
KNOWN = {"chosen": [], "scored": []}


def choose(validation, options):
    KNOWN["chosen"] = [predicted.name for predicted in validation]
    return "chosen so"


def describe(choice):
    return choice


def count(variant, reference, options):
    KNOWN["scored"].append(variant.source.name)
    SAID.write_text(json.dumps(KNOWN))
    return 1


def rows(counts, names, options, *, group="", seed=0):
    return [Scope(len(counts), None, group, seed).row("images", sum(counts), level="object", empty_case="a count")]
'''


def test_what_is_chosen_is_chosen_on_validation_images_alone(study, cellproof, tmp_path, monkeypatch):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "recording.py").write_text(RECORDING)
    monkeypatch.setattr(protocols, "__path__", [*protocols.__path__, str(tmp_path / "more")])
    text = study.recipe.read_text().replace('["membranes", "difficulty"]', '["recording"]')
    study.recipe.write_text(
        text.replace('[study.options.membranes]\nconnected = "disk"\n', "").replace(
            'options = { rest = "ground", tolerance_px = 2.0 }\n', ""
        )
    )
    assert cellproof(*study.command("--quick")).code == 0
    known = json.loads((tmp_path / "more" / "recording.json").read_text())
    data = study.out / "runs" / "disks" / "fold1" / "data"
    parts = {split: {path.stem for path in (data / split / "images").iterdir()} for split in ("train", "val")}
    assert set(known["chosen"]) == parts["val"]
    assert not set(known["scored"]) & (parts["train"] | parts["val"])
    assert len(known["scored"]) == 2
    assert study.score("one")["scores"][0]["choice"] == "chosen so"


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("--profile", "huge"), "no profile 'huge'"),
        (("--only-set", "liver"), "no set 'liver'; there: disks, absent"),
        (("--only-entry", "three"), "no entry 'three'; there: one, two, both, one again"),
        (("--quick", "--profile", "full"), "contradict each other"),
    ],
)
def test_what_a_study_does_not_offer_is_wrong_use(study, cellproof, words, wanted):
    outcome = cellproof(*study.command(*words))
    assert outcome.code == 2
    assert wanted in outcome.err[-1]


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ('["membranes", "difficulty"]', '["membrane"]', "no protocol 'membrane'; there are boundary, difficulty,"),
        ('["membranes", "difficulty"]', "[]", "protocols is empty"),
        ('rest = "ground"', 'rests = "ground"', "set 'disks': no option 'rests' in membranes, difficulty; known:"),
        ('connected = "disk"', "longest = 3", "'membranes': Object contains unknown field `longest`"),
        ("tolerance_px = 2.0", "tolerance_px = -1.0", "options of protocol 'membranes': Expected `float` >= 0.0"),
        ("[study.options.membranes]", "[study.options.glas]", "no protocol (options) 'glas'; there: membranes"),
        ('baseline = "one"', 'baseline = "zero"', "no entry (baseline) 'zero'; there: one, two"),
        ('same_as = "one"', 'same_as = "zero"', "no entry 'zero'; there: one, two"),
        ('same_as = "one"', 'same_as = "one"\nsteps = ["polish"]', "entry 'one again': no step 'polish'; there:"),
        ('set = "disks", entry', 'set = "dots", entry', "no set (published) 'dots'; there: disks, absent"),
        ("only_folds = { disks", "only_folds = { dots", "no set (only_folds) 'dots'; there: disks, absent"),
        ("model.options.norm=batch_renorm", "heads.rays=true", "entry 'two': no head 'rays'; there: boundary"),
        ("model.options.norm=batch_renorm", "model.architecture=vnet", "entry 'two': no architecture 'vnet'; there:"),
        ("model.options.norm=batch_renorm", "model.stpes=3", "unknown field `stpes`"),
    ],
)  # fmt: skip
def test_a_study_that_names_what_is_not_there_is_wrong_use_with_what_is(study, cellproof, old, new, wanted):
    text = study.recipe.read_text()
    assert old in text
    study.recipe.write_text(text.replace(old, new))
    outcome = cellproof(*study.command())
    assert outcome.code == 2, outcome.err
    assert wanted in outcome.err[-1]
    assert not study.out.exists()


def test_a_class_that_a_set_lacks_is_named(study, cellproof):
    study.recipe.write_text(study.recipe.read_text().replace('connected = "disk"', 'connected = "ring"'))
    outcome = cellproof(*study.command("--quick"))
    assert outcome.code == 1
    assert "no class 'ring'; the classes are ground, disk" in outcome.err[-1]


def test_a_recipe_without_a_study_is_refused(cellproof, tmp_path):
    outcome = cellproof("reproduce", "nuclei", "--data", tmp_path, "--out", tmp_path / "out")
    assert outcome.code == 2
    assert "has no section [study]" in outcome.err[-1]


def test_a_recipe_as_it_was_written_before_is_refused_with_how_to_write_it():
    with pytest.raises(InputError, match=r"old.toml: \[paper\] is written as \[study\] now: .* `cellproof recipes"):
        parse_recipe('name = "old"\n[paper]\nreference = ""\nprotocol = "membranes"\n', source="old.toml")


def test_results_of_an_earlier_version_are_left_alone_and_said_to_be(study, cellproof):
    (study.out).mkdir()
    (study.out / run_module.OLD_SCORES).write_text("[]")
    outcome = cellproof(*study.command("--quick"))
    assert outcome.code == 0
    assert "results of an earlier version" in outcome.out
    assert (study.out / run_module.OLD_SCORES).read_text() == "[]"


def test_the_shipped_study_names_the_papers_networks_in_every_size():
    recipe = read_recipe("matsuzuki2020")
    assert set(recipe.study.profiles) == {"full", "laptop", "quick", "smoke"}
    entries = ["U-Net", "FCN-8s", "FC-DenseNet-103", "all together"]
    assert [entry.name for entry in recipe.study.entries] == entries
    for name in ("laptop", "quick"):
        assert list(recipe.study.profiles[name].entries) == entries
    assert recipe.training.batch == 2


def test_a_small_size_has_all_the_folds_that_the_paper_had_of_its_own_set():
    study = read_recipe("kato2021").study
    laptop = study.profiles["laptop"]
    assert (laptop.images, laptop.folds, study.division.folds) == (50, None, 5)
    assert "liver" not in laptop.only_folds


NEW_STEP = '''
"""All pixels become one class."""

from dataclasses import replace

import msgspec
import numpy as np


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    to: str = "disk"


def apply(prediction, options):
    number = prediction.classes.index(options.to)
    return replace(prediction, class_map=np.full_like(prediction.class_map, number))
'''


def test_an_entry_is_trained_once_and_refined_otherwise_by_a_step_in_a_file_of_its_own(
    study, cellproof, tmp_path, monkeypatch
):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "flood.py").write_text(NEW_STEP)
    monkeypatch.setattr(refine, "__path__", [*refine.__path__, str(tmp_path / "more")])
    text = study.recipe.read_text().replace("entries = { one = [] }", 'entries = { one = [], "one again" = [] }')
    study.recipe.write_text(text.replace('same_as = "one"', 'same_as = "one"\nsteps = ["flood"]'))
    assert cellproof(*study.command("--quick")).code == 0
    assert len(study.models()) == 1
    assert value(study.score("one again"), "recall", "disk", variant="none") == 1
    assert value(study.score("one again"), "recall", "ground", variant="none") == 0
    assert study.score("one")["scores"] != study.score("one again")["scores"]
    # Other options are another cell, of the same training.
    ground = 'same_as = "one"\nsteps = [{ name = "flood", options = { to = "ground" } }]'
    study.recipe.write_text(text.replace('same_as = "one"', ground))
    assert cellproof(*study.command("--quick")).code == 0
    assert len(study.models()) == 1
    assert value(study.score("one again"), "recall", "disk", variant="none") == 0
    study.recipe.write_text(text.replace('same_as = "one"', ground.replace("to =", "two =")))
    outcome = cellproof(*study.command("--quick"))
    assert outcome.code == 2
    assert "step 'flood' has no option 'two'; there: to" in outcome.err[-1]


def test_official_splits_are_scored_together_and_each_alone(study, cellproof):
    disks = study.data / "official"
    source = next(path.parent for path in study.data.rglob("dataset.toml") if (path.parent / "images").is_dir())
    names = sorted(path.stem for path in (source / "images").iterdir())
    for place, name in enumerate(names):
        split = ("testA", "testB", "train", "train", "train")[place % 5]
        for kind in ("images", "masks"):
            (disks / split / kind).mkdir(parents=True, exist_ok=True)
            (disks / split / kind / f"{name}.tif").write_bytes((source / kind / f"{name}.tif").read_bytes())
    (disks / "dataset.toml").write_bytes((source / "dataset.toml").read_bytes())
    text = study.recipe.read_text().replace(
        'name = "absent"', 'name = "official"\ndivision = { test = ["testA", "testB"] }\noptions = { rest = "ground" }'
    )
    study.recipe.write_text(text)
    assert cellproof(*study.command("--quick", "--only-set", "official")).code == 0
    rows = [row for row in study.rows() if row["metric"] == "accuracy" and row["variant"] == "none"]
    rows = [row for row in rows if row["averaging"] == "pooled"]
    assert [row["group"] for row in rows] == ["", "testA", "testB"]
    assert "official: membranes, testA" in (study.out / "report.html").read_text(encoding="utf-8")
    assert (study.out / "runs" / "official" / "official" / "one" / "score.json").is_file()


def test_a_study_shows_what_its_entries_cost_and_what_their_networks_see(study, cellproof):
    text = study.recipe.read_text()
    joined = 'model.options={ first_options="width=2;depth=2", second_options="width=2;depth=2", teacher="denoising" }'
    views = 'loss.terms=[{ name = "cross_entropy" }, { name = "squared_error", on = "views" }]'
    for old, new in (
        ("[study]\n", "[study]\ncosts = true\n"),
        ('["model.options.norm=batch_renorm"]', f"['model.architecture=auto_preprocess', '{joined}', '{views}']"),
        ('ensemble_of = ["one", "two"]', 'ensemble_of = ["one"]\nmembers = 2'),
        ("entries = { one = [] }\n[study.profiles.few]", "[study.profiles.few]"),
    ):
        assert old in text
        text = text.replace(old, new, 1)
    study.recipe.write_text(text)
    outcome = cellproof(*study.command("--quick"))
    assert outcome.code == 0, outcome.err
    costs = json.loads((study.out / "runs" / "disks" / "costs.json").read_text())["entries"]
    assert costs["both"]["parameters"] == 2 * costs["one"]["parameters"]
    assert costs["both"]["multiply_adds"] == 2 * costs["one"]["multiply_adds"]
    folder = study.out / "runs" / "disks" / "fold1"
    seen = json.loads((folder / "two" / "explained.json").read_text())["figures"]
    words = [figure["caption"].split(":")[0] for figure in seen]
    assert words == ["Image", "filter 0", "filter 1", "translated 0", "translated 1", "Prediction"]
    page = (study.out / "report.html").read_text(encoding="utf-8")
    assert {"what each entry costs" in page, "validation score over the training" in page} == {True}
    assert "<b>disks, two</b>" in page
    # The second member has learned with another seed.
    first, second = (next(folder.glob(f"{name}/model-*/model.safetensors")) for name in ("one", "one, seed +1"))
    assert first.read_bytes() != second.read_bytes()
    # Nothing of it is measured or drawn again.
    before = (study.out / "runs" / "disks" / "costs.json").read_bytes()
    assert cellproof(*study.command("--quick")).code == 0
    assert (study.out / "runs" / "disks" / "costs.json").read_bytes() == before


def test_more_folds_than_groups_are_refused_before_anything_is_trained(study, cellproof):
    outcome = cellproof(*study.command("--folds", 50))
    assert outcome.code == 1
    assert "disks: 50 folds of 6 images in 6 groups, none of which divides; ask for fewer folds" in outcome.err[-1]
    assert not study.models()


def test_a_class_that_a_fold_lacks_is_named_before_anything_is_trained(study, cellproof):
    masks = sorted(next(study.data.rglob("disks*/masks"), study.data).rglob("*.tif"))[1:]
    for path in masks:
        tifffile.imwrite(path, np.zeros_like(tifffile.imread(path)))
    outcome = cellproof(*study.command())
    assert outcome.code == 1
    assert "no image with class 'disk', which is only in disks0" in outcome.err[-1]
    assert not study.models()
