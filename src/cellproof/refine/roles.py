"""Which class is the one that holds together, found by its name where nobody says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..checks import InputError

CONNECTED = ("membrane", "wall", "border")
"""Words of which the connected class has one in its name."""

COMPACT = ("nucleus", "nuclei")

REST = ("cytoplasm", "background", "cell", "interior")


@dataclass(frozen=True)
class Roles:
    """Numbers of the classes that repairs speak of.

    Attributes:
        connected: The structure that must hold together.
        rest: What belongs to no structure.
        compact: The class that is second to grow; None for none.
    """

    connected: int
    rest: int
    compact: int | None


def find_roles(classes: Sequence[str], *, connected: str = "", rest: str = "", compact: str = "") -> Roles:
    """Roles of classes; a role without a name goes to a class called so.

    Args:
        classes: Names of all classes.
        connected: Name of the connected class; "" takes the one called membrane, wall or border.
        rest: Name of the rest; "" takes cytoplasm, background, cell or interior, else the first that is left.
        compact: Name of the compact class; "" takes one called nucleus or nuclei, if there is one.

    Raises:
        InputError: There is no such class, none or several could be the connected one, or one has two roles.

    Examples:
        >>> find_roles(("cytoplasm", "cell membrane", "nucleus"))
        Roles(connected=1, rest=0, compact=2)
    """
    line = _number(classes, connected) if connected else _called(classes, CONNECTED, role="connected")
    assert line is not None
    left = [number for number in range(len(classes)) if number != line]
    core = _number(classes, compact) if compact else _first(classes, left, COMPACT)
    free = [number for number in left if number != core]
    ground = _number(classes, rest) if rest else _first(classes, free, REST)
    if ground is None:
        ground = free[0] if free else None
    if ground is None or len({line, ground, core}) < 3:
        raise InputError(
            f"the connected class, the rest and the compact class must be different ones of {', '.join(classes)}"
        )
    return Roles(line, ground, core)


@dataclass(frozen=True)
class Sides:
    """Numbers of the two classes at an edge.

    Attributes:
        inside: The class of objects.
        outside: The class around them.
    """

    inside: int
    outside: int


def find_sides(classes: Sequence[str], *, inside: str = "", outside: str = "") -> Sides:
    """The two classes whose edge a repair moves.

    Args:
        classes: Names of all classes.
        inside: Name of the class of objects; "" takes the only class beside the one outside.
        outside: Name of the class around them; "" takes background, cytoplasm, cell or interior, else the first that
            is not inside.

    Raises:
        InputError: There is no such class, both are one, or several could be inside.

    Examples:
        >>> find_sides(("background", "neuron"))
        Sides(inside=1, outside=0)
    """
    core = _number(classes, inside) if inside else None
    left = [number for number in range(len(classes)) if number != core]
    words = ("background", *REST)
    ground = _number(classes, outside) if outside else _first(classes, left, words)
    if ground is None:
        ground = next(iter(left), None)
    others = [number for number in range(len(classes)) if number != ground]
    if core is None and len(others) == 1:
        core = others[0]
    if core is None:
        raise InputError(
            f"{len(others)} of the classes {', '.join(classes)} could be inside; say which is, as in "
            f"inside={classes[-1]}"
        )
    if ground is None or core == ground:
        raise InputError(f"inside and outside must be different ones of {', '.join(classes)}")
    return Sides(core, ground)


def _number(classes: Sequence[str], name: str) -> int:
    if name not in classes:
        raise InputError(f"no class {name!r}; there: {', '.join(classes)}")
    return list(classes).index(name)


def _called(classes: Sequence[str], words: Sequence[str], *, role: str) -> int:
    found = [number for number, name in enumerate(classes) if any(word in name.lower() for word in words)]
    if len(found) != 1:
        raise InputError(
            f"{len(found)} of the classes {', '.join(classes)} are called {', '.join(words[:-1])} or {words[-1]}; "
            f"say which is the {role} one, as in {role}={classes[-1]}"
        )
    return found[0]


def _first(classes: Sequence[str], left: Sequence[int], words: Sequence[str]) -> int | None:
    """First of the classes that are left, in the order of the words that they are called by."""
    return next((number for word in words for number in left if word in classes[number].lower()), None)
