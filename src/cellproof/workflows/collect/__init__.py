"""Images and masks become samples, folds and simulated sets."""

from __future__ import annotations

from .collect import Collection, collect, divide, find_records, group_duplicates
from .inspect import inspect_data
from .samples import SampleStore, load_mask, load_sample
from .simulate import Plan, Simulation, simulate_files

__all__ = [
    "Collection",
    "Plan",
    "SampleStore",
    "Simulation",
    "collect",
    "divide",
    "find_records",
    "group_duplicates",
    "inspect_data",
    "load_mask",
    "load_sample",
    "simulate_files",
]
