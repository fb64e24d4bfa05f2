"""What a network learns to output besides classes, one file for each output: ``head``, ``target`` and its ``LOSS``.

``head(**options) -> Head`` describes the channels, ``target(objects, head) -> (channels, H, W) float32`` computes them
from the objects of a sample, and ``LOSS`` holds the terms that train them where a recipe names none.

A file with ``pixel_map(objects) -> (H, W) float32`` is no output, but what a loss term asks for by its ``MAPS``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...checks import InputError
from ...parts import check_options, find_part, part_names
from ...types import IGNORE, Head, Heads, LossTerm, Sample, Setting
from ._objects import Objects
from ._poisson import flow_field, poisson_height
from .boundary import boundary_map

__all__ = [
    "Objects",
    "Targets",
    "boundary_map",
    "find_head",
    "flow_field",
    "heads_of",
    "losses_of",
    "make_targets",
    "names",
    "poisson_height",
]


@dataclass(frozen=True)
class Targets:
    """Class ids and dense fields of one sample.

    Attributes:
        class_map: (H, W) uint8, `IGNORE` where there is no annotation.
        fields: (F, H, W) float32, targets of the heads in their order.
        maps: Name → (H, W) float32, what loss terms ask for besides.
    """

    class_map: np.ndarray
    fields: np.ndarray
    maps: Mapping[str, np.ndarray] = field(default_factory=dict)


def names() -> list[str]:
    """Outputs that a network can learn besides classes.

    Examples:
        >>> "boundary" in names()
        True
    """
    return part_names(__name__, needs="target")


def find_head(name: str, options: Mapping[str, Setting] | None = None) -> Head:
    """The head of a name.

    Raises:
        InputError: There is none, or it takes other options.

    Examples:
        >>> find_head("flows").geometry
        'vector'
    """
    make = find_part(__name__, name, needs="target", what="output").head
    check_options(make, options or {}, what=f"output {name!r}")
    head: Head = make(**(options or {}))
    return head


def heads_of(classes: int, fields: Sequence[str] = ()) -> Heads:
    """Heads of so many classes and of these outputs, with their default options.

    Examples:
        >>> heads_of(2, ["distance", "flows"]).channels
        5
    """
    return Heads(classes, tuple(find_head(name) for name in fields))


def losses_of(heads: Heads) -> tuple[LossTerm, ...]:
    """The terms that train these heads where a recipe names none."""
    terms = [LossTerm("cross_entropy"), LossTerm("dice")]
    for head in heads.fields:
        terms += find_part(__name__, head.name, needs="target", what="output").LOSS
    return tuple(terms)


def make_targets(sample: Sample, heads: Heads, maps: Iterable[str] = ()) -> Targets:
    """Targets for the output channels that ``heads`` names, and maps for loss terms.

    Pixels without annotation have zero fields; F is 0 without instance heads.

    Args:
        sample: With instances where any head or map is asked for.
        heads: What the network learns.
        maps: Names of files in this folder with a ``pixel_map``.

    Raises:
        InputError: Heads that tell objects apart, or maps, were asked of a sample without instances.
    """
    maps = tuple(maps)
    if not heads.has_instances and not maps:
        return Targets(sample.class_map, np.zeros((0, *sample.class_map.shape), np.float32))
    if sample.instances is None:
        raise InputError(
            f"the masks are semantic, but the output {' or '.join((*heads.names, *maps))} needs object ids; "
            'use heads with classes only and loss terms that take them, or masks = "instances"'
        )
    ignored = sample.class_map == IGNORE
    objects = Objects(np.where(ignored, 0, sample.instances), ignored, sample.class_map)
    none = np.zeros((0, *sample.class_map.shape), np.float32)
    fields = [none, *(_target(objects, head) for head in heads.fields)]
    return Targets(sample.class_map, np.concatenate(fields), {name: _pixel_map(objects, name) for name in maps})


def _pixel_map(objects: Objects, name: str) -> np.ndarray:
    values = find_part(__name__, name, needs="pixel_map", what="map of a loss term").pixel_map(objects)
    return np.asarray(values, np.float32)


def _target(objects: Objects, head: Head) -> np.ndarray:
    """Target of one head.

    Raises:
        InputError: Its file gives another number of channels than its head says.
    """
    values = find_part(__name__, head.name, needs="target", what="output").target(objects, head)
    expected = (head.channels, *objects.instances.shape)
    if values.shape != expected:
        raise InputError(f"data/targets/{head.name}.py gave a target of shape {values.shape}, expected {expected}")
    return np.asarray(values, np.float32)
