"""Networks that find objects one by one, one file each; a file's name is its architecture's name.

In training a detector takes ``(images, class_map, fields)``: images (N, C, H, W), class maps (N, H, W) and the targets
of the output "detections", whose first channel holds object ids; it gives its losses, name → scalar, and so states
``takes_targets``. Otherwise it takes one image (1, C, H, W) and gives a table (n, 6 + M²) with a row for each object:
left, top, right, bottom in pixels, score, class, and the M × M mask of its box as probabilities (`Detections`). It
states ``stride`` and ``receptive_field_px`` like other networks.
"""

from __future__ import annotations

from importlib.util import find_spec
from inspect import signature
from typing import TYPE_CHECKING, Any

from ..checks import InputError
from ..parts import find_part, part_names

if TYPE_CHECKING:
    from torch import nn

HEAD = "detections"
"""Name of a detector's output besides the classes."""


def names() -> list[str]:
    """Architectures kept in this folder.

    Examples:
        >>> names()
        ['mask_rcnn']
    """
    return part_names(__name__, needs="build")


def lacking(name: str) -> str:
    """Package that an architecture is built with and that is not installed; empty where it can be built.

    Raises:
        InputError: No such architecture.

    Examples:
        >>> lacking("mask_rcnn") in ("", "torchvision")
        True
    """
    package: str = getattr(find_part(__name__, name, needs="build", what="detector"), "PACKAGE", "")
    return package if package and find_spec(package) is None else ""


def load(name: str, **options: Any) -> nn.Module:
    """Build the architecture in ``detectors/<name>.py``.

    Raises:
        InputError: No such architecture, one that does not take these options, or torchvision is not installed.
    """
    build = find_part(__name__, name, needs="build", what="detector").build
    try:
        signature(build).bind(**options)
    except TypeError as error:
        raise InputError(f"architecture {name!r}: {error}; it takes {signature(build)}") from error
    module: nn.Module = build(**options)
    return module
