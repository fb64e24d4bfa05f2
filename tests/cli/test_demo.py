"""`cellproof demo` and `cellproof doctor` with the model that comes with the package."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cellproof.cli import main
from cellproof.cli.demo import write_pictures
from cellproof.cli.doctor import examine
from cellproof.io import read_csv, read_image, read_labels
from cellproof.workflows.predict.load import model_names

needs_model = pytest.mark.skipif("nuclei" not in model_names(), reason="the default model is not in this checkout")


def test_the_pictures_come_with_the_installation_and_are_always_the_same(tmp_path):
    (real, simulated), truth = write_pictures(tmp_path)
    assert read_image(real).pixels.shape == (1, 3, 512, 512)
    assert read_image(simulated).pixels.shape == (1, 1, 512, 512)
    labels = read_labels(truth)
    assert labels.max() == len(np.unique(labels)) - 1 > 50
    again = write_pictures(tmp_path / "again")[0]
    assert [path.read_bytes() for path in again] == [real.read_bytes(), simulated.read_bytes()]


@needs_model
def test_the_demo_segments_both_pictures_and_scores_the_one_with_truth(tmp_path, capsys):
    out = tmp_path / "demo"
    assert main(["demo", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    counts = dict(zip(*(read_csv(out / "images.csv")[name] for name in ("image", "count")), strict=True))
    assert set(counts) == {"immunohistochemistry", "simulated_nuclei"}
    for name, count in counts.items():
        assert int(count) == read_labels(out / f"{name}_labels.tif").max()
        assert f"{count} nuclei" in said
    scores = json.loads((out / "run.json").read_text())["scores"]
    assert int(scores["simulated nuclei, found"]) == int(counts["simulated_nuclei"])
    for title in ("AP at IoU 0.5", "F1 at IoU 0.5", "Dice of the foreground"):
        assert 0 < float(scores[title]) <= 1
        assert f"{title}: {scores[title]}" in said
        assert scores[title] in (out / "report.html").read_text(encoding="utf-8")
    assert f"report: {out / 'report.html'}" in said
    assert "Mpixel/s" in said


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
