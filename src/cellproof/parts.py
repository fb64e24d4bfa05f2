"""Parts that enter by name: what recipes and model files say of them, and how the file of a part is found.

A part is a file in its room's folder; nothing lists it. A folder appended to the room's ``__path__`` holds parts too.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from inspect import Parameter, signature
from pkgutil import iter_modules
from types import ModuleType
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from .checks import InputError

Setting = int | float | bool | str
"""A value of an option in a recipe or a model file."""


RENAMED_KEYS = {
    "colours": "colors",
    "colour": "color",
    "licence": "license",
    "normalisation": "normalization",
    "optimiser": "optimizer",
    "greyscale": "grayscale",
}
"""Keys of files written before American spelling was adopted, and what they are called now."""


def with_current_keys(values: Any) -> Any:
    """The same nested values with keys of old files renamed, so that these stay readable.

    Args:
        values: What a TOML or JSON reader returns: dictionaries, lists and plain values.

    Returns:
        A copy; where a mapping holds both spellings, both stay, and its reader refuses the old one. What stands below
        ``options`` is a part's own, and stays as it is.

    Examples:
        >>> with_current_keys({"colours": ["#000000"], "augment": {"colour": 0.2}})
        {'colors': ['#000000'], 'augment': {'color': 0.2}}
    """
    if isinstance(values, dict):
        current = {key: key if RENAMED_KEYS.get(key, key) in values else RENAMED_KEYS.get(key, key) for key in values}
        return {current[key]: value if key == "options" else with_current_keys(value) for key, value in values.items()}
    if isinstance(values, list):
        return [with_current_keys(value) for value in values]
    return values


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One output of a network besides the classes.

    Attributes:
        name: A file in ``data/targets``, which computes its target.
        channels: Number of channels.
        activation: From the network's output to the map: "none", "sigmoid", "clip" to [0, 1], or "positive" (negative
            values become 0).
        geometry: What happens to the values when the image is turned or resampled: a "scalar" stays; a "length" in
            pixels is divided by the scale; a "vector" (row, column) of unit length turns with the image; "rays" are
            lengths in n directions, n a multiple of 4, channel k at the angle 2πk/n from +column toward +row.
        probabilities: So many of the channels, the first, are yes-or-no questions of their own: each is a sigmoid and a
            scalar, and activation and geometry speak of the channels after them.
        unit: What the network gives in those is multiplied by this before anything else, so that lengths of tens of
            pixels need no large weights, which take long to learn.
    """

    name: str
    channels: int = 1
    activation: Literal["none", "sigmoid", "clip", "positive"] = "none"
    geometry: Literal["scalar", "length", "vector", "rays"] = "scalar"
    probabilities: int = 0
    unit: float = 1.0


class Heads(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the output channels of a network mean, in this order.

    Attributes:
        classes: Channels 0…classes-1 are logits of a softmax; with instances, class 0 is background.
        fields: Further outputs, which tell objects apart.

    Examples:
        >>> heads = Heads(2, (Head("boundary", activation="sigmoid"), Head("flows", 2, geometry="vector")))
        >>> heads.channels, heads.slices["flows"]
        (5, slice(3, 5, None))
    """

    classes: int
    fields: tuple[Head, ...] = ()

    @property
    def channels(self) -> int:
        """Number of output channels of the network."""
        return self.classes + sum(head.channels for head in self.fields)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the outputs besides the classes."""
        return tuple(head.name for head in self.fields)

    @property
    def has_instances(self) -> bool:
        """Whether any channel tells objects apart."""
        return bool(self.fields)

    @property
    def is_detector(self) -> bool:
        """Whether objects are found one by one, by an architecture of ``detectors``, rather than pixel by pixel."""
        return "detections" in self.names

    @property
    def class_slice(self) -> slice:
        """Channels of the class logits."""
        return slice(0, self.classes)

    @property
    def slices(self) -> dict[str, slice]:
        """Channels of each output besides the classes, name → slice, in order."""
        found, start = {}, self.classes
        for head in self.fields:
            found[head.name] = slice(start, start + head.channels)
            start += head.channels
        return found


class LossTerm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One term of a training loss.

    Attributes:
        name: A file in ``losses``.
        weight: Its factor, at least 0; 0 leaves it out.
        on: The output that it compares with its target: "classes" or the name of a head.
        options: Keyword arguments of the file's ``term``.
    """

    name: str
    weight: Annotated[float, Meta(ge=0)] = 1.0
    on: str = "classes"
    options: Mapping[str, Setting] = {}


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, repr_omit_defaults=True, omit_defaults=True):
    """A repair of class maps.

    Attributes:
        name: A file in ``refine``.
        options: Fields of the file's ``Options`` that differ from their defaults.
        learned: Numbers that the step learned at the end of a training run, by name; empty for one that learns nothing,
            or has not yet.
    """

    name: str
    options: Mapping[str, Setting] = {}
    learned: Mapping[str, tuple[float, ...]] = {}


class InstanceOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How dense maps become separate objects.

    Attributes:
        method: A file in ``instances`` with ``NEEDS``: "flows" follows the flow to its sinks; "watershed" floods the
            distance from its summits; "components" labels connected foreground.
        foreground_threshold: A pixel belongs to an object when 1 - P(background) reaches this.
        seed_threshold: Watershed: a summit must rise this far above the pass to a higher one, in (0, 1).
        boundary_weight: Watershed: how strongly the boundary probability lowers the height.
        smallest_area_px: Smaller objects are dropped.
        fill_holes: Whether holes in an object are filled.
        options: Options of any other method, name → value.
    """

    method: str = "flows"
    foreground_threshold: float = 0.5
    seed_threshold: float = 0.1
    boundary_weight: float = 0.5
    smallest_area_px: int = 10
    fill_holes: bool = True
    options: Mapping[str, Setting] = {}


def part_names(room: str, *, needs: str) -> list[str]:
    """Names of the files in a room's folder that define what makes a part.

    Args:
        room: Import name of the room, such as ``"cellproof.losses"``.
        needs: Name that the file must define, such as ``"term"``.

    Examples:
        >>> part_names("cellproof.refine", needs="apply")
        ['boundary_tuning', 'closing', 'reassign', 'reconnect']
    """
    files = sorted(module.name for module in iter_modules(import_module(room).__path__))
    return [name for name in files if name[0] != "_" and hasattr(import_module(f"{room}.{name}"), needs)]


def find_part(room: str, name: str, *, needs: str, what: str) -> ModuleType:
    """The file of a part.

    Args:
        room: Import name of the room.
        name: Of the part.
        needs: Name that its file must define.
        what: What such a part is called in a message.

    Raises:
        InputError: There is none of this name; the message lists those that there are.
    """
    if name.isidentifier() and not name.startswith("_"):
        try:
            module = import_module(f"{room}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{room}.{name}":
                raise
        else:
            if hasattr(module, needs):
                return module
    raise InputError(f"no {what} {name!r}; there: {', '.join(part_names(room, needs=needs))}")


def check_options(function: Any, options: Mapping[str, Any], *, what: str, given: frozenset[str] = frozenset()) -> None:
    """Refuse options that a part's function does not take by keyword.

    Args:
        function: Whose keyword-only parameters are its options.
        options: What came.
        what: What to call the part in a message.
        given: Keyword-only parameters that are no options.

    Raises:
        InputError: Naming the option and those that there are.
    """
    known = [name for name, p in signature(function).parameters.items() if p.kind == Parameter.KEYWORD_ONLY]
    known = [name for name in known if name not in given]
    for name in options:
        if name not in known:
            raise InputError(f"{what} has no option {name!r}; there: {', '.join(known) or 'none'}")
