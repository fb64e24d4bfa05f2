"""Images and masks become samples, folds and simulated sets."""

from __future__ import annotations

from .collect import Collection, collect, divide, find_records, validation_groups
from .inspect import inspect_data
from .samples import SampleStore, load_sample
from .simulate import Plan, Simulation, kinds, simulate_files

__all__ = [
    "Collection",
    "Plan",
    "SampleStore",
    "Simulation",
    "collect",
    "divide",
    "find_records",
    "inspect_data",
    "kinds",
    "load_sample",
    "simulate_files",
    "validation_groups",
]
