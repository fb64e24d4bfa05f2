"""Images and masks become samples, folds and simulated sets."""

from __future__ import annotations

from .collect import Collection, collect, divide, find_records, validation_groups
from .inspect import inspect_data
from .samples import SampleStore, load_sample
from .simulate import KINDS, Plan, Simulation, simulate_files

__all__ = [
    "KINDS",
    "Collection",
    "Plan",
    "SampleStore",
    "Simulation",
    "collect",
    "divide",
    "find_records",
    "inspect_data",
    "load_sample",
    "simulate_files",
    "validation_groups",
]
