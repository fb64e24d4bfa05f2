"""`cellproof segment` as it is typed: options, exit codes, and what stands on which stream."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
import torch

from cellproof.checks import UsageError
from cellproof.cli import main
from cellproof.cli._options import parse_channels, parse_diameter
from cellproof.data.targets import heads_of
from cellproof.io import read_labels, write_model
from cellproof.models import load
from cellproof.types import InstanceOptions, ModelHeader
from cellproof.workflows.segment import memory_bytes as parse_memory

ENGINE = ("--engine", "torch", "--precision", "f32")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small U-Net with random weights that finds something in nearly every image."""
    heads = heads_of(2, ["boundary", "distance", "flows"])
    options = {"width": 4, "depth": 2}
    torch.manual_seed(3)
    module = load("unet", in_channels=1, out_channels=heads.channels, **options)
    header = ModelHeader(
        name="random",
        architecture="unet",
        heads=heads,
        classes=("background", "thing"),
        in_channels=1,
        stride_px=module.stride,
        receptive_field_px=module.receptive_field_px,
        options=options,
        instance=InstanceOptions(method="components", smallest_area_px=3),
    )
    tensors = {f"member0.{name}": tensor.numpy() for name, tensor in module.state_dict().items()}
    path = tmp_path_factory.mktemp("model") / "random.safetensors"
    write_model(path, header, tensors)
    return path


@pytest.fixture
def picture(tmp_path):
    rows, columns = np.mgrid[:40, :44]
    pixels = (200 * (np.hypot(rows % 20 - 10, columns % 22 - 11) < 6)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "cells.tif", pixels)
    return tmp_path / "cells.tif"


def run(capsys, *words):
    code = main([str(word) for word in words])
    return code, *capsys.readouterr()


def test_people_read_counts_speed_and_the_report_and_see_the_engine_where_they_ask(picture, model, tmp_path, capsys):
    code, out, err = run(capsys, "segment", picture, "--out", tmp_path / "out", "--model", model, *ENGINE)
    assert code == 0
    count = int(read_labels(tmp_path / "out" / "cells_labels.tif").max())
    assert out.startswith(f"1 segmented; {count} objects\n")
    assert "Mpixel/s" in out
    assert f"report: {tmp_path / 'out' / 'report.html'}" in out
    assert err.splitlines()[0] == "model random"
    assert "on the processor" not in err
    code, _, err = run(capsys, "--verbose", "segment", picture, "--out", tmp_path / "anew", "--model", model, *ENGINE)
    assert code == 0
    assert any(line.endswith("torch f32 on the processor: as asked") for line in err.splitlines())
    assert f"[1/1] {picture}: {count} objects" in err


def test_machines_read_one_json_document(picture, model, tmp_path, capsys):
    missing = tmp_path / "missing.tif"
    words = ("segment", missing, picture, "--out", tmp_path / "out", "--model", model, "--json", *ENGINE)
    code, out, err = run(capsys, *words)
    assert code == 1
    facts = json.loads(out)
    assert (facts["done"], facts["skipped"], facts["failed"]) == (1, 0, 1)
    assert [image["state"] for image in facts["images"]] == ["failed", "done"]
    assert "no such file" in facts["images"][0]["reason"]
    assert facts["images"][1]["files"][0] == "cells_labels.tif"
    assert sum(facts["verdicts"].values()) == 1
    assert f"failed: {missing}: there is no such file" in err
    code, out, _ = run(capsys, *words)
    assert json.loads(out)["skipped"] == 1


def test_a_grown_picture_needs_less_memory_than_is_there(picture, model, tmp_path, capsys):
    code, _, err = run(
        capsys, "segment", picture, "--out", tmp_path, "--model", model, "--max-memory", "100MB", *ENGINE
    )
    assert code == 1
    assert "0.10 GB of memory were allowed" in err


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", None), ("4GB", 4 * 10**9), ("500 mb", 5 * 10**8), ("1.5GiB", 3 * 2**29), ("2000000000", 2 * 10**9)],
)
def test_memory_has_units(text, expected):
    assert parse_memory(text) == expected


@pytest.mark.parametrize(("text", "expected"), [("", None), ("0", (0,)), ("2,0", (2, 0)), ("DAPI, 1", ("DAPI", 1))])
def test_channels_are_numbers_in_an_order(text, expected):
    assert parse_channels(text) == expected


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("--max-memory", "4XB"), "'4XB'; expected a number and a unit, for example 4GB (--max-memory)"),
        (("--max-memory", "4"), "max_memory 4 means 4 bytes"),
        (("--channels", "0,,1"), "'0,,1'; expected numbers counted from 0, or names"),
        (("--diameter", "big"), "'big'; expected the objects' usual diameter in pixels"),
        (("--diameter", "12"), "knows no size of objects"),
        (("--model", "nucleii"), "did you mean 'nuclei'? (--model)"),
        (("--engine", "abacus"), "abacus"),
        (("--threads", "0"), "threads"),
        (("--nothing",), "--nothing"),
    ],
)
def test_a_wrong_option_is_wrong_use_and_said_in_one_line(words, wanted, picture, model, tmp_path, capsys):
    code, out, err = run(capsys, "segment", picture, "--out", tmp_path / "out", "--model", model, *words)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("cellproof: error: ")
    assert wanted in err
    assert not (tmp_path / "out").exists()


def test_the_errors_of_parsing_are_wrong_use():
    for parse, text in ((parse_memory, "-1GB"), (parse_memory, "GB"), (parse_diameter, "1;2"), (parse_channels, ",")):
        with pytest.raises(UsageError):
            parse(text)
