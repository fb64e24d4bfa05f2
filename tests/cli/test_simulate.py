from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import ndimage

from cellproof.checks import UsageError
from cellproof.cli import main
from cellproof.cli.simulate import QualityOption
from cellproof.io import read_image, read_labels
from cellproof.io.png import write_png
from cellproof.recipe.study import Recipe
from cellproof.simulate import names
from cellproof.workflows.collect.collect import find_records
from cellproof.workflows.collect.samples import load_sample
from cellproof.workflows.collect.simulate import Plan, kinds, simulate_files

KINDS = kinds()


def simulate(kind, out, *more):
    return main(["simulate", kind, "--out", str(out), "--size", "96", *map(str, more)])


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_options_name_every_kind_and_quality():
    assert list(KINDS) == names()
    assert {quality.value for quality in QualityOption} == {q for kind in KINDS.values() for q in kind.qualities}


@pytest.mark.parametrize("kind", KINDS)
def test_the_data_room_reads_what_was_written_as_it_is(kind, tmp_path):
    assert simulate(kind, tmp_path / "set", "--count", 2) == 0
    notes = []
    records, description = find_records(tmp_path / "set", notes.append)
    assert notes == []
    assert [record.name for record in records] == [f"{kind}-0001", f"{kind}-0002"]
    assert description.classes == KINDS[kind].classes
    for record in records:
        sample, mended = load_sample(record, description, Recipe(name="test").data)
        assert mended == []
        assert sample.class_map.shape == (96, 96)
        assert set(np.unique(sample.class_map)) <= set(range(len(description.classes) + 1))
        assert (sample.instances is None) == (description.masks == "semantic")


@pytest.mark.parametrize("kind", ["liver", "honeycomb"])
def test_ids_of_cells_and_classes_on_disk_agree_pixel_by_pixel(kind, tmp_path):
    simulate(kind, tmp_path, "--count", 1)
    classes = read_labels(tmp_path / "masks" / f"{kind}-0001.png")
    cells = read_labels(tmp_path / "cells" / f"{kind}-0001.tif")
    assert cells.dtype == np.uint16
    np.testing.assert_array_equal(ndimage.label(classes != 1)[0], cells)
    image = read_image(tmp_path / "images" / f"{kind}-0001.png")
    assert image.pixels.dtype == np.uint8
    assert image.notes == ()
    assert image.pixels.shape == (1, 3 if kind == "liver" else 1, 96, 96)


@pytest.mark.parametrize("kind", ["liver", "nuclei"])
def test_more_pictures_begin_with_the_fewer(kind, tmp_path):
    simulate(kind, tmp_path / "two", "--count", 2)
    simulate(kind, tmp_path / "three", "--count", 3)
    two, three = contents(tmp_path / "two"), contents(tmp_path / "three")
    assert all(three[name] == data for name, data in two.items())
    assert {name for name in three.keys() - two.keys() if name.startswith("images")} == {f"images/{kind}-0003.png"}


def test_another_seed_or_quality_gives_other_pictures(tmp_path):
    options = {"plain": (), "seed": ("--seed", 1), "quality": ("--quality", "low")}
    pictures = set()
    for name, more in options.items():
        simulate("liver", tmp_path / name, "--count", 1, *more)
        pictures.add((tmp_path / name / "images" / "liver-0001.png").read_bytes())
    assert len(pictures) == 3


def test_the_same_command_again_makes_only_what_is_missing(tmp_path, capsys):
    simulate("honeycomb", tmp_path, "--count", 3)
    before = contents(tmp_path)
    (tmp_path / "masks" / "honeycomb-0002.png").unlink()
    (tmp_path / "images" / ".cellproof-0123456789ab-honeycomb-0003.partial.png").write_bytes(b"half")
    capsys.readouterr()
    assert simulate("honeycomb", tmp_path, "--count", 2, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["made"], said["kept"]) == (["honeycomb-0002"], ["honeycomb-0001"])
    assert contents(tmp_path) == before


def test_what_was_made_where_and_the_next_command_are_printed(tmp_path, capsys):
    out = tmp_path / "my set"
    assert simulate("liver", out, "--count", 2) == 0
    assert capsys.readouterr().out.splitlines() == [
        "2 images of liver made, 96 × 96 px",
        f"images: {out / 'images'}",
        f"truth: {out / 'masks'} (0 cytoplasm, 1 membrane, 2 nucleus) and {out / 'cells'} (ids)",
        f"next: cellproof train '{out}' --out RUN",
    ]


def test_a_single_picture_is_no_data_set_to_train_on(tmp_path, capsys):
    assert simulate("nuclei", tmp_path, "--count", 1) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "1 image of nuclei made, 96 × 96 px"
    assert said[-1] == f"next: cellproof segment {tmp_path / 'images'} --out RESULTS"


def test_a_single_image_of_a_kind_that_no_model_knows_leads_to_more_and_a_training(tmp_path, capsys):
    assert simulate("honeycomb", tmp_path, "--count", 1) == 0
    said = capsys.readouterr().out.splitlines()
    more = f"cellproof simulate honeycomb --out {tmp_path} --count 20"
    assert said[-1] == f"next: {more}, then cellproof train {tmp_path} --out RUN"


def test_a_folder_that_holds_other_things_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("done")
    assert simulate("liver", tmp_path) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("is not empty (it holds thesis.txt); give an empty or a new folder (--out)")
    assert contents(tmp_path) == {"thesis.txt": b"done"}


@pytest.mark.parametrize(
    ("kind", "more", "difference"),
    [("liver", ("--seed", 4), "seed 0, not 4"), ("honeycomb", (), "kind liver, not honeycomb")],
)
def test_pictures_of_other_parameters_are_not_mixed(tmp_path, capsys, kind, more, difference):
    simulate("liver", tmp_path, "--count", 1)
    before = contents(tmp_path)
    assert simulate(kind, tmp_path, *more) == 2
    assert f"holds images with {difference}; give another folder (--out)" in capsys.readouterr().err
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("kidney",), "no simulation 'kidney'; expected one of"),
        (("liver", "--quality", "bad"), "'bad' is not one of"),
        (("liver", "--count", "0"), "--count"),
        (("histology", "--quality", "low"), "histology is simulated in the quality good only"),
    ],
)
def test_wrong_use_is_one_line_and_two(tmp_path, capsys, words, complaint):
    assert main(["simulate", *words, "--out", str(tmp_path / "set")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert complaint in line
    assert not (tmp_path / "set").exists()


def test_a_kind_that_does_not_exist_is_refused_with_those_that_do(tmp_path):
    with pytest.raises(
        UsageError, match="no simulation 'kidney'; expected one of glands, histology, honeycomb, liver, nuclei"
    ):
        simulate_files(Plan("kidney"), tmp_path, count=1)


def test_a_damaged_plan_is_one_line(tmp_path, capsys):
    (tmp_path / "simulation.json").write_text('{"kind": 3}')
    assert simulate("liver", tmp_path) == 1
    assert "give another folder, or remove this one (--out)" in capsys.readouterr().err


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4), np.uint16), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4), np.uint8)]
)
def test_what_is_no_eight_bit_picture_is_not_written(tmp_path, pixels):
    with pytest.raises(ValueError, match=r"expected uint8, \(H, W\) or \(H, W, 3\)"):
        write_png(tmp_path / "x.png", pixels)
    assert list(tmp_path.iterdir()) == []
