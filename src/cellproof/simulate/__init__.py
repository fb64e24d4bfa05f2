"""Images with exact truth, one specimen a file, whose ``KIND`` tells how it is drawn and what its masks hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..parts import find_part

if TYPE_CHECKING:
    from ._simulated import SimulatedTissue

Quality = Literal["good", "low"]

AREA_PX = 512 * 512
"""Numbers of objects are given for an image of this area."""


@dataclass(frozen=True)
class Picture:
    """One image with its truth.

    Attributes:
        image: (H, W) or (H, W, 3) uint8.
        mask: (H, W) uint8 class ids of a semantic kind, or int32 object ids.
        cells: (H, W) int32 ids of what membranes enclose; None where there are no membranes.
    """

    image: np.ndarray
    mask: np.ndarray
    cells: np.ndarray | None = None

    @classmethod
    def of_tissue(cls, tissue: SimulatedTissue) -> Picture:
        """Of cells side by side, whose classes are the mask."""
        return cls(tissue.image, tissue.class_map, tissue.cells)


@dataclass(frozen=True)
class Kind:
    """A specimen that can be simulated.

    Attributes:
        title: What it shows, for a person.
        draw: From source of chance, size and quality to an image; the same source gives the same image.
        masks: What its masks hold.
        classes: Their names, as in a `Description`.
        colors: Of the classes; empty with instances.
        qualities: Those that make a difference.
        attributes: From source of chance to what a table says of the image that is drawn from the same one, column →
            value; None where there is nothing to say.
    """

    title: str
    draw: Callable[[np.random.Generator, int, Quality], Picture]
    masks: Literal["semantic", "instances"]
    classes: tuple[str, ...]
    colors: tuple[str, ...] = ()
    qualities: tuple[Quality, ...] = ("good", "low")
    attributes: Callable[[np.random.Generator], Mapping[str, str]] | None = None

    @property
    def has_cells(self) -> bool:
        """Whether an image comes with ids of the cells that its membranes enclose."""
        return self.masks == "semantic"


def names() -> list[str]:
    """Specimens in this folder; no file is imported to know them, for a command line lists them.

    Examples:
        >>> names()
        ['glands', 'histology', 'honeycomb', 'liver', 'nuclei', 'phase_contrast']
    """
    return sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))


def load(name: str) -> Kind:
    """The ``KIND`` of a file in this folder.

    Raises:
        InputError: There is no such file.
    """
    kind: Kind = find_part(__name__, name, needs="KIND", what="simulation").KIND
    return kind
