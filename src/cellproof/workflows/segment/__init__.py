"""Images become a folder of results."""

from __future__ import annotations

from .array import segment
from .file import SegmentOptions
from .folder import JobSummary, Outcome, Watcher, segment_files
from .plane import segment_plane
from .record import LABELS

__all__ = ["LABELS", "JobSummary", "Outcome", "SegmentOptions", "Watcher", "segment", "segment_files", "segment_plane"]
