"""Predictions and references become rows of scores."""

from __future__ import annotations

from .images import worst_images
from .page import write_evaluation
from .protocol import ClassNames, Column, Predicted, Protocol, Reference, shown
from .protocols import load as load_protocol
from .score import score_folders
from .scores import Scores, evaluate

__all__ = [
    "ClassNames",
    "Column",
    "Predicted",
    "Protocol",
    "Reference",
    "Scores",
    "evaluate",
    "load_protocol",
    "score_folders",
    "shown",
    "worst_images",
    "write_evaluation",
]
