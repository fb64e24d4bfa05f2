"""A run that is killed at any moment leaves only whole files; the same command finishes it and does nothing twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from cellproof.io import read_csv, read_model
from cellproof.workflows.segment import job as jobs

OUTPUTS = ("_labels.tif", "_classes.tif", "_difficulty.tif", "_overlay.png")
TABLES = ("objects.csv", "images.csv")
KILLED = -int(signal.SIGKILL)
EVENT_KILLS = 8
IMPORTS = (
    "cellproof.cli.segment",
    "matplotlib.axes",
    "matplotlib.backends.backend_svg",
    "rich.progress",
    "torch",
    "scipy.ndimage",
    "skimage.measure",
    "skimage.transform",
    "imagecodecs",
)
"""What every run imports, which takes longer than the run."""

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, which Windows lacks")


@dataclass(frozen=True)
class Run:
    """A run that was disturbed.

    Attributes:
        out: Its folder of results.
        code: Exit status, negative for a signal.
    """

    out: Path
    code: int


def run_all(calm: list[str], runs: list[dict[str, object]], *, imports: tuple[str, ...]) -> list[dict[str, float]]:
    """Run in forks of one process, first undisturbed; see `killed_runs`."""
    finished = subprocess.run(
        [sys.executable, Path(__file__).with_name("killed_runs.py")],
        input=json.dumps({"imports": imports, "calm": calm, "runs": runs}),
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        text=True,
        stdout=subprocess.PIPE,
        check=True,
    )
    results: list[dict[str, float]] = json.loads(finished.stdout)
    assert results[0]["code"] == 0
    return results


# segment


@pytest.fixture(scope="module")
def command(pictures, model_file) -> list[str]:
    """All but the folder of results."""
    return ["segment", str(pictures.folder), "--model", str(model_file), "--engine", "torch"]


@pytest.fixture(scope="module")
def undisturbed(command, tmp_path_factory) -> Path:
    """Results of a run that nothing disturbed."""
    from cellproof.cli import main

    out = tmp_path_factory.mktemp("kill") / "undisturbed"
    assert main([*command, "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def runs(command, undisturbed, tmp_path_factory) -> list[Run]:
    """Runs killed at chosen events and at random times, and one interrupted."""
    folder = tmp_path_factory.mktemp("killed")
    rng = np.random.default_rng(11)
    # Every kind of event in the first image, some in the middle, and some in the tables at the end.
    disturbances: list[dict[str, object]] = [{"event": event} for event in (2, 5, 8, 31, -15, -3)]
    disturbances += [{"event_share": share} for share in rng.uniform(0.1, 0.9, EVENT_KILLS - 6).tolist()]
    disturbances += [{"time_share": share} for share in rng.uniform(0.05, 0.95, 2).tolist()]
    disturbances += [{"event_share": 0.5, "signal": int(signal.SIGINT)}]
    outs = [folder / str(number) for number in range(len(disturbances))]
    results = run_all(
        [*command, "--out", str(folder / "calm")],
        [{"arguments": [*command, "--out", str(out)], **when} for out, when in zip(outs, disturbances, strict=True)],
        imports=(
            "cellproof.cli.segment",
            "cellproof.workflows.segment",
            "cellproof.models.unet",
            "cellproof.inference.torch_engine",
        ),
    )
    return [Run(out, int(result["code"])) for out, result in zip(outs, results[1:], strict=True)]


def whole_files(out: Path) -> dict[str, bytes]:
    """Images and tables by name; the other files tell times."""
    return {path.name: path.read_bytes() for path in out.glob("*") if path.name.endswith((*OUTPUTS, *TABLES))}


def done(out: Path) -> set[str]:
    """Images that are said to be done."""
    return {path.stem for path in (out / ".cellproof" / "records").glob("[!.]*.json")}


def identity(path: Path) -> tuple[int, int]:
    """A file that is written again has another place or time."""
    return path.stat().st_ino, path.stat().st_mtime_ns


def half_written(out: Path) -> list[str]:
    return [path.name for path in out.rglob("*") if path.name.startswith(".cellproof-")]


def test_the_processes_were_really_killed_in_the_middle(runs):
    assert [run.code for run in runs[:EVENT_KILLS]] == [KILLED] * EVENT_KILLS
    assert runs[-1].code == 130
    assert {len(done(run.out)) for run in runs} >= {0, 1, 3, 6}
    assert any(half_written(run.out) for run in runs)


def test_what_a_killed_run_leaves_under_a_final_name_is_whole(runs, undisturbed):
    wanted = whole_files(undisturbed)
    for run in runs:
        found = whole_files(run.out)
        if run.code != KILLED:  # only an interrupted run has the time to write tables of a part
            found = {name: data for name, data in found.items() if name not in TABLES}
        assert found.items() <= wanted.items(), run
        for path in run.out.rglob("[!.]*.json"):
            json.loads(path.read_text(encoding="utf-8"))
        for name in done(run.out):
            assert all((run.out / f"{name}{ending}").exists() for ending in OUTPUTS)


def test_the_same_command_gives_what_an_undisturbed_run_gives_and_does_nothing_twice(
    runs, command, undisturbed, monkeypatch, no_curves, cellproof
):
    wanted = whole_files(undisturbed)
    segmented = []
    segment_file = jobs.segment_file
    monkeypatch.setattr(
        jobs,
        "segment_file",
        lambda task, *rest, **more: (segmented.append(task.name), segment_file(task, *rest, **more))[1],
    )
    for run in runs:
        before = done(run.out)
        finished = {path: identity(path) for path in run.out.glob("*") if path.name.startswith(tuple(before))}
        segmented.clear()
        outcome = cellproof(*command, "--out", run.out)
        assert outcome.code == 0, outcome.err
        assert whole_files(run.out) == wanted
        assert half_written(run.out) == []
        assert sorted(segmented) == sorted(done(undisturbed) - before)
        assert {path: identity(path) for path in finished} == finished


def test_after_an_interruption_the_tables_tell_of_what_is_done(command, tmp_path, undisturbed, monkeypatch, cellproof):
    segment_file, calls = jobs.segment_file, []

    def interrupted(task, *rest, **more):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(task.name)
        return segment_file(task, *rest, **more)

    monkeypatch.setattr(jobs, "segment_file", interrupted)
    outcome = cellproof(*command, "--out", tmp_path / "out")
    assert outcome.code == 130
    assert "interrupted" in outcome.err[-1]
    assert len(calls) == 2
    wanted = read_csv(undisturbed / "images.csv")
    assert read_csv(tmp_path / "out" / "images.csv") == {name: cells[:2] for name, cells in wanted.items()}
    assert half_written(tmp_path / "out") == []


# train


def weights(out: Path) -> dict[str, np.ndarray]:
    """Of the finished model."""
    return read_model(out / "model.safetensors")[1]


def test_a_training_that_is_killed_and_resumed_gives_the_model_of_an_undisturbed_one_bit_for_bit(annotated, tmp_path):
    kills: list[dict[str, object]] = [{"event": event} for event in (3, 21, -17, -2)]
    kills += [{"event_share": 0.6, "signal": int(signal.SIGINT)}, {"time_share": 0.5}]
    outs = [tmp_path / f"run{number}" for number in range(len(kills))]
    commands = [annotated.command(out) for out in outs]
    results = run_all(
        annotated.command(tmp_path / "calm"),
        [
            {"arguments": command, "then": [[*command[:4], "--resume", *command[6:]], command], **kill}
            for command, kill in zip(commands, kills, strict=True)
        ],
        imports=(*IMPORTS, "torch._dynamo", "cellproof.workflows.train", "cellproof.models.unet"),
    )
    assert [result["code"] for result in results[1:5]] == [KILLED] * 4
    assert results[5]["code"] == 130
    assert [result["then"] for result in results[1:]] == [0] * len(kills)
    wanted = weights(tmp_path / "calm")
    assert any(array.std() > 0 for array in wanted.values())
    for out in outs:
        found = weights(out)
        assert found.keys() == wanted.keys()
        assert all(found[name].tobytes() == wanted[name].tobytes() for name in wanted), out
        assert half_written(out) == []
        rows, wanted_rows = read_csv(out / "history.csv"), read_csv(tmp_path / "calm" / "history.csv")
        assert rows["step"] == wanted_rows["step"]
        assert rows["loss"] == wanted_rows["loss"]
