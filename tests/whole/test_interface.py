"""`cellproof.segment` on arrays: layouts, refusals, and the same answer as the files get."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

import cellproof
from cellproof.checks import InputError
from cellproof.workflows.predict.load import EngineChoice, Model
from cellproof.workflows.segment.array import channels_first

TORCH = EngineChoice(engine="torch", precision="f32")


@pytest.fixture(scope="module")
def model(model_file) -> Model:
    return cellproof.load_model(model_file, TORCH)


@pytest.fixture(scope="module")
def gray(pictures) -> np.ndarray:
    return tifffile.imread(pictures.folder / "disks1.tif")


def test_a_gray_picture_has_the_disks_that_were_drawn(gray, model, pictures):
    result = cellproof.segment(gray, model)
    np.testing.assert_array_equal(result.labels, pictures.labels["disks1"])
    np.testing.assert_array_equal(result.classes, result.labels > 0)
    assert result.quality.count == len(result.objects["label"]) == result.labels.max()
    np.testing.assert_allclose(result.probabilities.sum(axis=0), 1, atol=1e-6)


def test_every_layout_of_one_picture_gives_the_same(gray, model):
    expected = cellproof.segment(gray, model).labels
    color = np.stack([gray, np.roll(gray, 3), gray], axis=-1)
    layouts = [gray.tolist(), gray[None], gray[..., None], color, np.moveaxis(color, -1, 0)]
    for layout in layouts:
        np.testing.assert_array_equal(cellproof.segment(layout, model).labels, expected)


def test_a_model_is_found_by_its_file(gray, model, model_file):
    by_file = cellproof.segment(gray, model_file, choice=TORCH)
    np.testing.assert_array_equal(by_file.labels, cellproof.segment(gray, model).labels)


def test_alpha_is_left_out_and_that_is_said(gray, model, caplog):
    alpha = np.full_like(gray, 255)
    result = cellproof.segment(np.stack([gray, gray, gray, alpha], axis=-1), model)
    np.testing.assert_array_equal(result.labels, cellproof.segment(gray, model).labels)
    assert "taken for alpha and left out" in caplog.text


def test_a_pixel_size_adds_areas(gray, model):
    objects = cellproof.segment(gray, model, pixel_size_um=0.5).objects
    np.testing.assert_allclose(objects["area_um2"], objects["area"] / 4)


@pytest.mark.parametrize("shape", [(3, 20, 3), (10, 20, 30), (20, 30, 4, 1), (20,)])
def test_a_shape_that_leaves_a_doubt_is_refused(shape, model):
    with pytest.raises(InputError, match=r"channel_axis|wanted \(H, W\)"):
        cellproof.segment(np.zeros(shape, np.uint8), model)


def test_the_axis_of_channels_settles_a_doubt():
    image = np.arange(3 * 20 * 3).reshape(3, 20, 3)
    np.testing.assert_array_equal(channels_first(image, -1), np.moveaxis(image, 2, 0))
    np.testing.assert_array_equal(channels_first(image, 0), image)
    with pytest.raises(InputError, match="channel_axis is 3"):
        channels_first(image, 3)


def test_nan_two_channels_and_two_choices_are_refused(gray, model):
    broken = gray.astype(float)
    broken[2, 3] = np.nan
    with pytest.raises(InputError, match="1 NaN or infinite"):
        cellproof.segment(broken, model)
    with pytest.raises(InputError, match="2 channels, the model reads 3"):
        cellproof.segment(np.stack([gray, np.roll(gray, 1)]), model)
    with pytest.raises(InputError, match="give it to load_model"):
        cellproof.segment(gray, model, choice=TORCH)
    with pytest.raises(AttributeError, match="segmnt"):
        _ = cellproof.segmnt
