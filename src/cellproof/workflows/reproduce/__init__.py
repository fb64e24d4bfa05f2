"""A study becomes trained models, scores, tables and a page."""

from __future__ import annotations

from .run import ReproduceRequest, reproduce
from .tables import Line, screen

__all__ = ["Line", "ReproduceRequest", "reproduce", "screen"]
