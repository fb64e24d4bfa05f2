"""Segment microscopy images, see where the result is unsure, and proofread it fast."""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING

if _TYPE_CHECKING:
    from .checks import InputError
    from .types import Quality
    from .workflows.evaluate import Scores, evaluate
    from .workflows.segment import Model, Segmentation, load_model, segment
    from .workflows.train import train

__version__ = "0.1.0"

__all__ = [
    "InputError",
    "Model",
    "Quality",
    "Scores",
    "Segmentation",
    "__version__",
    "evaluate",
    "load_model",
    "segment",
    "train",
]

_HOMES = {
    "InputError": "checks",
    "Model": "workflows.segment",
    "Quality": "types",
    "Scores": "workflows.evaluate",
    "Segmentation": "workflows.segment",
    "evaluate": "workflows.evaluate",
    "load_model": "workflows.segment",
    "segment": "workflows.segment",
    "train": "workflows.train",
}


def __getattr__(name: str) -> object:
    """Import a function or class when it is asked for first, so that ``import cellproof`` is quick."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(_import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
