"""A study becomes trained models, scores, tables and a page."""

from __future__ import annotations

from .fold import ReproduceRequest
from .run import Results, reproduce
from .tables import Line, screen

__all__ = ["Line", "ReproduceRequest", "Results", "reproduce", "screen"]
