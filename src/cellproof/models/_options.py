"""Options that architectures have in common: their checks, and what a norm's name stands for."""

from __future__ import annotations

from typing import Literal, get_args

from torch import nn

from ..checks import InputError
from ._batch_renorm import BatchRenorm2d

Norm = Literal["none", "batch", "batch_renorm"]


def check_counts(**counts: int) -> None:
    """Refuse what is not a whole number from 1, naming it.

    Raises:
        InputError: ``width is 0, expected a whole number, at least 1``.
    """
    for name, value in counts.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise InputError(f"{name} is {value!r}, expected a whole number, at least 1")


def check_dropout(dropout: float) -> None:
    """Refuse what is not a probability below 1.

    Raises:
        InputError: ``dropout is 1.0, expected a probability in [0, 1)``.
    """
    if not isinstance(dropout, int | float) or not 0 <= dropout < 1:
        raise InputError(f"dropout is {dropout!r}, expected a probability in [0, 1)")


def check_norm(norm: str) -> None:
    """Refuse an unknown norm.

    Raises:
        InputError: ``norm is 'layer', expected one of none, batch, batch_renorm``.
    """
    if norm not in get_args(Norm):
        raise InputError(f"norm is {norm!r}, expected one of {', '.join(get_args(Norm))}")


def normalization(norm: Norm, channels: int) -> list[nn.Module]:
    """The layers, one or none, that a norm's name stands for."""
    if norm == "batch":
        return [nn.BatchNorm2d(channels)]
    if norm == "batch_renorm":
        return [BatchRenorm2d(channels)]
    return []
