"""Copies of an image, in files of any format, are learned from or checked with, never both."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from cellproof.checks import InputError
from cellproof.recipe import Recipe
from cellproof.recipe.sections import DataConfig
from cellproof.workflows.collect import divide, find_records, group_duplicates


def save(folder, name: str, image: np.ndarray, *, suffix: str = ".png") -> None:
    """An image with a mask of two objects."""
    mask = np.zeros(image.shape, np.uint16)
    mask[2:6, 2:6], mask[8:12, 8:12] = 1, 2
    for kind, array in (("images", image), ("masks", mask)):
        path = folder / kind / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if suffix == ".png":
            Pillow.fromarray(array).save(path)
        else:
            tifffile.imwrite(path, array)


@pytest.fixture
def records(tmp_path):
    """Six images; the second is there as a TIFF, too, and the fourth twice more."""
    (tmp_path / "dataset.toml").write_text('name = "d"\nmasks = "instances"\n')
    images = np.random.default_rng(0).integers(0, 255, (6, 16, 16), np.uint8)
    for number, image in enumerate(images):
        save(tmp_path, f"n{number}", image)
    save(tmp_path, "again", images[1], suffix=".tif")
    for name in ("once more", "and again"):
        save(tmp_path, name, images[3])
    return find_records(tmp_path, lambda sentence: None)[0]


def test_copies_of_one_image_share_a_group_whatever_their_format(records):
    groups = {record.name: record.group for record in group_duplicates(records)}
    assert groups == {
        "again": "again",
        "n1": "again",
        "and again": "and again",
        "once more": "and again",
        "n3": "and again",
        **{name: name for name in ("n0", "n2", "n4", "n5")},
    }


@pytest.mark.parametrize("folds", [1, 3])
def test_no_image_is_learned_from_and_checked_with(records, folds):
    recipe = Recipe("r", folds=folds, data=DataConfig(validation=0.4))
    for seed in range(8):
        for fold in divide(records, recipe, seed):
            assert sorted(fold.train + fold.val) == sorted(record.name for record in records)
            for copies in ({"n1", "again"}, {"n3", "once more", "and again"}):
                assert not (copies & set(fold.train) and copies & set(fold.val))


def test_an_image_that_cannot_be_read_is_named(records):
    records[0].image.write_bytes(b"no image")
    with pytest.raises(InputError, match=r"again\.tif"):
        group_duplicates(records)
