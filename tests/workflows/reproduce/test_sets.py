from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from cellproof.checks import InputError
from cellproof.data.description import Description, read_description
from cellproof.data.index import Record, index
from cellproof.recipe import Division, Profile, Simulated, StudySetConfig
from cellproof.workflows.reproduce.sets import StudySet, divide_set, find_set, write_fold

PROFILE = Profile(note="", images=4)


def silent(sentence: str) -> None:
    """Say nothing."""


def study_of(groups, division=None) -> StudySet:
    records = [Record(f"r{i:02d}", "", Path(), Path(), group) for i, group in enumerate(groups)]
    return StudySet(StudySetConfig("x"), division or Division(validation=0.25), Description("x", "semantic"), records)


@pytest.fixture(autouse=True)
def _no_images_to_read(monkeypatch) -> None:
    """Records here have no files: each is taken for an image of its own."""
    monkeypatch.setattr("cellproof.workflows.reproduce.sets.group_duplicates", list)


def names(records) -> set[str]:
    return {record.name for record in records}


def test_a_set_that_is_not_there_is_simulated_and_called_so(tmp_path):
    said = []
    config = StudySetConfig("liver", simulate=Simulated("liver"))
    found = find_set(config, Division(), PROFILE, data=tmp_path, out=tmp_path / "out", seed=3, say=said.append)
    assert found.title == "liver (simulated)"
    assert [record.name for record in found.records] == [f"liver-{k:04d}" for k in range(1, 5)]
    assert "4 simulated images stand in" in said[0]


def test_a_smaller_profile_uses_the_first_of_the_images_that_a_larger_one_made(tmp_path):
    config = StudySetConfig("liver", simulate=Simulated("liver"))
    made = [
        find_set(config, Division(), Profile("", images=n), data=tmp_path, out=tmp_path, seed=0, say=silent).records
        for n in (5, 4, 5)
    ]
    assert made[1] == made[0][:4]
    assert made[2] == made[0]


def test_another_seed_and_another_set_have_images_of_their_own(tmp_path):
    images = {}
    for name, seed in (("a", 3), ("b", 3), ("a", 4)):
        config = StudySetConfig(name, simulate=Simulated("liver"))
        found = find_set(config, Division(), PROFILE, data=tmp_path, out=tmp_path, seed=seed, say=silent)
        images[name, seed] = found.records[0].image.read_bytes()
    assert len(set(images.values())) == 3


def test_nothing_is_simulated_only_to_look_what_is_there(tmp_path):
    config = StudySetConfig("liver", simulate=Simulated("liver"))
    assert (
        find_set(config, Division(), PROFILE, data=tmp_path, out=tmp_path, seed=0, say=silent, simulate=False) is None
    )
    assert not list(tmp_path.iterdir())


def test_no_fold_learns_from_a_group_that_it_is_scored_on():
    found = study_of([letter for letter in "abcd" for _ in range(5)], Division(folds=4, validation=0.25))
    for split in divide_set(found, Profile(""), seed=0):
        parts = [names(part) for part in (split.train, split.validation, split.test)]
        assert sum(map(len, parts)) == 20
        assert len(set.union(*parts)) == 20
        assert not {r.group for r in split.test} & {r.group for r in (*split.train, *split.validation)}


def test_two_groups_leave_one_to_learn_from_which_validation_then_shares():
    for split in divide_set(study_of("aaaabbbb"), Profile("", folds=5), seed=0):
        assert (len(split.train), len(split.validation), len(split.test)) == (3, 1, 4)


def semantic_folder(folder: Path, splits: dict[str, int], attributes: bool = False) -> Path:
    lines = ["name,stain"]
    for split, count in splits.items():
        for kind in ("images", "masks"):
            (folder / split / kind).mkdir(parents=True)
            for number in range(count):
                tifffile.imwrite(folder / split / kind / f"i{number}.tif", np.full((8, 8), number % 2, np.uint8))
    lines += [f"i{number},{'HE' if number % 2 else 'PAS'}" for number in range(max(splits.values()))]
    text = 'name = "s"\nmasks = "semantic"\nclasses = ["ground", "cell"]\n'
    (folder / "dataset.toml").write_text(text + ('attributes = "t.csv"\n' if attributes else ""))
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    return folder


def official(tmp_path: Path, splits: dict[str, int], test: tuple[str, ...], images: int | None = None):
    semantic_folder(tmp_path / "s", splits)
    division = Division(test=test, validation=0.25)
    profile = Profile("", images=images)
    found = find_set(StudySetConfig("s"), division, profile, data=tmp_path, out=tmp_path, seed=0, say=silent)
    return divide_set(found, profile, seed=0)


def test_official_test_splits_are_scored_and_nothing_else(tmp_path):
    (split,) = official(tmp_path, {"train": 8, "testA": 3, "testB": 2}, ("testA", "testB"))
    assert split.name == "official"
    assert {record.split for record in split.test} == {"testA", "testB"}
    assert (len(split.train), len(split.validation), len(split.test)) == (6, 2, 5)
    assert names(split.test).isdisjoint(names(split.train) | names(split.validation))


def test_an_official_validation_split_is_what_is_chosen_with(tmp_path):
    (split,) = official(tmp_path, {"train": 5, "val": 2, "test": 3}, ("test",))
    assert {record.split for record in split.validation} == {"val"}
    assert (len(split.train), len(split.validation), len(split.test)) == (5, 2, 3)


def test_a_small_profile_takes_so_many_images_of_each_test_split(tmp_path):
    (split,) = official(tmp_path, {"train": 8, "testA": 6, "testB": 5}, ("testA", "testB"), images=4)
    assert (len(split.train) + len(split.validation), len(split.test)) == (4, 8)


def test_a_test_split_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    with pytest.raises(InputError, match="no split 'testC' to test on; there: testA, train"):
        official(tmp_path, {"train": 4, "testA": 3}, ("testC",))


def test_folds_by_blocks_score_neighboring_slices(tmp_path):
    semantic_folder(tmp_path / "s", {"train": 9})
    division = Division(folds=3, validation=0.3, blocks=3)
    found = find_set(StudySetConfig("s"), division, Profile(""), data=tmp_path, out=tmp_path, seed=0, say=silent)
    tests = [sorted(names(split.test)) for split in divide_set(found, Profile(""), seed=0)]
    assert sorted(tests) == [["i0", "i1", "i2"], ["i3", "i4", "i5"], ["i6", "i7", "i8"]]


def test_fold_folders_keep_the_attributes_of_their_images(tmp_path):
    folder = semantic_folder(tmp_path / "s", {"train": 6}, attributes=True)
    found = find_set(
        StudySetConfig("s"), Division(folds=3), Profile(""), data=tmp_path, out=tmp_path, seed=0, say=silent
    )
    split = divide_set(found, Profile(""), seed=0)[0]
    write_fold(tmp_path / "fold", split, read_description(folder))
    written = index(tmp_path / "fold", read_description(tmp_path / "fold"))
    of = {record.name: record.attributes for record in (*split.train, *split.validation)}
    assert {record.name: record.attributes for record in written} == of
    assert {attributes["stain"] for attributes in of.values()} == {"HE", "PAS"}
    # Another division in the same place leaves nothing of the first.
    write_fold(tmp_path / "fold", replace(split, train=split.test, validation=split.train[:1]), found.description)
    again = index(tmp_path / "fold", read_description(tmp_path / "fold"))
    assert names(again) == names(split.test) | names(split.train[:1])


def instance_folder(folder: Path, kinds: dict[str, str], **said) -> Path:
    for kind in ("images", "masks"):
        (folder / "train" / kind).mkdir(parents=True)
        for name in kinds:
            tifffile.imwrite(folder / "train" / kind / f"{name}.tif", np.eye(8, dtype=np.uint8))
    lines = [f"{name},{kind}" for name, kind in kinds.items()]
    (folder / "table.csv").write_text("\n".join(["name,modality", *lines]))
    (folder / "dataset.toml").write_text(
        f'name = "{folder.name}"\nmasks = "instances"\nattributes = "table.csv"\n'
        f'classes = ["{said.get("of", "cell")}"]\n'
    )
    return folder


def test_joined_sets_are_one_whose_images_say_where_they_are_from(tmp_path):
    instance_folder(tmp_path / "a", {"x": "u", "y": "u"})
    instance_folder(tmp_path / "b", {"x": "v", "z": "v"})
    config = StudySetConfig("both", join=("a", "b"), condition="set")
    found = find_set(config, Division(), Profile(""), data=tmp_path, out=tmp_path, seed=0, say=silent)
    told = {record.name: (record.attributes["condition"], record.attributes["modality"]) for record in found.records}
    assert told == {"a-x": ("a", "u"), "a-y": ("a", "u"), "b-x": ("b", "v"), "b-z": ("b", "v")}
    assert (found.description.name, found.title) == ("both", "both")
    # What is trained on knows them by the same names and attributes.
    write_fold(tmp_path / "fold", divide_set(found, Profile("", folds=2), seed=0)[0], found.description)
    written = index(tmp_path / "fold", read_description(tmp_path / "fold"))
    assert {r.name: r.attributes["condition"] for r in written}.items() <= {n: c for n, (c, _) in told.items()}.items()


def test_sets_of_different_classes_are_not_joined_and_a_missing_one_is_named(tmp_path):
    instance_folder(tmp_path / "a", {"x": "u"})
    instance_folder(tmp_path / "b", {"x": "v"}, of="nucleus")
    said = []
    arguments = {"data": tmp_path, "out": tmp_path, "seed": 0, "say": said.append}
    with pytest.raises(InputError, match=r"sets that are joined need the same classes"):
        find_set(StudySetConfig("both", join=("a", "b")), Division(), Profile(""), **arguments)
    assert find_set(StudySetConfig("both", join=("a", "c")), Division(), Profile(""), **arguments) is None
    assert "c is not there" in said[0]


def test_a_condition_is_an_attribute_under_another_name_and_is_needed_of_every_image(tmp_path):
    instance_folder(tmp_path / "a", {"x": "u", "y": "v"})
    arguments = {"data": tmp_path, "out": tmp_path, "seed": 0, "say": silent}
    found = find_set(StudySetConfig("a", condition="modality"), Division(), Profile(""), **arguments)
    assert [record.attributes["condition"] for record in found.records] == ["u", "v"]
    with pytest.raises(InputError, match="x has no attribute 'color'; its attributes are"):
        find_set(StudySetConfig("a", condition="color"), Division(), Profile(""), **arguments)


def labeled_set(folder):
    """A set of two kinds of images, as `find_set` reads it."""
    for kind in ("images", "masks"):
        (folder / "train" / kind).mkdir(parents=True)
    rows = ["name,stain"]
    for number in range(6):
        for kind in ("images", "masks"):
            tifffile.imwrite(folder / "train" / kind / f"r{number}.tif", np.zeros((4, 4), np.uint8))
        rows.append(f"r{number},{'DAPI' if number % 2 else 'H&E'}")
    (folder / "table.csv").write_text("\n".join(rows), encoding="utf-8")
    (folder / "dataset.toml").write_text(
        'name = "x"\nmasks = "instances"\nattributes = "table.csv"\n', encoding="utf-8"
    )


def found_where(tmp_path, **where):
    config = StudySetConfig("x", where=where)
    return find_set(config, Division(), Profile(note=""), data=tmp_path, out=tmp_path / "out", seed=0, say=silent)


def test_a_study_may_use_the_images_of_one_kind_alone(tmp_path):
    labeled_set(tmp_path / "x")
    assert names(found_where(tmp_path).records) == {f"r{number}" for number in range(6)}
    assert names(found_where(tmp_path, stain="DAPI").records) == {"r1", "r3", "r5"}
    with pytest.raises(InputError, match=r"no image has stain = GFP; change where of the set in \[\[study\.sets\]\]"):
        found_where(tmp_path, stain="GFP")
    with pytest.raises(InputError, match="no attribute 'dye'; there: stain"):
        found_where(tmp_path, dye="DAPI")
