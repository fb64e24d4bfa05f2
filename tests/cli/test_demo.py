"""`cellproof demo` and `cellproof doctor` with the model that comes with the package."""

from __future__ import annotations

import json
import re
from importlib import resources

import numpy as np
import pytest

from cellproof.checks import UsageError
from cellproof.cli import main
from cellproof.cli.demo import write_images
from cellproof.cli.doctor import examine
from cellproof.io import read_csv, read_image, read_labels
from cellproof.workflows.predict.load import model_names

needs_model = pytest.mark.skipif("nuclei" not in model_names(), reason="the default model is not in this checkout")


def test_the_images_come_with_the_installation_below_a_megabyte(tmp_path):
    images, masks = write_images(tmp_path)
    assert [read_image(path).pixels.shape for path in images] == [(1, 1, 520, 696), (1, 3, 256, 320), (1, 3, 512, 512)]
    for name, count in (("fluorescence", 101), ("histology", 89)):
        labels = read_labels(masks[name])
        assert labels.shape == read_image(tmp_path / "inputs" / f"{name}.png").pixels.shape[2:]
        assert len(np.unique(labels)) == count + 1
    shipped = resources.files("cellproof") / "examples"
    assert sum(len(file.read_bytes()) for file in shipped.iterdir()) < 1e6
    assert "CC0" in (shipped / "README.md").read_text()


def test_the_demo_refuses_a_folder_that_is_not_its_own_and_leaves_it_alone(tmp_path):
    write_images(tmp_path / "demo")
    write_images(tmp_path / "demo")
    mine = tmp_path / "results"
    mine.mkdir()
    (mine / "report.html").write_text("mine")
    with pytest.raises(UsageError, match=r"results: holds files that are not the demo's; give another --out"):
        write_images(mine)
    assert [path.name for path in mine.iterdir()] == ["report.html"]


@needs_model
def test_the_demo_succeeds_first_and_then_meets_a_stain_it_does_not_know(tmp_path, capsys):
    out = tmp_path / "demo"
    assert main(["demo", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    counts = dict(zip(*(read_csv(out / "images.csv")[name] for name in ("image", "count")), strict=True))
    assert set(counts) == {"fluorescence", "histology", "immunohistochemistry"}
    scores = json.loads((out / "run.json").read_text())["scores"]
    for name, there, least in (("fluorescence", 101, 0.9), ("histology", 89, 0.7)):
        assert scores[name].startswith(f"{counts[name]} nuclei found, {there} drawn")
        assert float(re.search(r"AP ([0-9.]+)", scores[name])[1]) >= least
        assert said.index(scores[name]) < said.index("What it does not know")
        assert scores[name] in (out / "report.html").read_text(encoding="utf-8")
    verdicts = dict(zip(*(read_csv(out / "images.csv")[name] for name in ("image", "verdict")), strict=True))
    assert verdicts["immunohistochemistry"] != "accept"
    assert f"verdict {verdicts['immunohistochemistry']}: " in said
    assert f"report: {out / 'report.html'}" in said


@needs_model
def test_the_doctor_looks_at_everything_and_says_what_is_wrong(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("CELLPROOF_CACHE", str(tmp_path / "cache"))
    code = main(["doctor"])
    lines = capsys.readouterr().out.splitlines()
    for subject in ("machine", "torch", "openvino", "cache", "model nuclei", "self-test"):
        assert any(line[6:].startswith(f"{subject}: ") for line in lines), subject
    failed = [line for line in lines if line.startswith("FAIL")]
    assert code == bool(failed)
    assert lines[-1] == (f"{len(failed)} of {len(lines) - 1} checks failed" if failed else "all is well")


def test_the_doctor_finds_a_cache_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CELLPROOF_CACHE", str(tmp_path / "file" / "cache"))
    finding = next(finding for finding in examine() if finding.subject == "cache")
    assert not finding.fine
    assert "cannot be written" in finding.said
