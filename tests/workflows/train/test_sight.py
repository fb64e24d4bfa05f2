from __future__ import annotations

import re
from functools import partial
from itertools import product

import msgspec
import numpy as np
import pytest

from cellproof.checks import InputError
from cellproof.cli import main
from cellproof.io import write_labels
from cellproof.io.png import write_png
from cellproof.workflows.predict.load import EngineChoice, load_model
from cellproof.workflows.train.sight import Sight, describe_sight, draw_sight, sight_of, size_warning


@pytest.fixture(scope="module")
def model():
    return load_model("nuclei", EngineChoice(engine="torch"))


def test_most_of_what_acts_lies_within_the_stated_receptive_field(model):
    seen = sight_of(model, images=1)
    assert 0 < seen.effective_px < seen.reach_px <= seen.stated_px == model.header.receptive_field_px
    (network,) = model.networks()
    assert seen.parameters == sum(parameter.numel() for parameter in network.parameters())
    # Each parameter of a convolution at full resolution acts once per pixel, those at coarser levels more rarely.
    assert 0 < seen.multiply_adds_per_pixel < seen.parameters


def test_an_object_larger_than_what_is_mostly_seen_is_named_at_the_models_scale(model):
    seen = Sight(1_000_000, 10.0, 100.0, stated_px=50, reach_px=40, effective_px=20.0)
    assert len(describe_sight(model, seen, 39.0 / model.header.scale)) == 1
    half = msgspec.structs.replace(model.header, scale=0.5)
    shrunk = type(model)(half, model.hash, model.engines, model.path)
    assert len(describe_sight(shrunk, seen, 79.0)) == 1
    (_, warning) = describe_sight(shrunk, seen, 81.0)
    assert "the largest object measures 81 px, more than the 80 px" in warning


def test_inspect_says_what_a_model_sees_beside_the_largest_object(tmp_path, capsys):
    rows, columns = np.mgrid[:400, :400]
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    for number, radius in enumerate((190, 20)):
        disk = np.hypot(rows - 200, columns - 200) < radius
        write_png(tmp_path / "images" / f"{number}.png", np.where(disk, 200, 20).astype(np.uint8))
        write_labels(tmp_path / "masks" / f"{number}.tif", disk.astype(np.int32))
    (tmp_path / "dataset.toml").write_text('name = "large"\nmasks = "instances"\n')
    assert main(["inspect", str(tmp_path), "--model", "nuclei"]) == 0
    shown = capsys.readouterr().out
    assert "model nuclei: " in shown
    assert "the largest object measures 380 px" in shown


def test_objects_larger_than_what_a_new_network_sees_are_named(model):
    (network,) = model.networks()
    warn = partial(size_warning, network, in_channels=model.header.in_channels)
    stated = 2 * network.receptive_field_px + 1
    assert warn(largest_px=0.05 * stated) == ""
    seen = int(re.search(r"more than the (\d+) px", warn(largest_px=2.0 * stated))[1])
    assert 0 < seen < stated
    assert warn(largest_px=seen - 1.0) == ""
    assert f"the largest object measures {seen + 2} px" in warn(largest_px=seen + 2.0)


def test_receptive_fields_are_drawn_where_they_are(model):
    image = np.random.default_rng(0).random((1, 200, 260))
    positions, in_levels = draw_sight(model, image)
    assert positions.dtype == in_levels.dtype == np.uint8
    # Three rows and columns of fields around their output pixels: something warm lies in each of them.
    height, width = positions.shape[0] // 3, positions.shape[1] // 3
    for row, column in product(range(3), repeat=2):
        field = positions[row * height : (row + 1) * height, column * width : (column + 1) * width].astype(int)
        assert (field[..., 0] - field[..., 2]).max() > 100
    with pytest.raises(InputError, match="expected at least"):
        draw_sight(model, image[:, :4])


def test_inspect_draws_what_a_model_sees(tmp_path, capsys):
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    for number in range(2):
        pixels = np.full((64, 64), number + 1, np.uint8)
        pixels[20:40, 20:40] = 90
        write_png(tmp_path / "images" / f"{number}.png", pixels)
        write_labels(tmp_path / "masks" / f"{number}.tif", (pixels == 90).astype(np.int32))
    (tmp_path / "dataset.toml").write_text('name = "small"\nmasks = "instances"\n')
    drawn = tmp_path / "drawn"
    assert main(["inspect", str(tmp_path), "--model", "nuclei", "--fields", str(drawn)]) == 0
    assert "drawn on 0: " in capsys.readouterr().out
    assert {path.name for path in drawn.iterdir()} == {"positions.png", "levels.png"}
    assert main(["inspect", str(tmp_path), "--fields", str(drawn)]) == 2
    assert "name one" in capsys.readouterr().err
