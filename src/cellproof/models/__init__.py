"""Architectures, one file each; a file's name is its model's name.

A model takes float images (N, C, H, W) of any size and gives logits (N, K, H, W) of the same height and width.
In training mode it may give ``(logits, *auxiliary)``, all of that shape, for deep supervision. It states ``stride``
and ``receptive_field_px``. Traced (ONNX, OpenVINO), it takes multiples of ``stride`` only.
"""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from pkgutil import iter_modules, resolve_name
from typing import Any

from torch import nn

from ..checks import InputError


def names() -> list[str]:
    """Architectures kept in this folder."""
    return sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))


def load(name: str, **options: Any) -> nn.Module:
    """Build the architecture in ``models/<name>.py``, or at ``package.module:function``.

    The second form imports and calls what it is told to: never give it a name from a file of unknown origin.

    Raises:
        InputError: no such architecture, or one that does not take these options.
    """
    build = _find(name)
    try:
        signature(build).bind(**options)
    except TypeError as error:
        raise InputError(f"architecture {name!r}: {error}; it takes {signature(build)}") from error
    return build(**options)


def _find(name: str) -> Any:
    """The function that builds an architecture."""
    if name in names():
        return import_module(f"{__name__}.{name}").build
    if ":" not in name:
        raise InputError(
            f"no architecture {name!r} in models/ (there: {', '.join(names())}); "
            "for one of your own, give 'package.module:function'"
        )
    try:
        return resolve_name(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"architecture {name!r} cannot be imported: {error}; check the name and PYTHONPATH") from error
