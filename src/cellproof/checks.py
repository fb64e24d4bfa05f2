"""Input checks that say what came, what was wanted and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

import numpy as np


class InputError(ValueError):
    """The caller's data or options cannot be used; the message is one line meant for a person.

    Args:
        message: What came, what was expected, and what to do, in the words of the Python interface.
        argument: Name of the argument, or names of the arguments, that the advice is about.

    Attributes:
        arguments: Those names; a command line adds what it calls them. Empty where the data itself is at fault.

    Example:
        >>> error = InputError("channels 0,1,2 asked for; the image has 2", argument="channels")
        >>> error.arguments
        ('channels',)
        >>> print(error.within("a.tif"))
        a.tif: channels 0,1,2 asked for; the image has 2
    """

    def __init__(self, message: str = "", *, argument: str | tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.arguments = (argument,) if isinstance(argument, str) else argument

    def within(self, place: object) -> InputError:
        """The same error, of the same class and about the same arguments, that says where it happened."""
        return type(self)(f"{place}: {self}", argument=self.arguments)


class UsageError(InputError):
    """The request is invalid whatever the data: contradictory options, unavailable hardware, or existing output."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question that names the closest known name, empty where none is close.

    Example:
        >>> did_you_mean("nucleii", ["nuclei", "cells"])
        "; did you mean 'nuclei'?"
    """
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def check_same_shape(**arrays: np.ndarray) -> None:
    """Refuse arrays of different shapes, naming each.

    Raises:
        InputError: ``shapes differ: prediction (512, 512), reference (520, 520)``.
    """
    if len({array.shape for array in arrays.values()}) > 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise InputError(f"shapes differ: {shapes}")


def check_ndim(ndim: int, **arrays: np.ndarray) -> None:
    """Refuse arrays that do not have ``ndim`` axes, naming the first.

    Raises:
        InputError: ``labels has shape (3, 4, 5), wanted 2 axes``.
    """
    for name, array in arrays.items():
        if array.ndim != ndim:
            raise InputError(f"{name} has shape {array.shape}, expected {ndim} axes")


def check_labels(**arrays: np.ndarray) -> None:
    """Refuse label images that are not non-negative whole numbers.

    Raises:
        InputError: naming the array, its dtype or its smallest value.
    """
    for name, array in arrays.items():
        if not np.issubdtype(array.dtype, np.integer) and array.dtype != bool:
            raise InputError(f"{name} has dtype {array.dtype}, expected whole numbers (0 background, 1…n objects)")
        if array.size and array.min() < 0:
            raise InputError(f"{name} contains {array.min()}, expected 0 (background) and positive ids")


def check_finite(**arrays: np.ndarray) -> None:
    """Refuse NaN and infinity, saying how many there are.

    Raises:
        InputError: ``image contains 3 NaN or infinite values of 4096; …``.
    """
    for name, array in arrays.items():
        if np.issubdtype(array.dtype, np.inexact):
            bad = int(array.size - np.isfinite(array).sum())
            if bad:
                raise InputError(
                    f"{name} contains {bad} NaN or infinite values of {array.size}; replace them before segmenting"
                )
