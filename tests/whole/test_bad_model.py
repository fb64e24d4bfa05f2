"""A model file that is not ours is refused in one line, and nothing that it names or holds is ever run."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save, save_file

from cellproof.io import read_csv, read_labels
from cellproof.types import IntensityStatistics, Normalization


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.target),)


def _model_of_bytes(data: bytes) -> Callable[[Path, Path, object], None]:
    return lambda path, good, write: path.write_bytes(data)  # type: ignore[return-value]


def _save_pickled(path: Path, good: Path, write: object) -> None:
    torch.save({"weights": torch.zeros(3), "bomb": Bomb(path.parent / "sprung")}, path)


def _save_foreign(path: Path, good: Path, write: object) -> None:
    save_file({"weight": np.zeros(3, np.float32)}, path, metadata={"format": "pt"})


def _changed(**changes: object) -> Callable[[Path, Path, Callable[..., Path]], object]:
    return lambda path, good, write: write(path, **changes)


def _replaced(old: bytes, new: bytes) -> Callable[[Path, Path, object], None]:
    def make(path: Path, good: Path, write: object) -> None:
        data = good.read_bytes()
        assert data.count(old) == 1
        assert len(old) == len(new)
        path.write_bytes(data.replace(old, new))

    return make


BAD_MODELS = {
    "empty": (_model_of_bytes(b""), "the file is empty"),
    "noise": (_model_of_bytes(np.random.default_rng(0).bytes(3000)), "no complete safetensors file"),
    "pickled by torch": (_save_pickled, "pickled or zipped model, which is never opened"),
    "a bare pickle": (
        lambda path, good, write: path.write_bytes(pickle.dumps(Bomb(path.parent / "sprung"))),
        "pickled or zipped model, which is never opened",
    ),
    "of another program": (_save_foreign, "a safetensors file without CellProof's header"),
    "cut": (lambda path, good, write: path.write_bytes(good.read_bytes()[:-7]), "no complete safetensors file"),
    "cut in the header": (lambda path, good, write: path.write_bytes(good.read_bytes()[:90]), "no complete safetens"),
    "of the future": (
        _replaced(b'"format_version":"2"', b'"format_version":"9"'),
        "model format 9, this version reads",
    ),
    "with an unknown key": (_replaced(b'\\"members\\"', b'\\"membres\\"'), "membres"),
    "with code for an architecture": (_changed(architecture="os:mkdir", options={"path": "sprung"}), "never run"),
    "with a module as architecture": (
        _changed(architecture="antigravity"),
        "is none of the package's (",
    ),
    "with a hidden architecture": (
        _changed(architecture="_padding"),
        "is none of the package's (",
    ),
    "of other weights": (_changed(options={"depth": 1, "width": 9, "norm": "none"}), "the weights do not fit unet: "),
    "as wide as memory": (_changed(options={"depth": 1, "width": 10**7, "norm": "none"}), "weights do not fit unet: "),
    "without end": (_changed(options={"depth": 10**9}), "depth is 1000000000, expected at most 12"),
    "with words for numbers": (_changed(options={"width": "wide"}), "cannot be built as the file says"),
    "with an unknown option": (_changed(options={"color": 1}), "unexpected keyword argument 'color'"),
    "of more members": (_changed(members=10**9), "the weights do not fit unet: down.0.body.0.bias has shape none"),
    "without channels": (_changed(in_channels=0), "in_channels 0, expected at least 1"),
    "of another stride": (_changed(stride_px=3), "stride_px is 3, unet has 1"),
    "with a halo below zero": (_changed(receptive_field_px=-4), "receptive_field_px -4, expected at least 0"),
    "without warmth": (_changed(temperature=0.0), "temperature 0.0, expected more than 0"),
    "of no scale": (_changed(scale=0.0), "scale 0.0, expected 0.03125 to 32.0"),
    "of nameless classes": (_changed(classes=("background",)), "1 class names for 2 classes"),
    "of wrong percentiles": (_changed(normalization=Normalization(90, 10)), "percentiles 90.0 and 10.0"),
    "of half statistics": (_changed(statistics=IntensityStatistics(mean=(0.1,))), "one mean and sd a channel"),
}


@pytest.mark.parametrize("kind", BAD_MODELS)
@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_a_model_file_that_is_not_ours_is_refused_in_one_line_and_none_of_its_code_runs(
    kind, engine, pictures, model_file, write_threshold_model, tmp_path, monkeypatch, cellproof
):
    make, message = BAD_MODELS[kind]
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "given.safetensors"
    make(path, model_file, write_threshold_model)
    picture = pictures.folder / "disks0.tif"
    outcome = cellproof("segment", picture, "--out", tmp_path / "out", "--model", path, "--engine", engine)
    assert outcome.code == 1
    assert len(outcome.err) == 1, outcome.err
    assert message in outcome.err[0]
    assert str(path) in outcome.err[0]
    assert not (tmp_path / "sprung").exists()
    assert not list((tmp_path / "out").glob("[!.]*"))


def test_a_model_of_the_first_format_works_and_says_that_its_verdicts_are_of_the_old_kind(
    pictures, model_file, tmp_path, cellproof
):
    with safe_open(model_file, "numpy") as file:
        header = json.loads(file.metadata()["cellproof"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    old = {name: header[name] for name in ("name", "architecture", "classes", "in_channels", "stride_px", "options")}
    old |= {"receptive_field_px": header["receptive_field_px"], "instance": {"method": "components"}}
    old |= {"heads": {"classes": 2, "boundary": True, "distance": False, "flows": False}}
    path = tmp_path / "old.safetensors"
    path.write_bytes(save(tensors, metadata={"cellproof": json.dumps(old), "format_version": "1"}))
    image = pictures.folder / "disks0.tif"
    assert cellproof("segment", image, "--out", tmp_path / "out", "--model", path, "--engine", "torch").code == 0
    np.testing.assert_array_equal(read_labels(tmp_path / "out" / "disks0_labels.tif"), pictures.labels["disks0"])
    table = read_csv(tmp_path / "out" / "images.csv")
    assert table["why"][0].endswith("(judged by pixels alone, as the model holds no trust record)")
    assert table["expected_f1"] == [""]
