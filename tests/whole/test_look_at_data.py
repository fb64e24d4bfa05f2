"""Training data as people keep them: read by their names, looked at before a training, the same after a stop."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from cellproof.checks import UsageError
from cellproof.cli import main
from cellproof.types import InstanceOptions
from cellproof.workflows.collect import find_records, inspect_data
from cellproof.workflows.evaluate.score import evaluate_folders
from cellproof.workflows.train.fingerprint import check_fingerprint, write_fingerprint
from cellproof.workflows.train.tune import _nearest_first


def _pair(seed, count=3, shape=(48, 48)):
    """Bright squares on noise, and their ids."""
    rng = np.random.default_rng(seed)
    ids = np.zeros(shape, np.uint16)
    for number in range(count):
        row, column = divmod(number, 3)
        ids[4 + 16 * row : 14 + 16 * row, 3 + 15 * column : 13 + 15 * column] = number + 1
    return np.clip(rng.normal(20, 3, shape) + 150 * (ids > 0), 0, 255).astype(np.uint8), ids


def _save(folder, name, image, mask):
    for kind, array in (("images", image), ("masks", mask)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / kind / f"{name}.tif", array)


def test_many_empty_masks_first_do_not_hide_what_the_others_hold(tmp_path):
    for number in range(40):
        _save(tmp_path, f"t{number:02d}", *_pair(number, count=0 if number < 37 else number - 34))
    said: list[str] = []
    records, description = find_records(tmp_path, said.append)
    assert (len(records), description.masks) == (40, "instances")


def test_the_same_image_in_train_and_val_is_named_by_inspect(tmp_path, capsys):
    for number in range(4):
        _save(tmp_path / ("train" if number < 3 else "val"), f"v{number}", *_pair(number % 3, count=3 + number % 3))
    assert main(["inspect", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "the same image is learned from and held out: v0 in train/, v3 in val/" in out
    assert "remove it from one of the two" in out
    assert main(["inspect", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["images"] == {"train": 3, "val": 1}
    assert [one["images"] for one in found["findings"]] == [["v0", "v3"]]


def test_a_file_that_cannot_be_used_is_a_finding_and_the_others_are_looked_at(tmp_path, capsys):
    for number in range(3):
        _save(tmp_path, f"v{number}", *_pair(number, count=2 + number))
    tifffile.imwrite(tmp_path / "images" / "v1.tif", np.zeros((20, 20), np.uint8))
    found = inspect_data(tmp_path)
    assert [(one.kind, one.names) for one in found.findings] == [("unusable", ("v1",))]
    assert "v1.tif" in found.sentences[0]
    assert main(["inspect", str(tmp_path)]) == 1


def test_color_coded_masks_are_learned_from_as_classes_with_their_color_table(tmp_path):
    from cellproof.recipe import DataConfig
    from cellproof.workflows.collect import load_sample

    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for number in range(3):
        image, ids = _pair(number, count=3 + number)
        colors = np.zeros((*ids.shape, 3), np.uint8)
        if number:  # the first has no object, and is gray for all that its numbers say
            colors[ids > 0] = (255, 0, 0)
        tifffile.imwrite(tmp_path / "images" / f"v{number}.tif", image)
        Pillow.fromarray(colors).save(tmp_path / "masks" / f"v{number}.png")
    said: list[str] = []
    records, description = find_records(tmp_path, said.append)
    assert (description.masks, description.colors) == ("semantic", ("#000000", "#ff0000"))
    assert any("0 #000000, 1 #ff0000" in sentence for sentence in said)
    samples = [load_sample(record, description, DataConfig())[0] for record in records]
    np.testing.assert_array_equal(samples[1].class_map, _pair(1, count=4)[1] > 0)
    assert not samples[0].class_map.any()


def test_a_run_is_not_resumed_with_other_data(tmp_path):
    data, out = tmp_path / "data", tmp_path / "run"
    out.mkdir()
    for number in range(3):
        _save(data, f"v{number}", *_pair(number, count=2 + number))
    records, _ = find_records(data, lambda sentence: None)
    check_fingerprint(out, data, records)  # of a run without fingerprint, as older ones are
    write_fingerprint(out, data, records)
    check_fingerprint(out, data, records)
    shutil.copy(data / "masks" / "v0.tif", data / "masks" / "v1.tif")
    with pytest.raises(UsageError, match=r"changed: masks/v1\.tif"):
        check_fingerprint(out, data, records)


def test_of_equal_candidates_the_nearest_to_the_default_comes_first():
    options = InstanceOptions(foreground_threshold=0.5)
    ordered = _nearest_first(options, "foreground_threshold", (0.35, 0.45, 0.5, 0.6))
    assert [candidate.foreground_threshold for candidate in ordered] == [0.5, 0.45, 0.6, 0.35]


def _scores(rows):
    return {(row.metric, row.class_or_threshold): row.value for row in rows if not row.problem and not row.group}


@pytest.mark.parametrize(
    "names", [("c{}.tif", "c{}.tif"), ("c{}_masks.tif", "c{}_masks.tif"), ("c{}_cp_masks.tif", "c{}_gt.tif")]
)
def test_permuted_ids_of_the_same_number_of_objects_are_objects(tmp_path, names):
    for side, order, name in (("pred", [0, 3, 1, 2], names[0]), ("ref", [0, 1, 2, 3], names[1])):
        (tmp_path / side).mkdir()
        for number in range(3):
            ids = np.array(order, np.uint16)[_pair(number)[1]]
            tifffile.imwrite(tmp_path / side / name.format(number), ids)
    assert _scores(evaluate_folders(tmp_path / "pred", tmp_path / "ref"))["AP (StarDist)", "0.5"] == 1.0


def test_foreground_against_ids_is_compared_as_foreground_and_that_is_said(tmp_path, caplog):
    for number in range(3):
        ids = _pair(number, count=4)[1]
        for side, array in (("pred", ids), ("ref", (ids > 0).astype(np.uint8) * 255)):
            (tmp_path / side).mkdir(exist_ok=True)
            tifffile.imwrite(tmp_path / side / f"c{number}.tif", array)
    rows = evaluate_folders(tmp_path / "pred", tmp_path / "ref")
    assert _scores(rows)["Dice", "foreground"] == 1.0
    assert "every object is taken for foreground" in caplog.text
    swapped = evaluate_folders(tmp_path / "ref", tmp_path / "pred", protocol="stardist")
    assert _scores(swapped)["AP (StarDist)", "0.5"] == 1.0
    assert "each connected piece is taken for an object" in caplog.text


def test_masks_that_may_be_read_both_ways_are_refused_until_a_protocol_is_chosen(tmp_path, capsys):
    for side in ("pred", "ref"):
        (tmp_path / side).mkdir()
        for number in range(3):
            tifffile.imwrite(tmp_path / side / f"c{number}.tif", _pair(number)[1])
    words = ["evaluate", str(tmp_path / "pred"), str(tmp_path / "ref")]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "object ids or classes" in said
    for protocol in ("stardist", "pixel"):
        assert f"--protocol '{protocol}'" in said
        assert main([*words, "--protocol", protocol]) == 0
