"""Dense maps become separate objects; a method is a file that says what it ``NEEDS``.

``NEEDS`` names the outputs without which it cannot work, ``TUNED`` holds the values that validation tries for each of
its options, and ``separate(maps, foreground, options) -> labels`` divides the foreground (H, W) among objects;
``maps`` are the outputs by name, each (channels, H, W). ``separate_all(maps, foregrounds, options)``, where a file has
it, gives the same for several foregrounds and options in less time. One with ``ON_REQUEST`` is never chosen by
validation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from ..parts import find_part, part_names
from ..types import InstanceOptions, Setting

Separate = Callable[[Mapping[str, np.ndarray], np.ndarray, InstanceOptions], np.ndarray]


def methods() -> list[str]:
    """Methods that a model can name.

    Examples:
        >>> "watershed" in methods()
        True
    """
    return part_names(__name__, needs="NEEDS")


def needs(method: str) -> tuple[str, ...]:
    """Outputs without which a method cannot work.

    Raises:
        InputError: There is no such method.
    """
    needed: tuple[str, ...] = find_part(__name__, method, needs="NEEDS", what="method").NEEDS
    return needed


def tuned(method: str) -> dict[str, Sequence[Setting]]:
    """Options of a method, each with the values that validation tries.

    Raises:
        InputError: There is no such method.
    """
    return dict(find_part(__name__, method, needs="NEEDS", what="method").TUNED)


def on_request(method: str) -> bool:
    """Whether a method is used only where a recipe or model names it, and never chosen by validation.

    Raises:
        InputError: There is no such method.
    """
    return bool(getattr(find_part(__name__, method, needs="NEEDS", what="method"), "ON_REQUEST", False))


def load(method: str) -> Separate:
    """The function ``separate`` of a method.

    Raises:
        InputError: There is no such method.
    """
    separate: Separate = find_part(__name__, method, needs="NEEDS", what="method").separate
    return separate


def load_all(
    method: str,
) -> Callable[[Mapping[str, np.ndarray], Sequence[np.ndarray], Sequence[InstanceOptions]], list[np.ndarray]]:
    """The function ``separate_all`` of a method; of one without, its ``separate`` for each foreground and its options.

    Raises:
        InputError: There is no such method.
    """
    module = find_part(__name__, method, needs="NEEDS", what="method")

    def one_by_one(
        maps: Mapping[str, np.ndarray], foregrounds: Sequence[np.ndarray], options: Sequence[InstanceOptions]
    ) -> list[np.ndarray]:
        return [module.separate(maps, mask, one) for mask, one in zip(foregrounds, options, strict=True)]

    return getattr(module, "separate_all", one_by_one)


def with_option(options: InstanceOptions, name: str, value: Setting) -> InstanceOptions:
    """The options with one of them set: a field of `InstanceOptions`, or an option of the method.

    Examples:
        >>> with_option(InstanceOptions(), "smallest_area_px", 3).smallest_area_px
        3
        >>> with_option(InstanceOptions(), "overlap", 0.4).options
        {'overlap': 0.4}
    """
    if name in InstanceOptions.__struct_fields__:
        return msgspec.structs.replace(options, **{name: value})
    return msgspec.structs.replace(options, options={**options.options, name: value})
