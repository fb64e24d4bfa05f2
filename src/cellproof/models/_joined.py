"""What architectures of two networks share: their options as text, and how both are made."""

from __future__ import annotations

import torch

from ..checks import InputError
from ._any_size import AnySize

_OURS = ("in_channels", "out_channels")


def make_network(name: str, options: str, *, in_channels: int, out_channels: int) -> AnySize:
    """One of the two networks.

    Args:
        name: Architecture of the package.
        options: Its options besides the channels, as ``key=value;key=value``.
        in_channels: Channels that it reads.
        out_channels: Maps that it gives.

    Raises:
        InputError: No such architecture, one that cannot be joined, options that it does not take, or channels among
            them, which would not fit what stands before or after.

    Examples:
        >>> make_network("unet", "width=4;depth=3", in_channels=1, out_channels=2).stride
        4
    """
    from . import load

    given = parse_options(options)
    for channels in _OURS:
        if channels in given:
            raise InputError(
                f"options {options!r} of {name} set {channels}={given[channels]}, but the network has to read "
                f"{in_channels} and give {out_channels} channels to fit the other one; leave {channels} out"
            )
    network = load(name, in_channels=in_channels, out_channels=out_channels, **given)
    if not isinstance(network, AnySize):
        raise InputError(f"{name} cannot be joined to another network; give an architecture of the package")
    return network


def main_output(outputs: torch.Tensor | tuple[torch.Tensor, ...]) -> torch.Tensor:
    """The logits of a network that may have auxiliary ones in training mode."""
    return outputs[0] if isinstance(outputs, tuple) else outputs


def parse_options(text: str) -> dict[str, int | float | bool | str]:
    """Options from ``key=value;key=value``.

    Raises:
        InputError: A part without ``=``.

    Examples:
        >>> parse_options("width=32; norm=batch")
        {'width': 32, 'norm': 'batch'}
    """
    options: dict[str, int | float | bool | str] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        key, equals, value = part.partition("=")
        if not equals:
            raise InputError(f"option {part!r} has no value; expected key=value;key=value, e.g. width=32;depth=5")
        options[key.strip()] = _value(value.strip())
    return options


def _value(text: str) -> int | float | bool | str:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
