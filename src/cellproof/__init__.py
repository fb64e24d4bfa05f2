"""Segment microscopy images, see where the result is unsure, and proofread it fast."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .evaluation import evaluate_folders as evaluate
    from .experiment import train
    from .interface import segment
    from .pipeline import load_model

__version__ = "0.1.0"

__all__ = ["__version__", "evaluate", "load_model", "segment", "train"]


_HOMES = {
    "evaluate": ("evaluation", "evaluate_folders"),
    "load_model": ("pipeline", "load_model"),
    "segment": ("interface", "segment"),
    "train": ("experiment", "train"),
}


def __getattr__(name: str) -> Any:
    """Import a function when it is asked for first, so that ``import cellproof`` is quick."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home, function = _HOMES[name]
    found = getattr(import_module(f".{home}", __name__), function)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
