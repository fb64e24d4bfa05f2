"""Options that several commands have, and what the command line calls the arguments of the library."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ..checks import UsageError
from ..inference.engine import Device, EngineName, Precision
from ..types import Promise

DeviceOption = Annotated[Device, typer.Option("--device", help="Where the network runs.")]
EngineOption = Annotated[EngineName, typer.Option("--engine", help="What runs it; auto takes the fastest.")]
PrecisionOption = Annotated[Precision, typer.Option("--precision", help="Arithmetic of the network.")]
ThreadsOption = Annotated[int | None, typer.Option("--threads", min=1, help="Processor threads. Default: all cores.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Random seed.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
OutOption = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the results; made if missing.")]
ModelOption = Annotated[
    str,
    typer.Option("--model", metavar="NAME|FILE", help="Model of `cellproof models`, a model file, or a training run."),
]

_NAMES = {
    "data": "DATA",
    "diameter_px": "--diameter",
    "image": "INPUT",
    "min_area_px": "--min-area",
    "condition": "--condition",
    "overrides": "--set",
    "prediction": "PREDICTIONS",
    "reference": "REFERENCE",
    "time_s": "--time",
}
"""What arguments of the library are called here, where it is not ``--NAME`` with hyphens."""

_TIME_UNITS_S = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def option_name(argument: str) -> str:
    """What the command line calls an argument of the library.

    Example:
        >>> option_name("max_memory"), option_name("time_s")
        ('--max-memory', '--time')
    """
    return _NAMES.get(argument, f"--{argument.replace('_', '-')}")


def with_advice(message: str, arguments: Sequence[str]) -> str:
    """An error's message, with the options that it is about.

    Example:
        >>> with_advice("out holds results already; give another folder, or overwrite", ("out", "overwrite"))
        'out holds results already; give another folder, or overwrite (--out, --overwrite)'
        >>> with_advice("choose one, for example channels=0 or channels='DAPI'", ("channels",))
        "choose one, for example --channels 0 or --channels 'DAPI'"
        >>> with_advice("choose two, for example channels=[0, 1]", ("channels",))
        'choose two, for example --channels 0,1'
    """
    missing = []
    for argument in arguments:
        # "channels=0" is what one writes in Python.
        option = option_name(argument)
        message, found = re.subn(rf"\b{argument}=('[^']*'|\[[^]]*\]|[\w,.]*\w)", partial(_as_option, option), message)
        missing += [] if found else [option]
    return f"{message} ({', '.join(missing)})" if missing else message


def _as_option(option: str, found: re.Match[str]) -> str:
    value = found[1]
    return f"{option} {value.strip('[]').replace(', ', ',') if value.startswith('[') else value}"


def parse_channels(text: str) -> tuple[int | str, ...] | None:
    """Channels as ``0,1`` or ``DAPI,GFP``; None for an empty text.

    Raises:
        UsageError: A name is missing.

    Example:
        >>> parse_channels("2,DAPI")
        (2, 'DAPI')
    """
    if not text:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise UsageError(f"--channels {text!r}; expected numbers counted from 0, or names, as in --channels 0,2")
    return tuple(int(part) if part.isdecimal() else part for part in parts)


def parse_diameter(text: str) -> float | str | None:
    """Pixels as ``12`` or ``12.5``, or ``auto``; None for an empty text.

    Raises:
        UsageError: Anything else.
    """
    if not text or text == "auto":
        return text or None
    try:
        return float(text)
    except ValueError:
        raise UsageError(
            f"--diameter {text!r}; expected the objects' usual diameter in pixels, as in --diameter 12, or auto"
        ) from None


def parse_promise(text: str) -> Promise | None:
    """A promise as ``0.05``, ``5%`` or ``0.05,0.8``; None for an empty text.

    Raises:
        UsageError: Anything else.

    Example:
        >>> str(parse_promise("5%")), str(parse_promise("0.05,0.8"))
        ('0.05,0.7', '0.05,0.8')
    """
    if not text:
        return None
    try:
        return Promise.parse(text)
    except (ValueError, TypeError):
        raise UsageError(
            f"--promise {text!r}; expected a fraction of accepted images, as in --promise 0.05, or with the F1 below "
            "which they may lie, as in --promise 0.05,0.8"
        ) from None


def parse_time(text: str) -> float | None:
    """Seconds of ``90s``, ``20min``, ``1.5h``; None for an empty text.

    Raises:
        UsageError: Anything else.

    Example:
        >>> parse_time("1.5h")
        5400.0
    """
    if not text:
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", text.lower())
    unit = _TIME_UNITS_S.get(found[2]) if found else None
    if found is None or unit is None or not float(found[1]):
        raise UsageError(
            f"--time {text!r}; expected a number and a unit, as in --time 90s, --time 20min or --time 1.5h"
        )
    return float(found[1]) * unit


def plural(count: int, noun: str) -> str:
    """A number and its noun.

    Example:
        >>> plural(1, "object"), plural(2, "object")
        ('1 object', '2 objects')
    """
    return f"{count} {noun}{'' if count == 1 else 's'}"
