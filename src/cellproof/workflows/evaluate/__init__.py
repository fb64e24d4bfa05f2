"""Predictions and references become rows of scores."""

from __future__ import annotations

from .score import evaluate_folders
from .scores import Scores, evaluate

__all__ = ["Scores", "evaluate", "evaluate_folders"]
