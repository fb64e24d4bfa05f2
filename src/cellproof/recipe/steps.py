"""Refine steps as they are written on a command line and in Python."""

from __future__ import annotations

import msgspec

from ..checks import UsageError
from ..types import Setting, Step


def parse_step(text: str | Step) -> Step:
    """A step from ``NAME`` or ``NAME:key=value,...``, values written as in TOML; quotes may be left out.

    Raises:
        UsageError: The text is no such thing.

    Examples:
        >>> parse_step("reconnect:threshold=0.3,connected=cell wall")
        Step(name='reconnect', options={'threshold': 0.3, 'connected': 'cell wall'})
    """
    if isinstance(text, Step):
        return text
    name, _, rest = text.partition(":")
    options: dict[str, Setting] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"step {text!r}: expected NAME or NAME:key=value,..., as in reconnect:threshold=0.3")
        options[key.strip()] = _value(value.strip())
    return Step(name.strip(), options)


def format_step(step: Step) -> str:
    """The step as `parse_step` reads it.

    Examples:
        >>> format_step(Step("reconnect", {"threshold": 0.3}))
        'reconnect:threshold=0.3'
    """
    options = ",".join(f"{key}={value}" for key, value in step.options.items())
    return f"{step.name}:{options}" if options else step.name


def _value(text: str) -> Setting:
    try:
        value = msgspec.toml.decode(f"value = {text}")["value"]
    except msgspec.MsgspecError:
        return text
    return value if isinstance(value, bool | int | float | str) else text
