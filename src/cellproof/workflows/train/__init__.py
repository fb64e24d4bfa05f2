"""A recipe and samples become a model file."""

from __future__ import annotations

from .folder import STATE_FILE
from .page import duration
from .run import choose_device, run_training
from .state import TrainRequest, Watcher
from .train import train

__all__ = ["STATE_FILE", "TrainRequest", "Watcher", "choose_device", "duration", "run_training", "train"]
