"""JSON of values that msgspec does not know by itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Literal

import msgspec
import numpy as np


def encode(value: object, *, order: Literal["deterministic"] | None = None) -> bytes:
    """JSON of numbers, texts, lists, mappings, dataclasses, structs, NumPy scalars and arrays, and paths.

    Not-a-number and infinity, which JSON lacks, become null.

    Args:
        value: What to encode.
        order: ``"deterministic"`` sorts the keys of mappings.
    """
    return msgspec.json.encode(value, enc_hook=_plain, order=order)


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise NotImplementedError(f"{type(value).__name__} has no JSON form")
