"""Predictions and references become rows of scores."""

from __future__ import annotations

from .folders import check_fits
from .images import worst_images
from .page import write_evaluation
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
    "evaluate_folders",
    "load_protocol",
    "score_folders",
    "shown",
    "worst_images",
    "write_evaluation",
]
