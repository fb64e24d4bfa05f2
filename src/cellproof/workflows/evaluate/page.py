"""The page of an evaluation: scores, the images from worst to best, and what was found, missed and made up in them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ...checks import InputError
from ...io import read_image, read_json, write_csv, write_text
from ...io.images import read_labels
from ...metrics import objects
from ...report.difficulty_pictures import Captioned, inline_figures
from ...report.hits import hits_overlay
from ...report.study_page import StudyPictures, StudyReport, StudyTable, study_report
from .images import expected_against_true, image_columns, worst_images
from .kinds import planes_of
from .protocol import ClassNames, shown
from .score import FolderScores, ImageScore

MATCHED_FROM = 0.5
"""IoU from which an object counts as found in figures."""

MOST_FIGURES = 30

FIGURE_PX = 480

RUN_JSON = "run.json"
"""What `segment` says of its inputs."""


def write_evaluation(
    scores: FolderScores, predictions: Path, reference: Path, *, csv: Path | None = None, html: Path | None = None
) -> list[str]:
    """Write scores image by image, as a table or as a self-contained page.

    Args:
        scores: What `score_folders` returned.
        predictions: As they were given to it.
        reference: As it was given to it.
        csv: File of the table, one row per image, see `image_columns`; None for none.
        html: File of the page; None for none.

    Returns:
        How well what `segment` expected of the images foretold their scores, a sentence for each score.

    Raises:
        InputError: A file cannot be written.
    """
    by_image = image_columns(scores, predictions)
    if csv is not None:
        write_csv(csv, by_image)
    expectations = [str(one) for one in expected_against_true(by_image)]
    if html is not None:
        write_text(html, _page(scores, predictions, reference, by_image=by_image, expectations=expectations))
    return expectations


def _page(
    scores: FolderScores,
    predictions: Path,
    reference: Path,
    *,
    by_image: Mapping[str, Sequence[object]],
    expectations: Sequence[str],
) -> str:
    task = scores.task
    overall = shown([row for row in scores.rows if not row.group], task.protocol.columns_for(task.options))
    numbers = StudyTable(
        "All images",
        "pooled over images",
        ("score", "value"),
        1,
        tuple((t, _text(r.value)) for t, (r, _) in overall.items()),
    )
    order = [name for name, _ in worst_images(scores, len(scores.images))[1]]
    names = [str(name) for name in by_image["name"]]
    places = sorted(range(len(names)), key=lambda i: order.index(names[i]) if names[i] in order else -1)
    lines = tuple(tuple(_text(column[place]) for column in by_image.values()) for place in places)
    ranked = StudyTable("Images, the worst first", "", tuple(by_image), 1, lines)
    return study_report(
        StudyReport(
            title=f"{predictions.name} against {reference.name}",
            status=f"{scores.headline}.",
            notes=[
                *task.protocol.notes,
                *(f"{sentence[0].upper()}{sentence[1:]}." for sentence in expectations),
                "Light blue: found. Yellow: missed. Orange-red: predicted where there is none. "
                + (f"An object is found from an IoU of {MATCHED_FROM:g} on." if task.has_objects else ""),
            ],
            tables=[numbers, ranked],
            pictures=_pictures([scores.images[place] for place in places], task.names),
            parameters=[
                ("predictions", str(predictions)),
                ("reference", str(reference)),
                ("protocol", task.protocol.name),
            ],
        )
    )


def _pictures(images: Sequence[ImageScore], names: ClassNames) -> list[StudyPictures]:
    """The worst images; stacks and what cannot be read any more are left out."""
    made: list[StudyPictures] = []
    for image in images:
        if len(made) == MOST_FIGURES:
            break
        figure = _figure(image, names)
        if figure is not None:
            made.append(StudyPictures(image.name, inline_figures((figure,), max_px=FIGURE_PX)))
    return made


def _figure(image: ImageScore, names: ClassNames) -> Captioned | None:
    try:
        truths = planes_of(read_labels(image.reference))
        said = planes_of(read_labels(image.prediction)) if image.prediction else [np.zeros_like(truths[0])]
    except InputError:
        return None
    if len(truths) != 1 or len(said) != 1 or truths[0].shape != said[0].shape:
        return None
    truth, prediction = truths[0], said[0]
    ignored = np.zeros(truth.shape, bool) if names.ignore is None else truth == names.ignore
    if names.has_objects:
        hits, missed, false = _objects(truth, prediction, ignored)
        counts = [len(np.unique(some[some > 0])) for some in (hits, missed, false)]
        caption = "{} found, {} missed, {} false at IoU {:g}".format(*counts, MATCHED_FROM)
    else:
        right, is_there, is_said = prediction == truth, truth > 0, prediction > 0
        masks = (right & is_there, ~right & is_there, ~right & is_said & ~is_there)
        hits, missed, false = (np.where(ignored, 0, mask).astype(np.uint8) for mask in masks)
        caption = "classes other than the first: found, missed, false"
    pixels = _pixels(image, truth.shape)
    if pixels is None:
        pixels, caption = np.zeros((1, *truth.shape), np.uint8), f"{caption}; the image itself was not found"
    return Captioned(caption, hits_overlay(pixels, hits=hits, missed=missed, false=false, max_px=FIGURE_PX))


def _objects(
    truth: np.ndarray, prediction: np.ndarray, ignored: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Label images of found, missed and false objects."""
    found = objects.match(objects.overlap(prediction, truth, ignored=ignored if ignored.any() else None), MATCHED_FROM)
    truth = np.where(ignored, 0, truth)
    is_hit = np.isin(prediction, found.prediction_ids) & (prediction > 0)
    is_missed = (truth > 0) & ~np.isin(truth, found.reference_ids)
    nothing = np.zeros_like(prediction)
    # Most of a predicted object may lie where nothing is annotated; then it is neither right nor wrong.
    is_false = (prediction > 0) & ~is_hit & ~ignored
    return np.where(is_hit, prediction, nothing), np.where(is_missed, truth, 0), np.where(is_false, prediction, nothing)


def _pixels(image: ImageScore, shape: tuple[int, ...]) -> np.ndarray | None:
    """(C, H, W) of the image that a mask belongs to; None where none of this size is found."""
    for path in _image_files(image):
        try:
            pixels = read_image(path).pixels
        except InputError:
            continue
        if len(pixels) == 1 and pixels.shape[-2:] == shape:
            return np.asarray(pixels[0])
    return None


def _image_files(image: ImageScore) -> list[Path]:
    """Where an image may lie: beside its mask as data sets have it, then where `segment` read it."""
    found: list[Path] = []
    reference = image.reference
    if reference.parent.name == "masks":
        found += sorted((reference.parent.parent / "images").glob(f"{reference.stem.removesuffix('.ome')}.*"))
    job = None if image.prediction is None else image.prediction.parent / RUN_JSON
    if job is not None and job.is_file():
        with contextlib.suppress(InputError, LookupError, TypeError):
            found += [Path(one["file"]["path"]) for one in read_json(job)["inputs"] if one["name"] == image.name]
    return found


def _text(value: object) -> str:
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.3f}"
    return "–" if value is None else str(value)
