"""Small images side by side give the same results in the same order, and nothing is lost; and little memory."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import tifffile

from cellproof.checks import InputError
from cellproof.io import read_labels
from cellproof.simulate.nuclei import simulate_nuclei
from cellproof.workflows.predict.load import EngineChoice, load_model
from cellproof.workflows.segment import folder as folder_module
from cellproof.workflows.segment import job as job_module
from cellproof.workflows.segment import lanes as lanes_module
from cellproof.workflows.segment.file import SegmentOptions
from cellproof.workflows.segment.folder import segment_files
from cellproof.workflows.segment.lanes import Lanes
from cellproof.workflows.segment.outcomes import JobSummary, JobWatcher
from cellproof.workflows.segment.record import read_records

pytest.importorskip("openvino")

COUNT = 9
SIDE_BY_SIDE = SegmentOptions(choice=EngineChoice(engine="openvino", threads=2))


@pytest.fixture
def images(tmp_path) -> Path:
    """Nine images of nuclei of different numbers, and a tenth file that is none, in the middle of them."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(COUNT):
        drawn = simulate_nuclei(rng=np.random.default_rng(number), shape=(96, 112), count=2 + number).image
        tifffile.imwrite(folder / f"{number}.tif", drawn)
    (folder / "4b.tif").write_bytes(b"no image")
    return folder


def run(images: Path, out: Path, *, options: SegmentOptions = SIDE_BY_SIDE, **watch: object) -> JobSummary:
    return segment_files([images], out, options=options, watcher=JobWatcher(**watch))


def test_results_and_their_order_are_those_of_one_image_after_the_other(images, tmp_path, monkeypatch):
    together = run(images, tmp_path / "together")
    monkeypatch.setattr(lanes_module, "FEWEST_INPUTS", COUNT + 2)
    alone = run(images, tmp_path / "alone")
    wanted = [*(("done", str(number)) for number in range(5)), ("failed", "4b"), ("done", "5")]
    assert [(one.state, one.name) for one in together.outcomes[:7]] == wanted
    assert [(one.state, one.name) for one in together.outcomes] == [(one.state, one.name) for one in alone.outcomes]
    tables = [(tmp_path / folder / "objects.csv").read_text(encoding="utf-8") for folder in ("together", "alone")]
    assert tables[0] == tables[1]
    for number in range(COUNT):
        found, expected = (read_labels(tmp_path / folder / f"{number}_labels.tif") for folder in ("together", "alone"))
        assert expected.max() > 0
        np.testing.assert_array_equal(found, expected)


def test_one_thread_finds_what_two_find(images, tmp_path):
    alone = SegmentOptions(choice=EngineChoice(engine="openvino", threads=1))
    summary = run(images, tmp_path / "alone", options=alone)
    assert (summary.run.threads, len(summary.of("done"))) == (1, COUNT)
    run(images, tmp_path / "two")
    for number in range(COUNT):
        found, expected = (read_labels(tmp_path / folder / f"{number}_labels.tif") for folder in ("alone", "two"))
        assert expected.max() > 0
        assert (found > 0).sum() == pytest.approx((expected > 0).sum(), rel=0.01)
        assert found.max() == expected.max()


def test_after_an_interruption_the_same_job_does_the_rest(images, tmp_path):
    def stop(path: Path, fraction: float) -> None:
        if path.name == "3.tif" and fraction > 0:
            raise KeyboardInterrupt

    out = tmp_path / "out"
    stopped = run(images, out, progress=stop)
    assert stopped.run.interrupted
    # What was begun beside the image that was stopped is ended, and nothing of that one itself stays.
    assert {one.name for one in stopped.of("done")} == set(read_records(out))
    assert {"0", "1", "2"} <= set(read_records(out)) < set(map(str, range(COUNT)))
    assert "3" not in read_records(out)
    assert not list(out.glob("3_*"))
    ended = run(images, out)
    assert {one.name for one in ended.of("skipped")} == {one.name for one in stopped.of("done")}
    assert set(read_records(out)) == set(map(str, range(COUNT)))


def test_a_fault_of_ours_in_a_lane_is_told_of_its_image_alone(images, tmp_path, monkeypatch):
    real = Lanes.model
    calls = iter(range(1000))

    def model(lanes: Lanes):
        if next(calls) == 2:
            raise RuntimeError("planted")
        return real(lanes)

    monkeypatch.setattr(Lanes, "model", model)
    summary = run(images, tmp_path / "out")
    failed = {one.name: one.reason for one in summary.of("failed")}
    assert len(failed) == 2
    assert "4b" in failed
    assert any("planted" in reason for reason in failed.values())
    assert len(summary.of("done")) == COUNT - 1


@pytest.mark.parametrize(
    ("changed", "count"),
    [
        ({}, 2),
        ({"inputs": 7}, 1),
        ({"threads": 1}, 1),
        ({"threads": 64}, 4),
        ({"engine": "torch", "threads": None}, 1),  # a number would stay torch's for all tests after this one
        ({"max_memory_bytes": 10**9}, 1),
    ],
)
def test_there_is_one_lane_where_several_would_not_pay(changed, count):
    choice = EngineChoice(engine=changed.get("engine", "openvino"), threads=changed.get("threads", 2))
    options = SegmentOptions(choice=choice, max_memory_bytes=changed.get("max_memory_bytes"))
    assert Lanes(load_model("nuclei", choice), options, inputs=changed.get("inputs", 8)).count == count


@pytest.mark.parametrize(
    ("limit", "asked", "allowed"),
    [
        (10**9, None, 700_000_000),
        (4 * 10**8, None, 200_000_000),
        (10**9, 6 * 10**8, 6 * 10**8),
        (2 * 10**9, None, None),
    ],
)
def test_a_job_keeps_within_a_small_container_and_says_so(images, tmp_path, monkeypatch, limit, asked, allowed):
    monkeypatch.setattr(folder_module, "memory_limit_bytes", lambda: limit)
    said: list[str] = []
    summary = run(images / "0.tif", tmp_path / "out", options=SegmentOptions(max_memory_bytes=asked), say=said.append)
    assert summary.run.max_memory_bytes == allowed
    assert any(f"may use {limit / 1e9:.1f} GB of memory" in line for line in said) == (allowed not in (asked, None))
    if allowed is not None and allowed < 4.5 * 10**8:  # less than the program takes before the first image
        assert "GB of memory were allowed" in summary.outcomes[0].reason
    else:
        assert [one.state for one in summary.outcomes] == ["done"]


def test_earlier_results_stay_where_the_model_cannot_be_run(images, tmp_path, monkeypatch):
    out = tmp_path / "out"
    run(images / "0.tif", out)
    before = (out / "0_labels.tif").read_bytes()

    def refuse(*arguments: object) -> None:
        raise InputError("this machine cannot")

    monkeypatch.setattr(job_module, "load_model", refuse)
    with pytest.raises(InputError, match="this machine cannot"):
        segment_files([images / "0.tif"], out, options=SIDE_BY_SIDE, overwrite=True)
    assert (out / "0_labels.tif").read_bytes() == before
    assert set(read_records(out)) == {"0"}


def test_a_slow_image_does_not_keep_the_other_lane_waiting(images, tmp_path, monkeypatch):
    """While one lane is busy with the first image, the other does all that are read ahead."""
    ended: list[str] = []
    others = threading.Event()
    real = job_module.Job._segment_whole

    def slow_first(job, ready, lanes):
        if ready.task.name == "0":
            assert others.wait(60)
        record = real(job, ready, lanes)
        ended.append(ready.task.name)
        if len(ended) == lanes_module.AHEAD:
            others.set()
        return record

    monkeypatch.setattr(job_module.Job, "_segment_whole", slow_first)
    (images / "4b.tif").unlink()  # a file that fails is told of in its order, once all before it have ended
    summary = run(images, tmp_path / "out")
    assert ended[: lanes_module.AHEAD] == ["1", "2", "3", "4"]
    assert [one.name for one in summary.outcomes] == [str(number) for number in range(COUNT)]


def stop_at_the_first(job, ready, lanes):
    """In the place of `Job._segment_whole`: the first image is interrupted while the second holds the other lane."""
    if ready.task.name == "0":
        raise KeyboardInterrupt
    threading.Event().wait(1)
    return job._segment(ready, lanes.model())()


def test_a_file_of_a_person_that_was_to_be_overwritten_is_still_theirs_when_the_job_is_stopped(
    images, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    out.mkdir()
    (out / "3_labels.tif").write_bytes(b"drawn by hand")
    with monkeypatch.context() as patch:
        patch.setattr(job_module.Job, "_segment_whole", stop_at_the_first)
        assert segment_files([images], out, options=SIDE_BY_SIDE, overwrite=True).run.interrupted
    assert (out / "3_labels.tif").read_bytes() == b"drawn by hand"
    refused = {one.name: one.reason for one in run(images, out).of("failed")}
    assert "is not a result of CellProof" in refused["3"]
    assert (out / "3_labels.tif").read_bytes() == b"drawn by hand"


def test_what_was_read_ahead_keeps_its_earlier_results_when_the_job_is_stopped(images, tmp_path, monkeypatch):
    out = tmp_path / "out"
    (images / "4b.tif").unlink()
    run(images, out)
    before = {name: (out / f"{name}_labels.tif").read_bytes() for name in map(str, range(COUNT))}
    monkeypatch.setattr(job_module.Job, "_segment_whole", stop_at_the_first)
    stopped = segment_files([images], out, options=SIDE_BY_SIDE, overwrite=True)
    assert stopped.run.interrupted
    left = set(before) - {"0"} - {one.name for one in stopped.of("done")}
    assert left
    assert all((out / f"{name}_labels.tif").read_bytes() == before[name] for name in left)
    assert left <= set(read_records(out))
    assert "0" not in read_records(out)
