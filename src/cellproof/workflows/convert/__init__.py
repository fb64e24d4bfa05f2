"""Sets of foreign formats become folders to train on."""

from __future__ import annotations

from .importing import FORMATS, Imported, import_set

__all__ = ["FORMATS", "Imported", "import_set"]
