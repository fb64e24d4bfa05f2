"""Files as microscopes and people leave them, from the command's arguments to tables: every image done or named."""

from __future__ import annotations

import csv
import os

import numpy as np
import pytest
import tifffile

from cellproof.workflows.segment import SegmentOptions, segment_files


def _discs(count, shape=(64, 64)):
    """Bright discs in a row on an even ground."""
    image = np.full(shape, 100, np.uint16)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    for number in range(count):
        image[np.hypot(rows - 16, columns - 10 - 20 * number) < 7] = 900
    return image


@pytest.fixture
def segmented(tmp_path, model_file):
    """Runs on a folder; returns the summary, the rows of images.csv by name, and what was said."""

    def run(*inputs, out="out", **options):
        from cellproof.workflows.segment import JobWatcher

        said: list[str] = []
        summary = segment_files(
            list(inputs),
            tmp_path / out,
            model=model_file,
            options=SegmentOptions(**options),
            watcher=JobWatcher(say=said.append),
        )
        with (tmp_path / out / "images.csv").open(newline="", encoding="utf-8") as file:
            return summary, {row["image"]: row for row in csv.DictReader(file)}, said

    return run


def test_every_position_of_a_file_has_its_results_and_its_name(segmented, tmp_path):
    with tifffile.TiffWriter(tmp_path / "plate.ome.tif", ome=True) as tif:
        for number in range(3):
            metadata = {"axes": "YX", "Name": f"well A{number}", "PhysicalSizeX": 0.5 + number}
            tif.write(_discs(number + 1), photometric="minisblack", metadata=metadata)
    summary, rows, _ = segmented(tmp_path / "plate.ome.tif")
    assert list(rows) == ["plate_well_A0", "plate_well_A1", "plate_well_A2"]
    assert [row["pixel_size_um"] for row in rows.values()] == ["0.5", "1.5", "2.5"]
    assert {row["file"] for row in rows.values()} == {"plate.ome.tif"}
    assert [outcome.where for outcome in summary.outcomes][1] == ", position 1 (well A1)"
    assert len({row["count"] for row in rows.values()}) == 3
    again, _, _ = segmented(tmp_path / "plate.ome.tif")
    assert [outcome.state for outcome in again.outcomes] == ["skipped"] * 3


def test_links_are_named_broken_ones_fail_and_a_second_link_is_left_out(segmented, tmp_path):
    store, links = tmp_path / "store", tmp_path / "links"
    store.mkdir()
    links.mkdir()
    tifffile.imwrite(store / "0001.tif", _discs(2))
    for name, target in (("kept.tif", "0001.tif"), ("twin.tif", "0001.tif"), ("lost.tif", "0002.tif")):
        os.symlink(f"../store/{target}", links / name)
    os.symlink("circle.tif", links / "circle.tif")
    os.mkfifo(links / "pipe.tif")
    summary, rows, _ = segmented(links)
    assert {name: row["verdict"] for name, row in rows.items() if name != "kept"} == {
        "twin": "left out",
        "lost": "failed",
        "circle": "failed",
        "pipe": "failed",
    }
    assert "leads in a circle" in rows["circle"]["why"]
    assert "a pipe" in rows["pipe"]["why"]
    assert rows["kept"]["file"] == "kept.tif"
    assert "0002.tif, which is not there" in rows["lost"]["why"]
    assert "kept.tif" in rows["twin"]["why"]
    states = [outcome.state for outcome in summary.outcomes]
    assert sorted(states) == ["done", "failed", "failed", "failed", "left out"]


def test_a_link_that_points_elsewhere_now_is_done_again_under_its_name(segmented, tmp_path):
    tifffile.imwrite(tmp_path / "one.tif", _discs(1))
    tifffile.imwrite(tmp_path / "two.tif", _discs(2))
    link = tmp_path / "link.tif"
    link.symlink_to("one.tif")
    _, before, _ = segmented(link)
    link.unlink()
    link.symlink_to("two.tif")
    summary, after, said = segmented(link)
    assert [outcome.state for outcome in summary.outcomes] == ["done"]
    assert any("has changed" in sentence for sentence in said)
    assert list(after) == ["link"]
    assert before["link"]["count"] != after["link"]["count"]


def test_names_that_the_file_system_cannot_hold_with_our_endings_are_cut_and_that_is_said(segmented, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a", "m" * 251, "n" + "細" * 83, "z"):
        tifffile.imwrite(folder / f"{name}.tif", _discs(1))
    summary, rows, said = segmented(folder)
    assert [outcome.state for outcome in summary.outcomes] == ["done"] * 4
    assert len(rows) == 4
    assert sum("too long for the file system" in sentence for sentence in said) == 2
    assert all(len(path.name.encode()) <= 255 for path in (tmp_path / "out").iterdir())
    again, _, _ = segmented(folder)
    assert [outcome.state for outcome in again.outcomes] == ["skipped"] * 4


def test_an_error_of_the_system_on_one_input_fails_that_input_in_one_line(segmented, tmp_path, monkeypatch):
    for name in ("a", "b"):
        tifffile.imwrite(tmp_path / f"{name}.tif", _discs(1))
    from cellproof.workflows.segment import job

    def broken(task, *arguments, **options):
        if task.name == "a":
            raise OSError(5, "Input/output error")
        return real(task, *arguments, **options)

    real = job.segment_file
    monkeypatch.setattr(job, "segment_file", broken)
    summary, rows, _ = segmented(tmp_path / "a.tif", tmp_path / "b.tif")
    assert [outcome.state for outcome in summary.outcomes] == ["failed", "done"]
    assert "Input/output error; check" in rows["a"]["why"]
    assert "fault" not in rows["a"]["why"]


def test_the_channel_of_the_nuclei_is_taken_and_a_channel_by_name(segmented, tmp_path):
    stack = np.stack([_discs(1), _discs(3)])
    names = {"axes": "CYX", "Channel": {"Name": ["actin", "DAPI"]}}
    tifffile.imwrite(tmp_path / "pair.ome.tif", stack, ome=True, photometric="minisblack", metadata=names)
    tifffile.imwrite(tmp_path / "nuclei.tif", stack[1])
    _, rows, said = segmented(tmp_path / "pair.ome.tif", tmp_path / "nuclei.tif")
    assert rows["pair"]["count"] == rows["nuclei"]["count"]
    assert any("channel 1 (DAPI) is read" in sentence and "0 actin" in sentence for sentence in said)
    _, named, _ = segmented(tmp_path / "pair.ome.tif", out="named", channels=("actin",))
    _, numbered, _ = segmented(tmp_path / "pair.ome.tif", out="numbered", channels=(0,))
    assert named["pair"]["count"] == numbered["pair"]["count"] != rows["pair"]["count"]
    with tifffile.TiffFile(tmp_path / "out" / "pair_labels.tif") as tif:
        assert 'Name="DAPI"' in tif.ome_metadata


def test_areas_use_width_and_height_of_a_pixel(segmented, tmp_path):
    sizes = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 2.0}
    tifffile.imwrite(tmp_path / "a.ome.tif", _discs(1), ome=True, metadata={"axes": "YX", **sizes})
    segmented(tmp_path / "a.ome.tif")
    with (tmp_path / "out" / "objects.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            assert float(row["area_um2"]) == pytest.approx(float(row["area"]) * 0.5 * 2.0)
