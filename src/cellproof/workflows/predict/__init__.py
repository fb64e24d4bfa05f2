"""A model file and an image become maps, and maps become objects."""

from __future__ import annotations

from .load import EngineChoice, Model, find_model, load_model, model_names
from .objects import Labeled, Timings, label_objects, predict_objects
from .predictor import Predictor
from .write import MODEL_FILE, write_trained

__all__ = [
    "MODEL_FILE",
    "EngineChoice",
    "Labeled",
    "Model",
    "Predictor",
    "Timings",
    "find_model",
    "label_objects",
    "load_model",
    "model_names",
    "predict_objects",
    "write_trained",
]
