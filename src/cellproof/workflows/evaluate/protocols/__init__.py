"""Protocols, one file each; a file's name is its protocol's name.

A protocol has ``count(variant, reference, options)`` and ``rows(counts, names, options, *, group, seed)``. It may also
have ``MASKS``, ``NEEDS_SOURCE``, ``VIEWS``, ``Options``, ``choose``, ``variants``, ``describe``, ``figures``,
``COLUMNS`` and ``NOTES``; `Protocol` says what each is, and what stands for one that is not there.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from ....checks import UsageError
from ..protocol import NoOptions, Protocol, choose_nothing, one_variant


def names() -> list[str]:
    """Protocols kept in this folder, and in folders appended to its ``__path__``.

    Examples:
        >>> [name for name in names() if name in ("pixel", "stardist")]
        ['pixel', 'stardist']
    """
    return sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))


def load(name: str) -> Protocol:
    """The protocol in ``protocols/<name>.py``.

    Raises:
        UsageError: There is none; those that there are are named.

    Examples:
        >>> load("pixel").masks
        ('semantic', 'instances')
    """
    if name not in names():
        raise UsageError(f"no protocol {name!r}; there are {', '.join(names())}")
    module = import_module(f"{__name__}.{name}")

    def part(key: str, default: Any) -> Any:
        return getattr(module, key, default)

    return Protocol(
        name=name,
        title=_first_line(module),
        masks=tuple(part("MASKS", ("semantic", "instances"))),
        needs_source=part("NEEDS_SOURCE", False),
        views=part("VIEWS", True),
        options_type=part("Options", NoOptions),
        choose=part("choose", choose_nothing),
        variants=part("variants", one_variant),
        count=module.count,
        rows=module.rows,
        describe=part("describe", lambda choice: ""),
        figures=part("figures", None),
        columns=tuple(part("COLUMNS", ())),
        notes=tuple(part("NOTES", ())),
    )


def _first_line(module: ModuleType) -> str:
    return (module.__doc__ or module.__name__).strip().splitlines()[0]
