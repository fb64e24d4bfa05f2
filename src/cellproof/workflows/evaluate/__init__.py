"""Predictions and references become rows of scores."""

from __future__ import annotations

from .score import evaluate_folders

__all__ = ["evaluate_folders"]
