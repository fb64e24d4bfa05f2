"""Segment microscopy images, see where the result is unsure, and proofread it fast."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .workflows.evaluate import evaluate_folders as evaluate
    from .workflows.predict import load_model
    from .workflows.segment import segment
    from .workflows.train import train

__version__ = "0.1.0"

__all__ = ["__version__", "evaluate", "load_model", "segment", "train"]


_HOMES = {
    "evaluate": ("evaluate", "evaluate_folders"),
    "load_model": ("predict", "load_model"),
    "segment": ("segment", "segment"),
    "train": ("train", "train"),
}


def __getattr__(name: str) -> Any:
    """Import a function when it is asked for first, so that ``import cellproof`` is quick."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home, function = _HOMES[name]
    found = getattr(import_module(f".workflows.{home}", __name__), function)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
