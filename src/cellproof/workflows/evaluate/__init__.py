"""Predictions and references become rows of scores."""

from __future__ import annotations

from .folders import check_fits, class_names
from .images import image_columns, worst_images
from .protocol import ClassNames, Column, Predicted, Protocol, Reference, shown
from .protocols import load as load_protocol
from .score import evaluate_folders, score_folders

__all__ = [
    "ClassNames",
    "Column",
    "Predicted",
    "Protocol",
    "Reference",
    "check_fits",
    "class_names",
    "evaluate_folders",
    "image_columns",
    "load_protocol",
    "score_folders",
    "shown",
    "worst_images",
]
