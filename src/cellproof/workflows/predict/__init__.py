"""A model file and an image become maps, and maps become objects."""

from __future__ import annotations

from .image import VIEWED_PIXELS, ImageRun, Timings, View, at_known_size, picture_scale
from .load import EngineChoice, Model, find_model, load_model, model_names
from .objects import label_objects
from .write import MODEL_FILE, write_trained

__all__ = [
    "MODEL_FILE",
    "VIEWED_PIXELS",
    "EngineChoice",
    "ImageRun",
    "Model",
    "Timings",
    "View",
    "at_known_size",
    "find_model",
    "label_objects",
    "load_model",
    "model_names",
    "picture_scale",
    "write_trained",
]
