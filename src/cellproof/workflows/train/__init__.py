"""A recipe and samples become a model file."""

from __future__ import annotations

from .folder import STATE_FILE
from .page import duration
from .run import choose_device, run_training
from .sight import Sight, describe_sight, largest_diameter_px, sight_of
from .start import find_start
from .state import TrainRequest, Watcher
from .train import train

__all__ = [
    "STATE_FILE",
    "Sight",
    "TrainRequest",
    "Watcher",
    "choose_device",
    "describe_sight",
    "duration",
    "find_start",
    "largest_diameter_px",
    "run_training",
    "sight_of",
    "train",
]
