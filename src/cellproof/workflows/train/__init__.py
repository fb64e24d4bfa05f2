"""A recipe and samples become a model file."""

from __future__ import annotations

from .costs import measure_costs
from .folder import STATE_FILE
from .page import duration
from .run import choose_device, run_training
from .sight import Sight, describe_sight, largest_diameter_px, sight_of
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
    "largest_diameter_px",
    "measure_costs",
    "run_training",
    "sight_of",
    "train",
]
