"""A recipe and samples become a model file."""

from __future__ import annotations

from .folder import STATE_FILE
from .page import duration, training_page
from .run import choose_device, train
from .state import TrainRequest, Watcher

__all__ = ["STATE_FILE", "TrainRequest", "Watcher", "choose_device", "duration", "train", "training_page"]
