"""What a folder of training data says of itself: its ``dataset.toml``, or what its masks reveal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import tomli_w
from scipy.ndimage import label as label_components

from ..checks import InputError, check_labels, check_ndim
from ..types import IGNORE, with_current_keys

FILE_NAME = "dataset.toml"

MOST_CLASSES = 16
"""Masks without a description that share more values than this hold object ids."""

LARGEST_IGNORE = 65535


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The ``dataset.toml`` of a folder of training data.

    Attributes:
        name: Name of the data set.
        masks: "semantic": pixel value k is ``classes[k]``; "instances": 0 is background, each object
            has an id of its own.
        classes: Class names; with instances those of the objects, whose ids are 1…K (0 is background).
        colors: ``#rrggbb`` of each class; may be empty.
        ignore: Mask value of pixels without annotation.
        pixel_size_um: Edge of a pixel in µm.
        attributes: File with a table of columns per image, matched by ``name``.
        group: Its column that folds never divide.
        license: License of the images.
        source: Where they come from.
    """

    name: str
    masks: Literal["semantic", "instances"]
    classes: tuple[str, ...] = ("object",)
    colors: tuple[str, ...] = ()
    ignore: int | None = None
    pixel_size_um: float | None = None
    attributes: str = ""
    group: str = ""
    license: str = ""
    source: str = ""


def read_description(folder: Path) -> Description | None:
    """Read the folder's ``dataset.toml``; None where there is none.

    Raises:
        InputError: It is no TOML, has an unknown key, or values that contradict each other.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return None
    try:
        description = msgspec.convert(with_current_keys(msgspec.toml.decode(path.read_bytes())), Description)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: {error}; known keys: {', '.join(Description.__struct_fields__)}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path} cannot be read as TOML: {error}") from error
    problem = _contradiction(description)
    if problem:
        raise InputError(f"{path}: {problem}")
    return description


def description_to_toml(description: Description) -> str:
    """Text of a ``dataset.toml`` that `read_description` reads as the same value."""
    return tomli_w.dumps(msgspec.to_builtins(description))


def describe(folder_name: str, masks: Sequence[np.ndarray]) -> tuple[Description, list[str]]:
    """Find out from sampled masks what a folder without ``dataset.toml`` holds.

    Masks of 0 and 1, or 0 and 255, are semantic foreground; few values that all masks share are
    classes; anything else is object ids.

    Args:
        folder_name: Becomes the data set's name.
        masks: Some of its masks, each (H, W) whole numbers.

    Returns:
        The description, and the guess in a sentence for the user.

    Raises:
        InputError: There is no mask, or only empty ones.
    """
    for mask in masks:
        check_ndim(2, mask=mask)
        check_labels(mask=mask)
    seen = sorted(set().union(*(np.unique(mask).tolist() for mask in masks)))
    if not seen or seen == [0]:
        raise InputError(
            f"{folder_name}: no annotated pixel in {len(masks)} masks; add masks, or a {FILE_NAME} that describes them"
        )
    listed = ", ".join(str(value) for value in seen[:6]) + (", …" if len(seen) > 6 else "")
    found = f"{folder_name} has no {FILE_NAME}; its masks hold {listed}: taken for "
    overrule = f'; if that is wrong, write masks = "semantic" or "instances" into {folder_name}/{FILE_NAME}'
    if set(seen) in ({0, 1}, {0, 255}):
        description = Description(folder_name, "semantic", ("background", "foreground"))
        return description, [f"{found}background and foreground (semantic){overrule}"]
    if _values_are_classes(masks):
        names = [value for value in seen if value != IGNORE]
        if max(names) >= MOST_CLASSES:
            raise InputError(
                f"{folder_name}: the masks hold {listed}, which look like classes; number them from 0 without gaps"
            )
        classes = tuple("background" if value == 0 else f"class {value}" for value in range(max(names) + 1))
        ignore = IGNORE if IGNORE in seen else None
        description = Description(folder_name, "semantic", classes, ignore=ignore)
        ignored = f", {IGNORE} for not annotated" if ignore is not None else ""
        return description, [f"{found}{len(classes)} classes (semantic){ignored}{overrule}"]
    return Description(folder_name, "instances"), [f"{found}object ids (instances){overrule}"]


def _contradiction(description: Description) -> str:
    """What is wrong with the values, or nothing."""
    count = len(description.classes)
    if description.masks == "semantic" and not 2 <= count < IGNORE:
        return f"semantic masks with {count} classes; name every pixel value, background too (2 to {IGNORE - 1})"
    if not 1 <= count < IGNORE:
        return f"classes has {count} names, wanted 1 to {IGNORE - 1}"
    if len(set(description.classes)) < count:
        return f"classes names one twice: {', '.join(description.classes)}"
    if description.colors and len(description.colors) != count:
        return f"{len(description.colors)} colors for {count} classes; give one for each class or none"
    for color in description.colors:
        if not re.fullmatch("#[0-9a-fA-F]{6}", color):
            return f"color {color!r} is not of the form #rrggbb"
    return _number_out_of_range(description)


def _number_out_of_range(description: Description) -> str:
    """What is wrong with ignore or pixel size, or nothing."""
    lowest = len(description.classes) if description.masks == "semantic" else 1
    if description.ignore is not None and not lowest <= description.ignore <= LARGEST_IGNORE:
        return (
            f"ignore is {description.ignore}, wanted {lowest} to {LARGEST_IGNORE}, a value that no class or object has"
        )
    if description.pixel_size_um is not None and not 0 < description.pixel_size_um < float("inf"):
        return f"pixel_size_um is {description.pixel_size_um}, wanted a positive number"
    return ""


def _values_are_classes(masks: Sequence[np.ndarray]) -> bool:
    """Whether few values recur in every mask, or come in more pieces than single objects would."""
    values = [frozenset(np.unique(mask).tolist()) - {IGNORE} for mask in masks]
    if len(frozenset().union(*values)) > MOST_CLASSES:
        return False
    if len(masks) > 1 and len(set(values)) == 1:
        return True
    pieces = [
        label_components(mask == value)[1] for mask, held in zip(masks, values, strict=True) for value in held - {0}
    ]
    # Object ids come in one piece each; broken ones are rare.
    return bool(sum(pieces) > 1.5 * len(pieces))
