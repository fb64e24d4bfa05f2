"""Which file belongs to which: references of a folder, predictions among other results, groups."""

from __future__ import annotations

import numpy as np
import pytest

from cellproof.checks import InputError
from cellproof.data.description import Description
from cellproof.io import write_labels
from cellproof.workflows.evaluate.folders import (
    NO_GROUP,
    Task,
    find_predictions,
    find_references,
    only_named,
    prediction_files,
    read_groups,
    read_task,
)
from cellproof.workflows.evaluate.protocols import load


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def named(found):
    return {name: path.name for name, path in found.items()}


def task(masks="instances"):
    protocol = load("stardist" if masks == "instances" else "pixel")
    return Task(protocol, protocol.options({}), Description("a", masks, ("cell",)), None)


def test_references_are_the_masks_of_a_folder_of_its_masks_folder_or_of_all_its_splits(tmp_path):
    plain = touch(tmp_path / "plain", "b.tif", "a.PNG", ".hidden.tif", "notes.txt")
    assert named(find_references(plain)) == {"a": "a.PNG", "b": "b.tif"}
    split = touch(tmp_path / "split", "images/a.tif", "masks/a.tif")
    assert find_references(split) == {"a": split / "masks" / "a.tif"}
    data = touch(tmp_path / "data", "val/masks/b.tif", "val/images/b.tif", "test/labels/a.tif")
    assert named(find_references(data)) == {"a": "a.tif", "b": "b.tif"}
    assert find_references(plain / "b.tif") == {"b": plain / "b.tif"}


def test_a_name_in_two_splits_asks_for_one_split(tmp_path):
    data = touch(tmp_path / "data", "val/masks/a.tif", "train/masks/a.tif")
    with pytest.raises(InputError, match=r"a is in two splits; give one split, e\.g\. .*val$"):
        find_references(data)


def test_a_folder_without_masks_says_what_was_expected(tmp_path):
    with pytest.raises(InputError, match=r"holds no masks; expected \.tif, .* files, or a folder masks/"):
        find_references(touch(tmp_path / "none", "notes.txt"))


def test_images_beside_their_masks_are_no_references_and_others_are_named(tmp_path, caplog):
    mixed = touch(tmp_path / "mixed", "a.tif", "a_masks.tif", "b.tif", "c_masks.tif")
    assert named(find_references(mixed)) == {"a": "a_masks.tif", "c": "c_masks.tif"}
    assert "left out as no masks, for others are named so (a_masks.tif): b.tif" in caplog.text
    caplog.clear()
    assert named(find_references(touch(tmp_path / "pairs", "a.tif", "a_masks.tif"))) == {"a": "a_masks.tif"}
    assert caplog.text == ""


def test_two_masks_of_one_name_are_refused_with_both(tmp_path):
    with pytest.raises(InputError, match=r"a\.png and a\.tif both may be the mask of a; keep one"):
        find_references(touch(tmp_path / "twice", "a.tif", "a.png"))


def test_of_results_only_those_of_one_kind_are_predictions(tmp_path):
    kinds = ("labels.tif", "classes.tif", "difficulty.tif", "overlay.png")
    results = touch(tmp_path / "seg", *(f"{name}_{kind}" for name in ("a", "b") for kind in kinds), "a.tif", "c.tif")
    assert [path.name for path in prediction_files(results, "_labels")] == ["a_labels.tif", "b_labels.tif", "c.tif"]
    assert [path.name for path in prediction_files(results, "_classes")] == ["a_classes.tif", "b_classes.tif", "c.tif"]


def test_a_mask_named_like_a_result_without_its_siblings_is_a_prediction_if_it_may_be_one(tmp_path):
    alone = touch(tmp_path / "alone", "a_labels.tif", "b_difficulty.tif", "c_classes.tif", "d.tif")
    assert [path.name for path in prediction_files(alone, "_labels")] == ["a_labels.tif", "d.tif"]
    assert [path.name for path in prediction_files(alone, "_classes")] == ["a_labels.tif", "c_classes.tif", "d.tif"]


def test_predictions_pair_with_their_references_and_those_without_one_are_named(tmp_path, caplog):
    references = find_references(touch(tmp_path / "ref", "a_mask.tif", "b_mask.tif"))
    seg = touch(tmp_path / "seg", "a_labels.tif", "a_classes.tif", "b_labels.tif", "b_classes.tif", "x_labels.tif")
    assert named(find_predictions(seg, references, task=task())) == {"a": "a_labels.tif", "b": "b_labels.tif"}
    assert "1 predictions have no reference and are not scored: x_labels.tif" in caplog.text
    caplog.clear()
    classes = find_predictions(seg, references, task=task("semantic"))
    assert named(classes) == {"a": "a_classes.tif", "b": "b_classes.tif"}
    one = find_predictions(seg / "a_labels.tif", references, task=task())
    assert set(one.values()) == {seg / "a_labels.tif"}
    with pytest.raises(InputError, match="does not exist; expected a folder of label images"):
        find_predictions(tmp_path / "nowhere", references, task=task())


def test_one_prediction_is_compared_with_the_reference_of_its_name(tmp_path):
    references = find_references(touch(tmp_path / "ref", "a.tif", "b.tif", "c.tif", "d.tif"))
    assert named(only_named(references, tmp_path / "b_labels.tif")) == {"b": "b.tif"}
    with pytest.raises(InputError, match=r"named like z\.tif; there are a, b, c, …"):
        only_named(references, tmp_path / "z.tif")


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_a_description_up_to_three_folders_above_says_what_masks_hold(tmp_path, depth):
    folder = tmp_path.joinpath("data", *["deeper"] * depth)
    write_mask(folder, "a.tif")
    (tmp_path / "data" / "dataset.toml").write_text('name = "m"\nmasks = "semantic"\nclasses = ["ground", "cell"]\n')
    found = read_task(folder, None, {})
    assert (found.root, found.protocol.name, found.has_objects) == (tmp_path / "data", "pixel", False)


def test_a_description_four_folders_above_is_none_of_this_set(tmp_path):
    folder = tmp_path.joinpath("data", *["deeper"] * 4)
    folder.mkdir(parents=True)
    write_labels(folder / "a_labels.tif", np.repeat(np.arange(30, dtype=np.uint16)[None], 20, axis=0))
    (tmp_path / "data" / "dataset.toml").write_text('name = "m"\nmasks = "semantic"\nclasses = ["ground", "cell"]\n')
    found = read_task(folder, None, {})
    assert (found.root, found.protocol.name, found.has_objects) == (None, "stardist", True)


def write_mask(folder, name):
    folder.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((20, 30), np.uint16)
    mask[2:9, 2:9], mask[2:9, 12:19] = 1, 1
    write_labels(folder / name, mask)


def test_the_protocol_settles_what_masks_of_one_value_are(tmp_path):
    write_mask(tmp_path, "a.tif")
    assert read_task(tmp_path, "pixel", {}).has_objects is False
    assert read_task(tmp_path, "stardist", {}).has_objects is True
    with pytest.raises(InputError, match="does not exist; expected a folder of masks, a data set's split, or one mask"):
        read_task(tmp_path / "nowhere", None, {})


def test_groups_come_from_the_sets_own_table(tmp_path):
    data = tmp_path / "data"
    for name in ("a", "b"):
        write_mask(data / "val" / "masks", f"{name}.tif")
        write_mask(data / "val" / "images", f"{name}.tif")
    text = 'name = "m"\nmasks = "instances"\nclasses = ["cell"]\nattributes = "table.csv"\n'
    (data / "dataset.toml").write_text(text)
    (data / "table.csv").write_text("name,stain\na,blue\nb,\n")
    found = read_task(data / "val", None, {})
    assert read_groups(found, "stain") == {"a": "blue", "b": NO_GROUP}
    with pytest.raises(InputError, match="cannot group by 'grade'; the attributes' columns are stain"):
        read_groups(found, "grade")
    with pytest.raises(InputError, match=r"no dataset\.toml with attributes belongs to the reference"):
        read_groups(task(), "stain")
