"""A recipe and samples become a model file."""

from __future__ import annotations

from .costs import measure_costs
from .folder import STATE_FILE
from .page import duration
from .run import choose_device, run_training
from .sight import draw_sight, what_it_sees
from .start import find_start
from .state import TrainRequest, Watcher
from .train import train

__all__ = [
    "STATE_FILE",
    "TrainRequest",
    "Watcher",
    "choose_device",
    "draw_sight",
    "duration",
    "find_start",
    "measure_costs",
    "run_training",
    "train",
    "what_it_sees",
]
