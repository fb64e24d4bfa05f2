"""(Logits, target) → scalar; one idea a file, whose ``term`` a recipe can name.

Every loss computes in float32 at least, whatever comes in; pixels left out have exactly zero gradient, and where
nothing is left the loss is 0 with zero gradient. No loss moves a value to the host, so none waits for the device.

``term(outputs, target, *, class_map, class_weights, **options) -> scalar``: ``outputs`` (N, C, H, W) are the channels
of one output; ``target`` is the class map (N, H, W) where these are the classes, else the fields (N, C, H, W);
``class_map`` tells which pixels are annotated (not 255) and which lie in objects (above 0).

A term that has a keyword ``progress`` is told the fraction of the training that is done. A file with ``MAPS`` names
maps of the reference, (N, H, W) each, that its term takes as keywords; ``data/targets`` makes them.

A network may learn from images alone: in training mode its last output then is a pair of views, (2, N, K, h, w), on
which terms with ``on = "views"`` look: ``outputs`` is the first, ``target`` the second, all pixels count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..checks import InputError
from ..parts import check_options, find_part, part_names
from ..types import Heads, LossTerm

if TYPE_CHECKING:
    from torch import Tensor

VIEWS = "views"
"""What a term is on that compares two views of an image, without labels."""


def names() -> list[str]:
    """Terms that a recipe can name.

    Examples:
        >>> "dice" in names()
        True
    """
    return part_names(__name__, needs="term")


def load(name: str) -> Callable[..., Tensor]:
    """The ``term`` of a file in this folder.

    Raises:
        InputError: There is no such file.
    """
    term: Callable[..., Tensor] = find_part(__name__, name, needs="term", what="loss term").term
    return term


def maps_of(terms: Sequence[LossTerm]) -> tuple[str, ...]:
    """Maps of the reference that the terms ask for, each once.

    Examples:
        >>> maps_of([LossTerm("dice"), LossTerm("border_weight")])
        ('border_gap',)
    """
    files = [find_part(__name__, term.name, needs="term", what="loss term") for term in terms if term.weight]
    return tuple(dict.fromkeys(name for file in files for name in getattr(file, "MAPS", ())))


def check_terms(terms: Sequence[LossTerm], heads: Heads) -> None:
    """Refuse terms that no training of these heads could compute.

    Raises:
        InputError: No such term, option or output, or no weight at all.
    """
    outputs = ("classes", *heads.names, VIEWS)
    for term in terms:
        told = {"class_map", "class_weights", "progress", *maps_of([term])}
        check_options(
            load(term.name),
            term.options,
            what=f"loss term {term.name!r}",
            given=frozenset(told),
        )
        if term.on not in outputs:
            raise InputError(
                f"loss term {term.name!r} is on {term.on!r}, which the network does not learn; "
                f"its outputs: {', '.join(outputs)}"
            )
    if not any(term.weight for term in terms):
        raise InputError("no loss term has a weight above 0; name at least one")
