from __future__ import annotations

import numpy as np
import pytest

from cellproof.checks import InputError
from cellproof.data.description import Description, describe, description_to_toml, read_description

FULL = """
name = "cornea"
masks = "semantic"                 # a comment
classes = ["cell", "membrane"]
colors = ["#000000", "#ff4040"]
ignore = 255
pixel_size_um = 0.62
attributes = "manifest.csv"
group = "cornea"
license = "CC0-1.0"
source = "somewhere"
"""
SMALL = 'name = "x"\nmasks = "semantic"\nclasses = ["a", "b"]\n'


def read(tmp_path, text):
    (tmp_path / "dataset.toml").write_text(text, encoding="utf-8")
    return read_description(tmp_path)


def test_every_key_is_read(tmp_path):
    assert read(tmp_path, FULL) == Description(
        name="cornea",
        masks="semantic",
        classes=("cell", "membrane"),
        colors=("#000000", "#ff4040"),
        ignore=255,
        pixel_size_um=0.62,
        attributes="manifest.csv",
        group="cornea",
        license="CC0-1.0",
        source="somewhere",
    )


def test_a_folder_without_description_has_none(tmp_path):
    assert read_description(tmp_path) is None


@pytest.mark.parametrize("text", [FULL, 'name = "Zellen µm \\"x\\""\nmasks = "instances"\n'])
def test_what_is_written_is_read_back(tmp_path, text):
    description = read(tmp_path, text)
    assert read(tmp_path, description_to_toml(description)) == description


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SMALL + "hues = []", "unknown field `hues`.*known keys: name, masks, classes, colors, ignore"),
        (SMALL + 'colors = ["#000000"]', "1 colors for 2 classes"),
        (SMALL + 'colors = ["red", "#000000"]', "color 'red' is not of the form #rrggbb"),
        (SMALL + "ignore = 1", "ignore is 1, expected 2 to 65535"),
        (SMALL + "ignore = 70000", "ignore is 70000"),
        (SMALL + "pixel_size_um = 0.0", "pixel_size_um is 0.0, expected a positive number"),
        ('name = "x"\nmasks = "semantic"', "semantic masks with 1 classes"),
        ('name = "x"\nmasks = "semantic"\nclasses = ["a", "a"]', "names one twice: a, a"),
        ('name = "x"\nmasks = "instances"\nclasses = []', "classes has 0 names"),
        ('name = "x"\nmasks = "boxes"', "Invalid enum value 'boxes'"),
        ('masks = "instances"', "missing required field `name`"),
        ("name = ", "cannot be read as TOML"),
    ],
)
def test_a_wrong_description_is_refused_in_one_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as refusal:
        read(tmp_path, text)
    assert "dataset.toml" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "dataset.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read as TOML"):
        read_description(tmp_path)


def noise(values: list[int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice(values, (20, 20)).astype(np.uint8)


@pytest.mark.parametrize("high", [1, 255])
def test_two_values_are_background_and_foreground(high):
    description, notes = describe("data", [noise([0, high])])
    assert (description.masks, description.classes) == ("semantic", ("background", "foreground"))
    assert f"masks hold 0, {high}: taken for background and foreground (semantic)" in notes[0]


def test_few_values_in_every_mask_are_classes():
    description, notes = describe("data", [noise([0, 1, 2, 255], seed) for seed in range(3)])
    assert description == Description("data", "semantic", ("background", "class 1", "class 2"), ignore=255)
    assert "3 classes (semantic), 255 for not annotated" in notes[0]


def test_a_single_mask_of_scattered_values_holds_classes():
    assert describe("data", [noise([0, 1, 2, 3])])[0].masks == "semantic"


def test_ids_of_single_pieces_are_objects():
    first, second = np.zeros((20, 20), np.int32), np.zeros((20, 20), np.int32)
    first[2:5, 2:5], first[8:12, 8:12], second[3:9, 3:9] = 1, 2, 1
    second[12:15, 12:15], second[12:15, 2:5] = 2, 3
    description, notes = describe("data", [first, second])
    assert (description.masks, description.classes) == ("instances", ("object",))
    assert "object ids (instances)" in notes[0]


def test_many_ids_are_objects_however_broken():
    assert describe("data", [noise(list(range(60)))])[0].masks == "instances"


def test_scattered_gray_levels_are_refused_rather_than_taken_for_objects():
    with pytest.raises(InputError, match="hold 0, 100, 200, which look like classes; number them from 0"):
        describe("data", [noise([0, 100, 200])])


@pytest.mark.parametrize("masks", [[], [np.zeros((4, 4), np.uint8)]])
def test_nothing_annotated_is_refused(masks):
    with pytest.raises(InputError, match="no annotated pixel"):
        describe("data", masks)


def test_keys_of_before_american_spelling_are_read(tmp_path):
    text = (
        'name = "x"\nmasks = "semantic"\nclasses = ["a", "b"]\ncolours = ["#000000", "#ffffff"]\nlicence = "CC0-1.0"\n'
    )
    (tmp_path / "dataset.toml").write_text(text)
    description = read_description(tmp_path)
    assert (description.colors, description.license) == (("#000000", "#ffffff"), "CC0-1.0")
