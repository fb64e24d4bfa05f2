"""Segment microscopy images, see where the result is unsure, and proofread it fast."""

__version__ = "0.1.0"
