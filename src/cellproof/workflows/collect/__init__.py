"""Images and masks become samples, folds and simulated sets."""

from __future__ import annotations

from .collect import Collection, collect, divide, find_records, validation_groups
from .samples import SampleStore, attribute, load_sample
from .simulate import Plan, Simulation, kinds, simulate_files

__all__ = [
    "Collection",
    "Plan",
    "SampleStore",
    "Simulation",
    "attribute",
    "collect",
    "divide",
    "find_records",
    "kinds",
    "load_sample",
    "simulate_files",
    "validation_groups",
]
