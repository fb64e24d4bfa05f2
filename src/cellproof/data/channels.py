"""Which channels of an image a model is given."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..checks import InputError

_COLORS = 3

_NUCLEAR = (
    r"dapi|hoechst|bisbenzimide|\bh?33342\b|\bh?33258\b",
    r"draq[- ]?[57]|syto(x|[- ]?\d|\b)|to-?pro|yoyo|propidium|sir-?dna|spy\d*-?dna|vybrant",
    r"\bh2[ab]\b|h2[ab][-_ ]|histone|\bnls\b|nuc(?!leol|leopor|leocaps)|kern|\bdna\b",
)
"""What nuclei are marked with, the likeliest first: dyes for DNA alone, other dyes, proteins and plain words."""


@dataclass(frozen=True)
class Choice:
    """Channels to take.

    Attributes:
        places: Their numbers, counted from 0.
        note: What was chosen among what, for the user; empty where there was nothing to choose.
    """

    places: tuple[int, ...]
    note: str = ""


def choose_channels(
    names: Sequence[str],
    *,
    color: bool,
    in_channels: int,
    trained_on: Sequence[str] = (),
    about_nuclei: bool = True,
) -> Choice:
    """Decide which of an image's channels a model gets that nobody has chosen channels for.

    A model of intensities, gray or color, is given one channel of a fluorescence image: the one whose name says
    nucleus. A model of several fluorescence channels is given as many, by their names where it knows them.

    Args:
        names: One a channel, as the file has them.
        color: Whether they are red, green and blue because the file says so.
        in_channels: Channels that the model reads; a single one is repeated to fill them.
        trained_on: Names of the channels that a model of several channels learned from; empty for gray and color.
        about_nuclei: Whether what the model segments is nuclei, so that a name can settle the choice.

    Raises:
        InputError: Several channels and no name that settles it; or fewer or more than the model reads.

    Examples:
        >>> choose_channels(["actin", "DAPI"], color=False, in_channels=3).places
        (1,)
    """
    count = len(names)
    every = tuple(range(count))
    if trained_on:
        return _as_trained(names, trained_on, in_channels)
    if count <= 1 or (color and count == in_channels) or (in_channels not in (1, _COLORS) and count == in_channels):
        return Choice(every)
    if color:
        raise InputError(
            f"the image is a color image ({_listed(names)}), the model reads {in_channels} channel"
            f"{'' if in_channels == 1 else 's'}; choose some, for example {_example(names, in_channels)}",
            argument="channels",
        )
    if in_channels not in (1, _COLORS):
        raise InputError(
            f"the image has {count} channels ({_listed(names)}), the model reads {in_channels}; choose some, for "
            f"example {_example(names, in_channels)}",
            argument="channels",
        )
    fitting = nuclear_channels(names) if about_nuclei else ()
    if fitting:
        others = _listed(names, without=fitting[0])
        return Choice(
            fitting[:1],
            f"channel {fitting[0]} ({names[fitting[0]]}) is read, as its name says nucleus; {others} are left out "
            "and can be chosen instead",
        )
    why = "none of whose names says nucleus" if about_nuclei else "and no name says what this model segments"
    raise InputError(
        f"the image has {count} channels ({_listed(names)}), {why}; the model reads one: choose it, "
        f"for example {_first(names)}{_if_color(count, in_channels)}",
        argument="channels",
    )


def nuclear_channels(names: Sequence[str]) -> tuple[int, ...]:
    """Numbers of the channels whose names say nucleus, the likeliest first.

    Examples:
        >>> nuclear_channels(["H2B-mCherry", "Phalloidin", "Hoechst 33342"])
        (2, 0)
    """
    found: list[int] = []
    for pattern in _NUCLEAR:
        matching = [place for place, name in enumerate(names) if re.search(pattern, name.casefold())]
        found += [place for place in matching if place not in found]
    return tuple(found)


def _as_trained(names: Sequence[str], trained_on: Sequence[str], in_channels: int) -> Choice:
    """The channels of the names that the model learned from, in their order; all where there are as many."""
    folded = [name.strip().casefold() for name in names]
    wanted = [name.strip().casefold() for name in trained_on]
    if len(set(folded)) == len(folded) and set(wanted) <= set(folded):
        places = tuple(folded.index(name) for name in wanted)
        in_order = places == tuple(range(len(names)))
        note = f"channels {', '.join(trained_on)} are read, as in training; the image has {_listed(names)}"
        return Choice(places, "" if in_order else note)
    if len(names) in (1, in_channels):
        note = f"the channels {_listed(names)} are read as {', '.join(trained_on)}, which the model was trained on"
        return Choice(tuple(range(len(names))), note)
    raise InputError(
        f"the image has {len(names)} channels ({_listed(names)}), the model reads {in_channels} "
        f"({', '.join(trained_on)}); choose some, for example {_example(names, in_channels)}",
        argument="channels",
    )


def _listed(names: Sequence[str], *, without: int = -1) -> str:
    return ", ".join(f"{place} {name}" for place, name in enumerate(names) if place != without)


def _first(names: Sequence[str]) -> str:
    has_name = not names[0].startswith("channel ") and "," not in names[0]
    return "channels=0" + (f" or channels={names[0]!r}" if has_name else "")


def _if_color(count: int, in_channels: int) -> str:
    fits = count == in_channels == _COLORS
    return f", or channels={list(range(_COLORS))} if they are red, green and blue" if fits else ""


def _example(names: Sequence[str], in_channels: int) -> str:
    """An option that works: as many channels as the model reads, or one, which is repeated."""
    if len(names) < in_channels or in_channels == _COLORS:
        return "channels=0"
    return f"channels={list(range(in_channels))}"
