"""Predictions and references become rows of scores."""

from __future__ import annotations

from .folders import check_fits, class_names
from .images import image_columns, table_scores
from .page import write_evaluation_page
from .protocol import Predicted, Protocol, Reference, Variant, shown
from .protocols import load as load_protocol
from .protocols import names as protocol_names
from .score import FolderScores, evaluate_folders, score_folders

__all__ = [
]
