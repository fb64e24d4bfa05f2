"""Images and masks become samples, folds and simulated sets."""

from __future__ import annotations

from .collect import Collection, collect, divide, find_records, validation_groups
from .samples import SampleStore, attribute, load_sample
from .simulate import KINDS, Plan, Simulation, simulate_files

__all__ = [
    "KINDS",
    "Collection",
    "Plan",
    "SampleStore",
    "Simulation",
    "attribute",
    "collect",
    "divide",
    "find_records",
    "load_sample",
    "simulate_files",
    "validation_groups",
]
