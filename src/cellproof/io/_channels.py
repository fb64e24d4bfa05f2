"""Channels asked for by name or number."""

from __future__ import annotations

from collections.abc import Sequence

from ..checks import InputError


def find_channel(asked: int | str, names: Sequence[str]) -> int:
    """Number of a channel, counted from 0.

    Args:
        asked: A number; or a name, upper or lower case alike, or a part of a name that only one channel has. A
            number that is none of the channels' may be a name, as wavelengths are.
        names: One a channel.

    Raises:
        InputError: No channel is called so, or several are; the names and numbers that are there are listed.

    Examples:
        >>> find_channel("dapi", ["GFP", "DAPI (405)"])
        1
        >>> find_channel(488, ["405", "488"])
        1
    """
    if isinstance(asked, int) and 0 <= asked < len(names):
        return asked
    wanted = str(asked).strip().casefold()
    folded = [name.strip().casefold() for name in names]
    fitting = [place for place, name in enumerate(folded) if name == wanted]
    if not fitting and isinstance(asked, str) and wanted:
        fitting = [place for place, name in enumerate(folded) if wanted in name]
    if len(fitting) == 1:
        return fitting[0]
    problem = "is the name of several" if fitting else "is none of them"
    raise InputError(
        f"channel {asked} asked for, which {problem}; the image has {len(names)} ({list_channels(names)}), counted "
        f"from 0: choose among 0 to {len(names) - 1}",
        argument="channels",
    )


def list_channels(names: Sequence[str]) -> str:
    """Numbers and names of channels for a sentence.

    Examples:
        >>> list_channels(["DAPI", "GFP"])
        '0 DAPI, 1 GFP'
    """
    return ", ".join(f"{place} {name}" for place, name in enumerate(names))
