"""Images of an input for the report, and fractions of classes."""

from __future__ import annotations

import json
import math

import numpy as np
from PIL import Image as PillowImage

from cellproof.report.palette import class_colors
from cellproof.types import Heads, ModelHeader, Quality
from cellproof.workflows.segment.pictures import PlanePictures, draw, read_pictures, write_pictures
from cellproof.workflows.segment.record import PICTURES, STATE_FOLDER, forget, open_state
from cellproof.workflows.segment.write import Plane, class_fractions, join_quality

CLASSES = ("background", "cytoplasm", "nucleus")


def header():
    return ModelHeader(
        name="pixels",
        architecture="unet",
        heads=Heads(classes=3),
        classes=CLASSES,
        in_channels=1,
        stride_px=1,
        receptive_field_px=1,
    )


def classes():
    found = np.zeros((600, 800), np.uint8)
    found[:300, :400] = 1
    found[300:, 400:] = 2
    found[300:, 600:] = 0
    return found


def pictures_of(plane=None):
    plane = classes() if plane is None else plane
    pixels = np.full((1, *plane.shape), 7, np.uint8)
    return PlanePictures(pixels, plane.astype(np.int32), plane, np.zeros(plane.shape, np.float32), np.zeros(0, int))


def test_the_report_finds_every_picture_where_its_index_says_in_the_size_that_it_says(tmp_path):
    open_state(tmp_path)
    files = write_pictures(tmp_path, "a #1", pictures_of(), header=header())
    assert all((tmp_path / file).is_file() for file in files)
    shown = read_pictures(tmp_path, "a #1")
    for picture in (shown.overlay, shown.difficulty, shown.difficult):
        with PillowImage.open(tmp_path / picture.source) as stored:
            assert stored.size == (picture.width, picture.height) == (400, 300)
    assert [name for name, _ in shown.views] == ["Image", "Overlay", "Difficulty", "Difficult pixels"]
    for _, path in shown.views:
        with PillowImage.open(tmp_path / path) as stored:
            assert stored.size == (800, 600)
    forget(tmp_path, "a #1")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_thumbnails_of_older_results_are_still_shown(tmp_path):
    open_state(tmp_path)
    one = {"data_uri": "data:image/jpeg;base64,AAAA", "height": 6, "width": 8}
    (tmp_path / STATE_FOLDER / PICTURES / "old.json").write_text(json.dumps([one, one]))
    shown = read_pictures(tmp_path, "old")
    assert (shown.overlay.source, shown.overlay.width, shown.difficult) == ("data:image/jpeg;base64,AAAA", 8, None)
    assert shown.views == (("Overlay", "old_overlay.png"),)


def test_classes_have_the_colors_of_the_legend():
    drawn = draw(pictures_of(), header=header())
    assert [f"#{drawn[place].tobytes().hex()}" for place in ((299, 0), (300, 400))] == list(class_colors(3)[1:])


def test_fractions_of_area_are_counted_over_all_planes():
    quality = Quality(0, math.nan, math.nan, "review", "")
    planes = [
        Plane(found, found, np.zeros(found.shape), {}, quality) for found in (classes(), np.zeros((600, 800), np.uint8))
    ]
    assert class_fractions(planes, header()) == {"background": 0.8125, "cytoplasm": 0.125, "nucleus": 0.0625}


def test_confidence_of_a_stack_is_the_mean_over_planes_that_have_objects():
    empty = Quality(0, math.nan, math.nan, "review", "nothing found")
    full = [Quality(3, sure, 0.9, "accept", "") for sure in (0.8, 0.9)]
    assert join_quality([full[0], empty, full[1]]).mean_confidence == np.mean([0.8, 0.9])
    assert math.isnan(join_quality([empty, empty]).mean_confidence)
