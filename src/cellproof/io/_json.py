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
    try:
        return msgspec.json.encode(value, enc_hook=_plain, order=order)
    except UnicodeEncodeError:
        return msgspec.json.encode(_readable_parts(msgspec.to_builtins(value, enc_hook=_plain)), order=order)


def readable(text: str) -> str:
    """Text in which bytes of a file name that are no UTF-8 (lone surrogates in Python) are written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def _readable_parts(value: object) -> object:
    match value:
        case str():
            return readable(value)
        case dict():
            return {_readable_parts(key): _readable_parts(part) for key, part in value.items()}
        case list() | tuple():
            return [_readable_parts(part) for part in value]
        case _:
            return value


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
