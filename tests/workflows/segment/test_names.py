"""Which files are inputs: results of an earlier segmentation are not."""

from __future__ import annotations

import pytest

from cellproof.checks import InputError
from cellproof.workflows.segment.names import find_inputs
from cellproof.workflows.segment.record import ENDINGS


@pytest.fixture
def results(tmp_path):
    for name in ("a", "b"):
        for ending in ENDINGS:
            (tmp_path / "seg" / f"{name}{ending}").parent.mkdir(exist_ok=True)
            (tmp_path / "seg" / f"{name}{ending}").touch()
    return tmp_path / "seg"


def test_a_folder_of_results_is_no_folder_of_images(results, tmp_path):
    paths, (failure,) = find_inputs([results], out=tmp_path / "out", say=print)
    assert paths == []
    assert "holds only results of a segmentation; give the folder of the images themselves" in failure.reason


def test_results_among_images_are_left_out_and_counted(results, tmp_path):
    (results / "new.tif").touch()
    (results / "my_labels.tif").touch()  # named like a result, but no other of its files is there
    said: list[str] = []
    paths, failures = find_inputs([results], out=tmp_path / "out", say=said.append)
    assert [given.path.name for given in paths] == ["my_labels.tif", "new.tif"]
    assert failures == []
    assert said == [f"{results}: 8 files left out, as they are results of a segmentation"]


def test_a_result_given_by_its_own_path_is_taken(results, tmp_path):
    paths, _ = find_inputs([results / "a_labels.tif"], out=tmp_path / "out", say=print)
    assert [given.path.name for given in paths] == ["a_labels.tif"]


def test_an_error_within_a_place_keeps_its_class_and_its_arguments():
    error = InputError("no such axes", argument=("axes", "channels")).within("a.tif")
    assert (type(error), str(error), error.arguments) == (InputError, "a.tif: no such axes", ("axes", "channels"))


def test_images_of_formats_that_are_not_read_are_named(tmp_path):
    for name in ("a.png", "b.czi", "c.GIF", "notes.txt", "._d.nd2"):
        (tmp_path / name).write_bytes(b"")
    said: list[str] = []
    inputs, failures = find_inputs([tmp_path], out=tmp_path / "out", say=said.append)
    assert ([one.path.name for one in inputs], failures) == (["a.png"], [])
    assert said == [
        f"{tmp_path}: 2 images left out, for the format is not read (b.czi, c.GIF); save as OME-TIFF or PNG"
    ]
