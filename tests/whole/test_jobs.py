"""A folder of results: what is in it, what is kept, done again, refused, and said of failures."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import tifffile

from cellproof.checks import InputError, UsageError
from cellproof.io import folder_lock, read_image, read_labels
from cellproof.types import Heads, Quality
from cellproof.workflows.predict.load import EngineChoice, load_model
from cellproof.workflows.segment import job as jobs
from cellproof.workflows.segment.file import SegmentOptions
from cellproof.workflows.segment.folder import segment_files
from cellproof.workflows.segment.names import Input, assign_names
from cellproof.workflows.segment.outcomes import JobSummary, JobWatcher, Outcome
from cellproof.workflows.segment.plane import segment_plane
from cellproof.workflows.segment.record import ENDINGS, read_records
from cellproof.workflows.segment.write import join_quality, most_doubtful

TORCH = EngineChoice(engine="torch", precision="f32")


@dataclass
class Log:
    """All that a job said."""

    sentences: list[str] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    inputs: int = 0

    def begin(self, inputs: int) -> None:
        self.inputs = inputs

    @property
    def watcher(self) -> JobWatcher:
        return JobWatcher(
            say=self.sentences.append,
            begin=self.begin,
            progress=lambda path, share: self.shares.append(share),
            end=self.outcomes.append,
        )


@pytest.fixture
def segment(model_file, tmp_path):
    """Segment into ``out`` with the threshold model, unless told otherwise."""

    def run(
        *inputs: Path, log: Log | None = None, overwrite: bool = False, model: Path = model_file, **options: object
    ):
        return segment_files(
            inputs,
            tmp_path / "out",
            model=model,
            options=SegmentOptions(choice=TORCH, **options),
            overwrite=overwrite,
            watcher=(log or Log()).watcher,
        )

    return run


@pytest.fixture
def two(pictures, tmp_path) -> list[Path]:
    """Copies of two images, free to be changed."""
    folder = tmp_path / "in"
    folder.mkdir()
    return [Path(shutil.copy(pictures.folder / f"{name}.tif", folder)) for name in ("disks4", "disks0")]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def states(summary: JobSummary) -> list[str]:
    return [outcome.state for outcome in summary.outcomes]


def test_each_file_holds_what_the_pipeline_gives_for_a_plane(segment, two, model_file, tmp_path):
    assert states(segment(*two)) == ["done", "done"]
    model = load_model(model_file, TORCH)
    for path in two:
        expected = segment_plane(model, read_image(path).pixels[0])
        labels = tifffile.imread(tmp_path / "out" / f"{path.stem}_labels.tif")
        assert labels.dtype == np.uint16
        np.testing.assert_array_equal(labels, expected.labels)
        np.testing.assert_array_equal(read_labels(tmp_path / "out" / f"{path.stem}_classes.tif"), expected.classes)
        difficulty = tifffile.imread(tmp_path / "out" / f"{path.stem}_difficulty.tif")
        np.testing.assert_array_equal(difficulty, np.rint(expected.difficulty * 255))
        assert read_image(tmp_path / "out" / f"{path.stem}_overlay.png").pixels.shape[2:] == labels.shape


def test_the_labels_are_the_disks_that_were_drawn(segment, two, pictures, tmp_path):
    segment(*two)
    for path in two:
        np.testing.assert_array_equal(
            read_labels(tmp_path / "out" / f"{path.stem}_labels.tif"), pictures.labels[path.stem]
        )


def test_the_table_of_objects_has_a_row_for_every_label_with_its_area(segment, two, tmp_path):
    segment(*two)
    rows = table(tmp_path / "out" / "objects.csv")
    assert list(rows[0])[:5] == ["image", "plane", "label", "class", "area"]
    assert list(dict.fromkeys(row["image"] for row in rows)) == ["disks4", "disks0"]
    assert {(row["class"], row["plane"]) for row in rows} == {("disk", "0")}
    for path in two:
        labels = read_labels(tmp_path / "out" / f"{path.stem}_labels.tif")
        mine = [row for row in rows if row["image"] == path.stem]
        assert [int(row["label"]) for row in mine] == list(range(1, labels.max() + 1))
        assert [int(row["area"]) for row in mine] == np.bincount(labels.ravel())[1:].tolist()


def test_the_table_of_images_has_a_row_for_every_input_in_their_order(segment, two, tmp_path, pictures):
    summary = segment(*two)
    rows = table(tmp_path / "out" / "images.csv")
    assert [row["image"] for row in rows] == ["disks4", "disks0"]
    for row, outcome in zip(rows, summary.outcomes, strict=True):
        labels = pictures.labels[row["image"]]
        assert (int(row["height"]), int(row["width"]), row["planes"]) == (*labels.shape, "1")
        assert int(row["count"]) == labels.max()
        assert row["file"] == f"{row['image']}.tif"
        assert (row["verdict"], row["why"]) == (outcome.record.verdict, outcome.record.why)
        assert float(row["expected_dice"]) == pytest.approx(outcome.record.expected_dice, abs=1e-4)


def test_run_json_tells_model_parameters_engine_and_times(segment, two, tmp_path, model_file):
    summary = segment(*two, max_memory_bytes=2 * 10**9)
    facts = json.loads((tmp_path / "out" / "run.json").read_text())
    assert facts["model"]["name"] == "threshold"
    assert len(facts["model"]["sha256"]) == 64
    assert (facts["engine"]["engine"], facts["engine"]["precision"]) == ("torch", "f32")
    assert (facts["parameters"]["tta"], facts["parameters"]["engine"]) == ("auto", "torch")
    assert facts["max_memory_bytes"] == 2 * 10**9
    assert [entry["name"] for entry in facts["inputs"]] == ["disks4", "disks0"]
    assert [entry["file"]["path"] for entry in facts["inputs"]] == [str(path.resolve()) for path in two]
    assert facts["megapixels"] * 1e6 == sum(read_image(path).pixels.size for path in two) == summary.run.pixels
    assert set(facts["seconds_of_parts"]) == {"read", "network", "instances", "measure", "write"}
    assert {"cellproof", "python", "numpy", "torch"} <= set(facts["versions"])


def test_the_report_shows_every_image_and_links_its_overlay(segment, two, tmp_path):
    segment(*two)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    for name in ("disks4", "disks0"):
        assert f'href="{name}_overlay.png"' in page
    assert page.count("data:image/jpeg;base64,") == 2 * 3  # overlay, difficulty, difficult pixels
    assert "torch, f32, on cpu" in page


def test_the_planes_of_a_stack_are_segmented_one_by_one(segment, pictures, tmp_path):
    planes = np.zeros((3, 50, 50), np.uint8)
    planes[0] = tifffile.imread(pictures.folder / "disks3.tif")
    planes[2] = planes[0].T[::-1]
    stack = tmp_path / "movie.ome.tif"
    tifffile.imwrite(stack, planes, ome=True, photometric="minisblack", metadata={"axes": "TYX"})
    record = segment(stack).outcomes[0].record
    assert (record.name, record.planes) == ("movie", 3)
    with tifffile.TiffFile(tmp_path / "out" / "movie_labels.tif") as tif:
        assert tif.series[0].axes == "TYX"
        labels = tif.asarray()
    np.testing.assert_array_equal(labels[0], pictures.labels["disks3"])
    assert labels[1].max() == 0
    np.testing.assert_array_equal(labels[2] > 0, (labels[0] > 0).T[::-1])
    rows = table(tmp_path / "out" / "objects.csv")
    count = int(labels[0].max())
    assert [row["plane"] for row in rows] == ["0"] * count + ["2"] * count
    assert [int(row["label"]) for row in rows] == 2 * list(range(1, count + 1))
    assert record.count == 2 * count
    assert any("the images show plane" in note for note in record.notes)


def test_the_table_of_planes_has_a_row_for_each_with_its_own_verdict(segment, pictures, tmp_path):
    planes = np.zeros((2, 3, 50, 50), np.uint16)
    planes[1, 2] = tifffile.imread(pictures.folder / "disks3.tif")
    stack = tmp_path / "movie.ome.tif"
    tifffile.imwrite(stack, planes, ome=True, photometric="minisblack", metadata={"axes": "TZYX"})
    alone = pictures.folder / "disks3.tif"
    whole, single = (outcome.record for outcome in segment(stack, alone).outcomes)
    rows = table(tmp_path / "out" / "planes.csv")
    assert [(row["image"], row["plane"], row["place"]) for row in rows] == [
        *(("movie", str(3 * t + z), f"T {t}, Z {z}") for t in range(2) for z in range(3)),
        ("disks3", "0", ""),
    ]
    assert [int(row["count"]) for row in rows] == [0] * 5 + [single.count] * 2
    last, lone = rows[5], rows[6]
    assert [last[name] for name in ("expected_dice", "verdict", "why")] == [
        lone[name] for name in ("expected_dice", "verdict", "why")
    ]
    assert (lone["verdict"], lone["why"]) == (single.verdict, single.why)
    assert {row["expected_dice"] for row in rows[:5]} == {""}
    assert "of 6 planes 0 to reject and 5 to review" in whole.why


def test_the_table_of_images_sums_up_raw_intensities(segment, tmp_path):
    pixels = np.full((40, 50), 40, np.uint16)
    pixels[:10] = 60000  # a quarter
    tifffile.imwrite(tmp_path / "bright.tif", pixels)
    segment(tmp_path / "bright.tif", tmp_path / "missing.tif")
    missing, row = table(tmp_path / "out" / "images.csv")
    found = [float(row[f"intensity_{name}-0"]) for name in ("mean", "min", "max", "std")]
    assert found == pytest.approx([15030, 40, 60000, 59960 * (0.25 * 0.75) ** 0.5], rel=1e-5)
    assert missing["intensity_mean-0"] == ""


def test_a_second_run_does_nothing_twice(segment, two, tmp_path):
    segment(*two)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("disks*")}
    tables = {name: (tmp_path / "out" / name).read_bytes() for name in ("objects.csv", "images.csv")}
    summary = segment(*two)
    assert states(summary) == ["skipped", "skipped"]
    assert summary.run.engine is None
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("disks*")} == times
    assert {name: (tmp_path / "out" / name).read_bytes() for name in tables} == tables


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_image_of_which_a_file_is_missing_or_short_is_done_again(segment, two, tmp_path, ending):
    segment(*two)
    target = tmp_path / "out" / f"disks0{ending}"
    whole = target.read_bytes()
    target.write_bytes(whole[:-1])
    assert states(segment(*two)) == ["skipped", "done"]
    assert target.read_bytes() == whole
    target.unlink()
    assert states(segment(*two)) == ["skipped", "done"]
    assert target.read_bytes() == whole


def test_a_changed_image_is_done_again_and_that_is_said(segment, two, tmp_path):
    segment(*two)
    tifffile.imwrite(two[0], 0 * tifffile.imread(two[0]) + 7)
    log = Log()
    assert states(segment(*two, log=log)) == ["done", "skipped"]
    assert any("has changed since it was segmented" in sentence for sentence in log.sentences)
    assert read_labels(tmp_path / "out" / "disks4_labels.tif").max() == 0
    assert [row["image"] for row in table(tmp_path / "out" / "objects.csv")].count("disks4") == 0


def test_an_image_that_became_unreadable_loses_its_old_results(segment, two, tmp_path):
    segment(*two)
    two[0].write_bytes(b"II*\0nothing")
    assert states(segment(*two)) == ["failed", "skipped"]
    assert not list((tmp_path / "out").glob("disks4*"))
    assert next(row["verdict"] for row in table(tmp_path / "out" / "images.csv")) == "failed"


def test_images_added_later_join_the_tables(segment, two, tmp_path):
    segment(two[1])
    segment(two[0])
    rows = table(tmp_path / "out" / "images.csv")
    assert [row["image"] for row in rows] == ["disks4", "disks0"]
    assert {row["image"] for row in table(tmp_path / "out" / "objects.csv")} == {"disks4", "disks0"}


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"tta": True}, "tta auto, now on is asked for"),
        ({"channels": (0,)}, "channels unset, now 0 is asked for"),
        ({"axes": "yx"}, "axes unset, now YX is asked for"),
    ],
)
def test_results_of_other_parameters_are_not_mixed_in(segment, two, changes, wanted):
    segment(*two)
    with pytest.raises(UsageError, match=wanted):
        segment(*two, **changes)
    with pytest.raises(UsageError, match=r"disks0.tif, which is not given now"):
        segment(two[0], overwrite=True, **changes)
    assert states(segment(*two, overwrite=True, **changes)) == ["done", "done"]


def test_results_of_another_model_are_not_mixed_in(segment, two, write_threshold_model, tmp_path):
    segment(*two)
    other = write_threshold_model(tmp_path / "other.safetensors", name="other")
    with pytest.raises(UsageError, match=r"model threshold \(\w+\), now other \(\w+\) is asked for"):
        segment(*two, model=other)


def test_a_failed_input_is_told_everywhere_and_the_others_go_on(segment, two, tmp_path):
    broken, missing = tmp_path / "broken.png", tmp_path / "missing.tif"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nrest")
    log = Log()
    summary = segment(two[0], broken, missing, two[1], log=log)
    assert states(summary) == ["failed", "done", "failed", "done"]
    assert [outcome.path for outcome in log.outcomes] == [missing, two[0], broken, two[1]]
    assert log.inputs == 4
    rows = {row["image"]: row for row in table(tmp_path / "out" / "images.csv")}
    assert rows["broken"]["verdict"] == rows["missing"]["verdict"] == "failed"
    assert str(broken) in rows["broken"]["why"]
    assert rows["broken"]["count"] == ""
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "2 inputs failed" in page
    assert len(json.loads((tmp_path / "out" / "run.json").read_text())["failures"]) == 2
    assert not list((tmp_path / "out").glob("broken*"))


def test_an_input_with_channels_that_the_model_does_not_read_fails_until_they_are_chosen(segment, tmp_path):
    pixels = np.random.default_rng(5).integers(0, 255, (2, 30, 32)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "two.tif", pixels, ome=True, photometric="minisblack", metadata={"axes": "CYX"})
    outcome = segment(tmp_path / "two.tif").outcomes[0]
    assert outcome.state == "failed"
    assert "2 channels (0 channel 0, 1 channel 1), none of whose names says nucleus" in outcome.reason
    assert "for example channels=0" in outcome.reason
    assert states(segment(tmp_path / "two.tif", channels=(1,))) == ["done"]


def test_a_fault_of_ours_in_one_input_does_not_stop_the_others(segment, two, tmp_path, monkeypatch):
    real = jobs.segment_file

    def faulty(task, *rest, **more):
        if task.name == "disks4":
            raise ZeroDivisionError("deep inside")
        return real(task, *rest, **more)

    monkeypatch.setattr(jobs, "segment_file", faulty)
    first, second = segment(*two).outcomes
    assert (first.state, second.state) == ("failed", "done")
    assert "a fault of CellProof (ZeroDivisionError: deep inside); please report it with" in first.reason
    assert "deep inside" in (tmp_path / "out" / ".cellproof" / "disks4.traceback.txt").read_text()


def test_a_persons_own_file_is_not_replaced(segment, two, tmp_path):
    (tmp_path / "out").mkdir()
    own = tmp_path / "out" / "disks0_labels.tif"
    own.write_bytes(b"weeks of work")
    summary = segment(*two)
    assert states(summary) == ["done", "failed"]
    assert "is not a result of CellProof" in summary.outcomes[1].reason
    assert own.read_bytes() == b"weeks of work"


@pytest.mark.parametrize("name", ["objects.csv", "images.csv", "run.json", "report.html"])
def test_a_persons_own_table_is_not_replaced(segment, two, tmp_path, name):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("mine")
    with pytest.raises(InputError, match="is not a result of CellProof"):
        segment(*two)
    assert (tmp_path / "out" / name).read_text() == "mine"


def test_results_among_the_inputs_are_no_inputs(model_file, two):
    folder = two[0].parent
    for expected in (["done", "done"], ["skipped", "skipped"]):
        summary = segment_files([folder], folder, model=model_file, options=SegmentOptions(choice=TORCH))
        assert states(summary) == expected


def test_a_second_process_is_refused(segment, two, tmp_path):
    segment(*two)
    with (
        folder_lock(tmp_path / "out" / ".cellproof" / "lock"),
        pytest.raises(InputError, match="another process is writing in this folder"),
    ):
        segment(*two)


def test_tables_of_images_with_different_channels_leave_missing_cells_empty(segment, two, tmp_path):
    gray = tifffile.imread(two[0])
    shift = np.roll(gray, 1, axis=1)
    tifffile.imwrite(tmp_path / "color.tif", np.stack([gray, shift, gray], -1), photometric="rgb")
    segment(two[1], tmp_path / "color.tif")
    rows = table(tmp_path / "out" / "objects.csv")
    names = list(rows[0])
    assert names.index("intensity_std-2") == names.index("confidence") - 1
    assert {row["intensity_mean-2"] for row in rows if row["image"] == "disks0"} == {""}
    assert all(float(row["intensity_mean-2"]) > 0 for row in rows if row["image"] == "color")


def test_class_maps_of_a_semantic_model_hold_its_class_numbers(segment, two, tmp_path, write_threshold_model, pictures):
    model = write_threshold_model(
        tmp_path / "semantic.safetensors",
        heads=Heads(classes=3),
        classes=("ground", "disk", "never"),
        colors=("#000000", "#ff0000", "#00ff00"),
    )
    segment(two[0], model=model)
    truth = pictures.labels["disks4"]
    np.testing.assert_array_equal(read_labels(tmp_path / "out" / "disks4_classes.tif"), truth > 0)
    np.testing.assert_array_equal(read_labels(tmp_path / "out" / "disks4_labels.tif"), truth)
    assert {row["class"] for row in table(tmp_path / "out" / "objects.csv")} == {"disk"}
    assert "never" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_progress_rises_to_the_end_of_each_input(segment, two):
    log = Log()
    segment(*two, log=log, tta=True, overwrite=True)
    assert log.shares == 2 * [view / 8 for view in range(9)]
    log = Log()
    segment(*two, log=log, overwrite=True)
    assert log.shares == 2 * [0.0, 1.0]
    assert "model threshold" in log.sentences


def test_scores_stand_in_the_report(model_file, two, tmp_path):
    segment_files(
        two, tmp_path / "out", model=model_file, options=SegmentOptions(choice=TORCH), score=lambda: (("AP", "0.987"),)
    )
    assert "0.987" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "out" / "run.json").read_text())["scores"] == {"AP": "0.987"}


def test_inputs_of_one_name_keep_different_and_stable_names(segment, two, tmp_path):
    folder = two[0].parent
    (tmp_path / "b").mkdir()
    elsewhere = tmp_path / "b" / "disks0.tif"
    shutil.copy(two[0], elsewhere)
    shutil.copy(two[1], folder / "Disks0.tiff")
    paths = [two[1], elsewhere, folder / "Disks0.tiff"]
    log = Log()
    names = [outcome.record.name for outcome in segment(*paths, log=log).outcomes]
    assert names == ["disks0", "b_disks0", "Disks0_tiff"]
    assert sum("is taken by another input" in sentence for sentence in log.sentences) == 2
    summary = segment(*paths[::-1])
    assert [outcome.record.name for outcome in summary.outcomes] == names[::-1]
    assert states(summary) == ["skipped"] * 3


def test_results_keep_their_names_when_folders_move(segment, two, tmp_path):
    segment(*two)
    moved = tmp_path / "moved"
    two[0].parent.rename(moved)
    summary = segment(*[moved / path.name for path in two])
    assert states(summary) == ["skipped", "skipped"]


def test_names_never_run_out():
    paths = [Path(f"/{'x' * (number + 1)}/same.png") for number in range(3)] + [Path("/x/same.tif")]
    names = assign_names([Input(path) for path in paths], {}, out=Path("/"))
    assert list(names.values()) == ["same", "xx_same", "xxx_same", "same_tif"]


def test_a_record_that_cannot_be_read_counts_as_none(segment, two, tmp_path):
    segment(*two)
    record = tmp_path / "out" / ".cellproof" / "records" / "disks0.json"
    record.write_text('{"name": "disks0"}')
    assert set(read_records(tmp_path / "out")) == {"disks4"}
    assert states(segment(*two)) == ["skipped", "done"]


def quality(verdict: str, expected_dice: float, count: int = 1) -> Quality:
    return Quality(count, 0.9, expected_dice, verdict, f"it is {verdict}")


@pytest.mark.parametrize(
    ("qualities", "verdict", "expected_dice", "worst"),
    [
        ([quality("review", 0.7)], "review", 0.7, 0),
        ([quality("accept", 0.9), quality("accept", 0.8)], "accept", 0.85, 1),
        ([quality("accept", 0.9), quality("review", 0.7), quality("accept", np.nan)], "review", 0.8, 1),
        ([quality("accept", 0.9), quality("reject", 0.1)], "review", 0.5, 1),
        ([quality("reject", 0.3), quality("accept", 0.9), quality("reject", 0.0)], "reject", 0.4, 2),
    ],
)
def test_planes_have_one_verdict_together(qualities, verdict, expected_dice, worst):
    joined = join_quality(qualities)
    assert (joined.verdict, joined.count) == (verdict, len(qualities))
    assert joined.expected_dice == pytest.approx(expected_dice)
    assert most_doubtful(qualities) == worst


def test_of_many_doubtful_planes_the_worst_are_named():
    doubtful = [quality("review", 0.7 - place / 100) for place in range(7)]
    why = join_quality([quality("accept", 0.9), *doubtful]).why
    assert why.startswith("of 8 planes 0 to reject and 7 to review")
    assert why.endswith("the most doubtful first: 7, 6, 5, 4, 3 and 2 more; plane 7: it is review")


def test_planes_without_any_expected_dice_have_none_together():
    assert np.isnan(join_quality([quality("review", np.nan)] * 2).expected_dice)
