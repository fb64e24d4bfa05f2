from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from cellproof.checks import InputError
from cellproof.data.description import Description
from cellproof.data.index import Record
from cellproof.workflows.reproduce.predictions import read_reference

COLORED = Description("c", "semantic", classes=("cell", "wall"), colors=("#000000", "#ff4040"))


def test_a_color_coded_mask_becomes_the_numbers_of_its_classes(tmp_path):
    colors = np.zeros((4, 5, 3), np.uint8)
    colors[1:3, 2:4] = (0xFF, 0x40, 0x40)
    Pillow.fromarray(colors).save(tmp_path / "m.png")
    reference = read_reference(Record("m", "", Path(), tmp_path / "m.png", "m"), COLORED)
    expected = np.zeros((4, 5), np.uint8)
    expected[1:3, 2:4] = 1
    np.testing.assert_array_equal(reference.mask, expected)
    assert reference.names.number("wall") == 1


def test_a_color_of_no_class_is_named_with_its_file(tmp_path):
    Pillow.fromarray(np.full((3, 3, 3), (1, 2, 3), np.uint8)).save(tmp_path / "m.png")
    with pytest.raises(InputError, match=r"m\.png.*#010203"):
        read_reference(Record("m", "", Path(), tmp_path / "m.png", "m"), COLORED)
