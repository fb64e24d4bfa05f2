"""What the networks of a study explain of a test image, beside the image and its segmentation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ...io import read_image
from ...report.difficulty_pictures import Captioned, inline_figures
from ...report.overlay import class_overlay, difficulty_picture, image_picture, overlay
from ...report.study_page import StudyPictures
from ..predict import MODEL_FILE, Predictor, label_objects, load_model
from .fold import Fold
from .page import StoredFigures, keep_figures, kept_figures

EXPLAINED_FILE = "explained.json"

FIGURE_PX = 300


def explained_figures(fold: Fold, name: str, *, draw: bool) -> StudyPictures | None:
    """Figures of the first test image by a training of an entry; None where its network explains nothing.

    Args:
        fold: The fold.
        name: The training.
        draw: Whether figures that are not there are made now.

    Raises:
        InputError: The image cannot be used.
    """
    path = fold.folder / name / EXPLAINED_FILE
    kept = kept_figures(path, fold.training(name))
    if kept is not None or not draw:
        return kept if kept is not None and kept.figures else None
    record = fold.split.test[0]
    title = f"{fold.found.title}, {name}: {record.name}, as its network sees it"
    figures = inline_figures(draw_explained(fold.run(name) / MODEL_FILE, record.image), max_px=FIGURE_PX)
    keep_figures(path, StoredFigures(fold.training(name), title, figures))
    return StudyPictures(title, figures) if figures else None


def draw_explained(model_file: Path, image_file: Path) -> list[Captioned]:
    """The image, each map that the first network of a model gives, and the segmentation."""
    model = load_model(model_file)
    network = model.networks()[0]
    explain = getattr(network, "explain", None)
    if explain is None:
        return []
    pixels = read_image(image_file).pixels[0]
    predictor = Predictor.of_model(model)
    prepared = predictor.prepare(pixels)
    with torch.inference_mode():
        maps = explain(torch.from_numpy(np.ascontiguousarray(prepared))[None])
    labels, classes = label_objects(predictor.predict(prepared, scale=1.0), model.header)
    colors = model.header.colors
    segmented = overlay(pixels, labels) if model.header.heads.has_instances else _colored(pixels, classes, colors)
    heat = [Captioned(_caption(title, values), _heat(pixels, values)) for title, values in maps.items()]
    return [Captioned("Image", image_picture(pixels)), *heat, Captioned("Prediction", segmented)]


def _colored(pixels: np.ndarray, classes: np.ndarray, colors: tuple[str, ...]) -> np.ndarray:
    return class_overlay(pixels, classes, colors=colors)


def _heat(pixels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Black at the map's own least, pale yellow at its own most."""
    span = max(float(values.max() - values.min()), 1e-12)
    return difficulty_picture(np.zeros_like(pixels), (values - values.min()) / span)


def _caption(title: str, values: np.ndarray) -> str:
    return f"{title}: {values.min():.2f} (black) to {values.max():.2f} (yellow), mean {values.mean():.2f}"
