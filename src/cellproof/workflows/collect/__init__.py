"""Images and masks become samples, folds and simulated sets."""

from __future__ import annotations

from .collect import Collection, collect, divide, find_records, validation_groups
from .inspect import Finding, inspect_data, summarize
from .samples import SampleStore, attribute, load_sample, read_described_mask
from .simulate import KINDS, Plan, Simulation, simulate_files

__all__ = [
    "KINDS",
    "Collection",
    "Finding",
    "Plan",
    "SampleStore",
    "Simulation",
    "attribute",
    "collect",
    "divide",
    "find_records",
    "inspect_data",
    "load_sample",
    "read_described_mask",
    "simulate_files",
    "summarize",
    "validation_groups",
]
