"""Images become a folder of results, or one image an object in memory."""

from __future__ import annotations

from .array import memory_bytes, segment
from .file import SegmentOptions
from .folder import segment_files
from .model import Model, load_model
from .outcomes import JobSummary, JobWatcher, Outcome
from .plane import segment_plane
from .record import LABELS
from .result import Segmentation

__all__ = [
    "LABELS",
    "JobSummary",
    "JobWatcher",
    "Model",
    "Outcome",
    "SegmentOptions",
    "Segmentation",
    "load_model",
    "memory_bytes",
    "segment",
    "segment_files",
    "segment_plane",
]
